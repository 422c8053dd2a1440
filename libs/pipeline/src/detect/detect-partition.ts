import {
  ContractError,
  decodeSampleChunk,
  encodeFindingRecord,
  findingKey,
  parseProcessKey,
  Topic,
  type Finding,
  type NodeId,
  type ProcessKey,
  type SampleChunk,
} from '@tidemark/contracts';
import type { EventLog, LogRecord, PartitionContext, PartitionHandler } from '@tidemark/event-log';
import type { DetectorProfile, LeakStatus, ServiceBook } from '@tidemark/leak';
import type { Logger } from '@tidemark/service';
import type { DetectMetrics } from './detect-metrics.js';
import type { DetectorHistory, KeptSeries } from './detector-history.js';
import {
  keptOpenFindings,
  keptSeries,
  keptServices,
  rememberNode,
  rememberOpenFindings,
  rememberServices,
} from './memory-of-before.js';
import { createNodeDetector, type NodeDetector } from './node-detector.js';
import type { OpenFindings } from './open-findings.js';
import type { SiteSuspicions } from './site-suspicions.js';

export interface DetectPartitionDeps {
  log: EventLog;
  profile: DetectorProfile;
  history: DetectorHistory;
  /** Findings of others, on sites: who is alive is known here. */
  suspicions: SiteSuspicions;
  logger: Logger;
  metrics: DetectMetrics;
  /** Data time between two savings of what is under suspicion, milliseconds. */
  saveEveryMs: number;
  /** Series kept at a clean stop, at most: what is left out begins again from the rollups. */
  keepAtMost: number;
}

export interface DetectPartition extends PartitionHandler {
  readonly size: number;
  status(key: ProcessKey): LeakStatus | undefined;
}

interface WatchedNode {
  detector: NodeDetector;
  /** Evidence per service of this node, over restarts and boots. */
  book: ServiceBook;
  open: OpenFindings;
  savedAt: number;
}

interface State {
  deps: DetectPartitionDeps;
  nodes: Map<NodeId, WatchedNode>;
  /** Findings whose chunks are judged already: kept until the log has them, since judging again would not repeat them. */
  unwritten: Finding[];
}

/** Judges the nodes whose chunks come through one partition. Its state lives and dies with the assignment. */
export function createDetectPartition(deps: DetectPartitionDeps, context: PartitionContext): DetectPartition {
  const state: State = { deps, nodes: new Map(), unwritten: [] };
  const { nodes } = state;
  return {
    get size() {
      let size = 0;
      for (const { detector } of nodes.values()) size += detector.size;
      return size;
    },
    status: (key) => statusOf(nodes, key),
    async handle(records) {
      for (const record of records) {
        try {
          await judge(state, record);
          await writeFindings(state);
          context.acknowledge(record.offset);
        } catch (error) {
          if (!(error instanceof ContractError)) throw error;
          deps.metrics.rejected.inc();
          const { offset, partition } = record;
          deps.logger.warn({ offset, partition, error: error.message }, 'chunk put aside');
          await context.reject(record, error);
        }
      }
    },
    async close() {
      for (const [node, watched] of nodes) await save(deps, node, watched, 'all');
      nodes.clear();
    },
  };
}

function statusOf(nodes: Map<NodeId, WatchedNode>, key: ProcessKey): LeakStatus | undefined {
  const parts = parseProcessKey(key);
  const detector = parts && nodes.get(parts.node)?.detector;
  return detector && detector.boot === parts.boot ? detector.status(parts.pid, parts.start) : undefined;
}

async function judge({ deps, nodes, unwritten }: State, record: LogRecord): Promise<void> {
  if (record.value === null) return;
  const chunk = decodeSampleChunk(record.value, record.headers);
  const watched = await watchedNode(deps, nodes, chunk);
  const { detector, open } = watched;
  const findings = detector.apply(chunk);
  if (chunk.keyframe && detector.isComplete) {
    const isAlive = (key: ProcessKey): boolean => statusOf(nodes, key) !== undefined;
    findings.push(...open.clearGone(isAlive, chunk.at));
    unwritten.push(...deps.suspicions.clearGone(chunk.node, isAlive, chunk.at));
  }
  if (open.note(findings)) void keep(deps, chunk.node, [keptOpenFindings(chunk.node, chunk.at, open)]);
  unwritten.push(...findings);
  deps.metrics.samples.inc(chunk.procs.pid.length);
  if (Math.abs(chunk.at - watched.savedAt) >= deps.saveEveryMs) {
    watched.savedAt = chunk.at;
    await save(deps, chunk.node, watched, 'notable');
  }
}

async function watchedNode(
  { history, profile, logger }: DetectPartitionDeps,
  nodes: Map<NodeId, WatchedNode>,
  { node, boot, at }: SampleChunk,
): Promise<WatchedNode> {
  const known = nodes.get(node);
  if (known?.detector.boot === boot) return known;
  const book = known?.book ?? (await rememberServices(history, profile, node, logger));
  const remembered = await rememberNode(history, profile, node, boot, logger);
  const open = known?.open ?? (await rememberOpenFindings(history, node, logger));
  const fresh = { detector: createNodeDetector({ node, boot, profile, book, remembered }), book, open, savedAt: at };
  nodes.set(node, fresh);
  return fresh;
}

async function writeFindings({ deps: { log, metrics, logger }, unwritten }: State): Promise<void> {
  if (unwritten.length === 0) return;
  await log.append(
    unwritten.map((finding) => ({ topic: Topic.Findings, key: findingKey(finding), ...encodeFindingRecord(finding) })),
  );
  for (const { state, message } of unwritten) {
    metrics.findings.inc({ state });
    logger[state === 'SUSPECTED' || state === 'CONFIRMED' ? 'warn' : 'debug']({ state }, message);
  }
  unwritten.length = 0;
}

async function save(
  deps: DetectPartitionDeps,
  node: NodeId,
  { detector, book }: WatchedNode,
  which: 'notable' | 'all',
): Promise<void> {
  const rows = [...keptServices(node, detector.at, book), ...keptSeries(node, detector, which, deps.keepAtMost)];
  if (rows.length > 0) await keep(deps, node, rows);
}

/** History that is away costs a restart its head start, and must not hold up judging. */
async function keep(
  { history, logger, metrics }: DetectPartitionDeps,
  node: NodeId,
  rows: KeptSeries[],
): Promise<void> {
  try {
    await history.saveSeries(rows);
    metrics.saved.inc(rows.length);
  } catch (error) {
    logger.warn({ node, error: (error as Error).message }, 'detector state was not kept; will try again');
  }
}
