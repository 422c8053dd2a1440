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
import type { DetectorProfile, LeakStatus } from '@tidemark/leak';
import type { Logger } from '@tidemark/service';
import type { DetectMetrics } from './detect-metrics.js';
import type { DetectorHistory } from './detector-history.js';
import type { SiteSuspicions } from './site-suspicions.js';
import { StateKeeper, type KeepTimes } from './state-keeper.js';
import { NodeMemory, type WatchedNode } from './watched-node.js';

export interface DetectPartitionDeps {
  log: EventLog;
  profile: DetectorProfile;
  history: DetectorHistory;
  /** Findings of others, on sites: who is alive is known here. */
  suspicions: SiteSuspicions;
  logger: Logger;
  metrics: DetectMetrics;
  /** When what is known is brought to history. */
  keep: KeepTimes;
  /** How long judging waits for history that is away before it begins from nothing, milliseconds. */
  waitForHistoryMs: number;
  /** Between two times that it is asked then for what was known, milliseconds. */
  askAgainMs: number;
  /** Series kept at a clean stop, at most: what is left out begins again from the rollups. */
  keepAtMost: number;
}

export interface DetectPartition extends PartitionHandler {
  readonly size: number;
  status(key: ProcessKey): LeakStatus | undefined;
}

interface State {
  deps: DetectPartitionDeps;
  nodes: Map<NodeId, WatchedNode>;
  /** Those of them of which history could not tell what was known. */
  unremembered: Set<WatchedNode>;
  /** Findings whose chunks are judged already: kept until the log has them, since judging again would not repeat them. */
  unwritten: Finding[];
  memory: NodeMemory;
  keeper: StateKeeper;
}

/**
 * Judges the nodes whose chunks come through one partition. What it knows goes to history, and the partition's position
 * after it, so that the next owner goes on where this one was, however this one ended.
 */
export function createDetectPartition(deps: DetectPartitionDeps, context: PartitionContext): DetectPartition {
  const state = createState(deps, context);
  const { nodes, keeper } = state;
  return {
    get size() {
      let size = 0;
      for (const { detector } of nodes.values()) size += detector.size;
      return size;
    },
    status: (key) => statusOf(nodes, key),
    async handle(records) {
      catchUp(state);
      state.memory.expect(strangersIn(nodes, records));
      for (const record of records) {
        // Where there is nothing to wait for, nothing is awaited: the partitions would take turns chunk by chunk, and the
        // chunks of all of them would have to live until the last one is judged.
        const begun = keeper.begin(record.offset);
        if (begun) await begun;
        try {
          const judged = judge(state, record);
          if (judged) await judged;
          if (state.unwritten.length > 0) await writeFindings(state);
          context.acknowledge(record.offset);
        } catch (error) {
          if (!(error instanceof ContractError)) throw error;
          deps.metrics.rejected.inc();
          const { offset, partition } = record;
          deps.logger.warn({ offset, partition, error: error.message }, 'chunk put aside');
          await context.reject(record, error);
        }
        keeper.judged(record.offset + 1);
      }
    },
    async close() {
      await keeper.close();
      nodes.clear();
    },
  };
}

function createState(deps: DetectPartitionDeps, context: PartitionContext): State {
  const { history, profile, logger, metrics, keepAtMost } = deps;
  const nodes = new Map<NodeId, WatchedNode>();
  const unwritten: Finding[] = [];
  const untold = (node: NodeId): Finding[] => unwritten.filter((finding) => finding.node === node);
  const keeper = new StateKeeper({
    ...{ context, history, nodes, untold, logger, metrics, keepAtMost },
    times: deps.keep,
  });
  const { waitForHistoryMs: waitMs, askAgainMs } = deps;
  return {
    deps,
    nodes,
    unremembered: new Set(),
    unwritten,
    keeper,
    memory: new NodeMemory({ history, profile, logger, waitMs, askAgainMs }),
  };
}

function catchUp(state: State): void {
  const { nodes, unremembered, memory } = state;
  for (const watched of unremembered) {
    // One that has booted anew in the meantime is watched as another.
    if (nodes.get(watched.node) === watched) take(state, watched, memory.catchUp(watched));
    else watched.missing = undefined;
    if (!watched.missing) unremembered.delete(watched);
  }
}

/** What was told of a node before, and perhaps did not reach the log. */
function take({ unwritten }: State, { open }: WatchedNode, untold: readonly Finding[]): void {
  open.note(untold);
  unwritten.push(...untold);
}

function statusOf(nodes: Map<NodeId, WatchedNode>, key: ProcessKey): LeakStatus | undefined {
  const parts = parseProcessKey(key);
  const detector = parts && nodes.get(parts.node)?.detector;
  return detector && detector.boot === parts.boot ? detector.status(parts.pid, parts.start) : undefined;
}

/** A promise when something is to be waited for: history, for what it knows of a node, or to keep what is new. */
function judge(state: State, record: LogRecord): Promise<void> | undefined {
  if (record.value === null) return undefined;
  const chunk = decodeSampleChunk(record.value, record.headers);
  const watched = knownNode(state, chunk);
  return watched
    ? judgeChunk(state, watched, chunk)
    : meetNode(state, chunk).then((met) => judgeChunk(state, met, chunk));
}

function judgeChunk(state: State, watched: WatchedNode, chunk: SampleChunk): Promise<void> | undefined {
  const { deps, nodes, unwritten, keeper } = state;
  const { detector, open } = watched;
  const services = watched.book.services.size;
  const findings = detector.apply(chunk);
  watched.dirty = true;
  watched.bookDirty ||= chunk.exits.pid.length > 0 || chunk.keyframe || watched.book.services.size !== services;
  deps.metrics.samples.inc(chunk.procs.pid.length);
  const isAlive = (key: ProcessKey): boolean => statusOf(nodes, key) !== undefined;
  const knowsAll = chunk.keyframe && detector.isComplete;
  if (open.note(findings)) watched.openDirty = true;
  if (knowsAll) {
    const gone = open.clearGone(isAlive, chunk.at);
    if (open.note(gone)) watched.openDirty = true;
    findings.push(...gone);
  }
  unwritten.push(...findings);
  const kept = findings.length > 0 ? keeper.keepNews(watched) : undefined;
  if (knowsAll) unwritten.push(...deps.suspicions.clearGone(chunk.node, isAlive, chunk.at));
  return kept;
}

/** Nodes of a batch that are not watched yet. A record that cannot be read names none; it is put aside when its turn comes. */
function* strangersIn(nodes: ReadonlyMap<string, WatchedNode>, records: readonly LogRecord[]) {
  for (const { key, value, headers } of records) {
    // One that has booted anew is asked for when its turn comes: that is rare, and every chunk would have to be read for it.
    if (value === null || nodes.has(key)) continue;
    let chunk: SampleChunk;
    try {
      chunk = decodeSampleChunk(value, headers);
    } catch {
      continue;
    }
    if (!nodes.has(chunk.node)) yield { node: chunk.node, boot: chunk.boot };
  }
}

function knownNode({ nodes }: State, { node, boot }: SampleChunk): WatchedNode | undefined {
  const known = nodes.get(node);
  return known?.detector.boot === boot ? known : undefined;
}

async function meetNode(state: State, { node, boot }: SampleChunk): Promise<WatchedNode> {
  const { nodes, unremembered, memory } = state;
  const { watched, untold } = await memory.watch(node, boot, nodes.get(node));
  nodes.set(node, watched);
  if (watched.missing) unremembered.add(watched);
  take(state, watched, untold);
  return watched;
}

async function writeFindings({ deps: { log, metrics, logger }, unwritten }: State): Promise<void> {
  await log.append(
    unwritten.map((finding) => ({ topic: Topic.Findings, key: findingKey(finding), ...encodeFindingRecord(finding) })),
  );
  for (const { state, message } of unwritten) {
    metrics.findings.inc({ state });
    logger[state === 'SUSPECTED' || state === 'CONFIRMED' ? 'warn' : 'debug']({ state }, message);
  }
  unwritten.length = 0;
}
