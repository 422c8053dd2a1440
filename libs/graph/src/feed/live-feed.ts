import {
  ContractError,
  decodeAllocationChunk,
  decodeControlRecord,
  decodeFindingRecord,
  decodeNodeRecord,
  decodeSampleChunk,
  isNodeId,
  Topic,
  type NodeId,
  type SystemMemory,
} from '@tidemark/contracts';
import type { EventLog, LogRecord, PartitionHandler, Subscription } from '@tidemark/event-log';
import { createSiteLedger } from '@tidemark/leak';
import { createTraceBook, type LiveChange, type LiveFinding, type LiveView, type TraceBook } from '@tidemark/live';
import { Counter, Gauge, type Health, type Logger, type Registry } from '@tidemark/service';
import { createAnswers, type Answers } from './answers.js';
import { createFanOut, type FanOut } from './fan-out.js';

export interface LiveFeedOptions {
  log: EventLog;
  live: LiveView;
  /** Default: one that judges sites as `@tidemark/leak` does. */
  traces?: TraceBook;
  logger: Logger;
  registry?: Registry;
  /** Last stored memory of every node; asked until it answers, so that nodes silent for long have figures too. */
  seed?: () => Promise<readonly { node: NodeId; memory: SystemMemory }[]>;
  onFinding?: (finding: LiveFinding) => void;
  onChange?: (change: LiveChange) => void;
  /** Epoch milliseconds. */
  now?: () => number;
  /** How far back samples and traces are read at the start: two keyframes, so that one is whole. Default 120,000. */
  samplesSinceMs?: number;
}

/** The event log made into a live view, and its changes handed to subscribers. */
export interface LiveFeed {
  readonly live: LiveView;
  readonly traces: TraceBook;
  readonly updates: FanOut;
  /** Of nodes, to trace requests. */
  readonly answers: Answers;
  /** Resolves when records are being delivered; rejects when the log cannot be subscribed to. */
  readonly ready: Promise<void>;
  /** Ends every subscriber's stream, then stops reading the log. Safe to call twice. */
  drain(deadlineMs: number): Promise<void>;
  health(): Health;
}

/** Requests and answers from before the start: a trace that is over is shown for as long. */
const CONTROL_SINCE_MS = 600_000;
const TICK_MS = 1_000;
const LOG_RETRY_MS = 1_000;
const SEED_RETRY_MS = 10_000;
/** Records are applied for this long before other work gets a turn. */
const SLICE_MS = 20;

interface Feed extends Required<Pick<LiveFeedOptions, 'log' | 'live' | 'logger' | 'now'>> {
  options: LiveFeedOptions;
  traces: TraceBook;
  updates: FanOut;
  answers: Answers;
  /** Where each partition ended when it was begun, by topic and partition. */
  ends: Map<string, number>;
  rejected: { total: number; lastLoggedAt: number };
  state: { ready: boolean; failure: Error | undefined; stopping: boolean };
}

export function startLiveFeed(options: LiveFeedOptions): LiveFeed {
  const { log, live, logger, now = Date.now } = options;
  const updates = createFanOut(live);
  const answers = createAnswers();
  const traces = options.traces ?? createTraceBook({ createLedger: () => createSiteLedger() });
  const feed: Feed = {
    ...{ log, live, traces, logger, now, options, updates, answers, ends: new Map() },
    rejected: { total: 0, lastLoggedAt: 0 },
    state: { ready: false, failure: undefined, stopping: false },
  };
  if (options.registry) registerMetrics(options.registry, feed);
  const opening = subscribeAll(feed);
  const ready = opening.then((subscriptions) => settle(feed, subscriptions));
  // Whoever does not wait for `ready` sees the failure in `health`.
  ready.catch((error: Error) => (feed.state.failure = error));
  const stopTimers = startTimers(feed);
  let draining: Promise<void> | undefined;
  return {
    ...{ live, traces, updates, answers },
    ready,
    drain(deadlineMs) {
      draining ??= (async () => {
        feed.state.stopping = true;
        stopTimers();
        updates.close();
        answers.close();
        const subscriptions = await opening.catch(() => []);
        await Promise.all(subscriptions.map((subscription) => subscription.drain(deadlineMs)));
      })();
      return draining;
    },
    health: () => healthOf(feed),
  };
}

function healthOf({ state, rejected, live }: Feed): Health {
  if (state.failure) return { live: false, ready: false, detail: `event log: ${state.failure.message}` };
  if (state.stopping) return { live: true, ready: false, detail: 'stopping' };
  if (!state.ready) return { live: true, ready: false, detail: 'waiting for the event log' };
  const { nodes, processes } = live.metrics();
  const bad = rejected.total > 0 ? `, ${rejected.total} records could not be read` : '';
  return { live: true, ready: true, detail: `${nodes} nodes, ${processes} processes${bad}` };
}

async function subscribeAll(feed: Feed): Promise<Subscription[]> {
  const { log, live, updates, options } = feed;
  const onSample = (record: LogRecord) => {
    if (!record.value) return;
    const change = live.applyChunk(decodeSampleChunk(record.value, record.headers), receivedAt(feed, record));
    if (change.outcome !== 'applied') return;
    updates.publishNode(change.node);
    options.onChange?.(change);
  };
  const onNode = (record: LogRecord) => {
    if (!record.value) {
      if (isNodeId(record.key)) live.removeNode(record.key);
      return;
    }
    const node = decodeNodeRecord(record.value, record.headers);
    live.applyNode(node, receivedAt(feed, record));
    updates.publishNode(node.node);
  };
  const onFinding = (record: LogRecord) => {
    if (!record.value) return;
    const decoded = decodeFindingRecord(record.value, record.headers);
    const before = live.findings.get(decoded.id)?.finding;
    live.applyFinding(decoded);
    const finding = live.findings.get(decoded.id);
    if (decoded.type !== 'finding' || !finding) return;
    updates.publishFinding({ finding, before });
    if (finding.finding.process) updates.publishNode(finding.finding.node);
    options.onFinding?.(finding);
  };
  const open = (topic: string, from: 'earliest' | { sinceMs: number }, apply: (record: LogRecord) => void) =>
    patiently(feed, async () => {
      for (const { partition, end } of await log.lag(topic, 'live')) feed.ends.set(`${topic}/${partition}`, end);
      return log.subscribe({
        ...{ topic, from, group: 'live', ephemeral: true },
        assign: (context) => createHandler(feed, apply, (offset) => context.acknowledge(offset)),
      });
    });
  const sinceMs = options.samplesSinceMs ?? 120_000;
  const asked = [
    open(Topic.Nodes, 'earliest', onNode),
    open(Topic.Findings, 'earliest', onFinding),
    open(Topic.Samples, { sinceMs }, onSample),
    open(Topic.Allocations, { sinceMs }, (record) => takeChunk(feed, record)),
    open(Topic.Control, { sinceMs: CONTROL_SINCE_MS }, (record) => takeControl(feed, record)),
  ];
  const answers = await Promise.allSettled(asked);
  const opened = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
  const refused = answers.find((answer) => answer.status === 'rejected');
  if (!refused) return opened;
  await Promise.allSettled(opened.map((subscription) => subscription.drain(1_000)));
  throw refused.reason as Error;
}

/** A log that is away for a moment is waited for; what it refuses for good is thrown. */
async function patiently<T>({ state, logger }: Feed, ask: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (state.stopping || (error as { retriable?: unknown }).retriable !== true) throw error;
      logger.warn({ error: (error as Error).message }, 'the event log cannot be read now; trying again');
    }
    await new Promise((resolve) => setTimeout(resolve, LOG_RETRY_MS));
  }
}

function takeChunk(feed: Feed, record: LogRecord): void {
  if (!record.value) return;
  const chunk = decodeAllocationChunk(record.value, record.headers);
  const change = feed.traces.applyChunk(chunk, receivedAt(feed, record));
  if (change.outcome === 'applied') feed.updates.publishTrace(change);
}

function takeControl(feed: Feed, record: LogRecord): void {
  if (!record.value) return;
  const control = decodeControlRecord(record.value, record.headers);
  feed.updates.publishTrace(feed.traces.applyControl(control, receivedAt(feed, record)));
  if (control.type === 'trace-status') feed.answers.tell(control.id);
}

/**
 * A record from before our start is not news: a node that is long silent must not look alive for a while. Which one that
 * is, its place in the log says: its time is by the clock of whoever wrote it.
 */
function receivedAt({ now, ends }: Feed, { topic, partition, offset, timestamp }: LogRecord): number {
  const time = now();
  return offset >= (ends.get(`${topic}/${partition}`) ?? 0) ? time : Math.min(time, timestamp);
}

/** A record that cannot be read is passed over: the writer sends it to the dead-letter topic, the view must go on. */
function createHandler(
  feed: Feed,
  apply: (record: LogRecord) => void,
  acknowledge: (offset: number) => void,
): PartitionHandler {
  return {
    async handle(records) {
      let sliceEnd = performance.now() + SLICE_MS;
      for (const record of records) {
        try {
          apply(record);
        } catch (error) {
          rejectRecord(feed, record, error as Error);
        }
        acknowledge(record.offset);
        if (performance.now() < sliceEnd) continue;
        await new Promise((resolve) => setImmediate(resolve));
        sliceEnd = performance.now() + SLICE_MS;
      }
    },
  };
}

function rejectRecord({ rejected, logger, now }: Feed, record: LogRecord, error: Error): void {
  rejected.total++;
  if (now() - rejected.lastLoggedAt < 60_000) return;
  rejected.lastLoggedAt = now();
  const { topic, partition, offset } = record;
  const code = error instanceof ContractError ? error.code : 'UNEXPECTED';
  logger.warn({ topic, partition, offset, code, error: error.message, total: rejected.total }, 'record passed over');
}

async function settle(feed: Feed, subscriptions: readonly Subscription[]): Promise<void> {
  for (const subscription of subscriptions) {
    subscription.failed.catch((error: Error) => {
      feed.state.failure = error;
      feed.logger.error({ error: error.message }, 'the live view lost the event log');
    });
  }
  await Promise.all(subscriptions.map((subscription) => subscription.ready));
  feed.state.ready = true;
}

function startTimers(feed: Feed): () => void {
  const tick = setInterval(() => {
    for (const node of feed.live.tick(feed.now())) feed.updates.publishNode(node);
    for (const change of feed.traces.tick(feed.now())) feed.updates.publishTrace(change);
  }, TICK_MS);
  let retry: NodeJS.Timeout | undefined;
  const seed = async () => {
    try {
      for (const { node, memory } of (await feed.options.seed?.()) ?? []) feed.live.seedMemory(node, memory);
    } catch (error) {
      feed.logger.warn(
        { error: (error as Error).message },
        'history has not told the last figures of nodes; asking again',
      );
      if (!feed.state.stopping) retry = setTimeout(() => void seed(), SEED_RETRY_MS);
    }
  };
  void seed();
  return () => {
    clearInterval(tick);
    clearTimeout(retry);
  };
}

function registerMetrics(registry: Registry, { live, traces, updates, rejected }: Feed): void {
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(read());
      },
    });
  gauge('tidemark_live_nodes', 'Nodes in the live view.', () => live.metrics().nodes);
  gauge(
    'tidemark_live_processes',
    'Processes in the live view, living and just exited.',
    () => live.metrics().processes,
  );
  gauge('tidemark_live_findings', 'Findings in the live view.', () => live.metrics().findings);
  gauge('tidemark_live_traces', 'Allocation traces in the live view.', () => traces.metrics().traces);
  gauge('tidemark_live_sites', 'Allocation sites in the live view.', () => traces.metrics().sites);
  gauge('tidemark_live_subscribers', 'Open GraphQL subscriptions.', () => updates.counters().subscribers);
  const counter = (name: string, help: string, read: () => number) =>
    new Counter({
      name,
      help,
      registers: [registry],
      collect() {
        this.reset();
        this.inc(read());
      },
    });
  counter(
    'tidemark_live_missed_chunks_total',
    'Sample chunks missing by their numbers.',
    () => live.metrics().missedChunks,
  );
  counter(
    'tidemark_live_refused_rows_total',
    'Process rows without room in the live view.',
    () => live.metrics().refusedRows,
  );
  counter('tidemark_live_rejected_records_total', 'Records that could not be read.', () => rejected.total);
  counter(
    'tidemark_live_updates_conflated_total',
    'Updates replaced by newer ones before a slow subscriber took them.',
    () => updates.counters().conflated,
  );
  counter(
    'tidemark_live_updates_dropped_total',
    'Updates dropped because a slow subscriber had too many waiting.',
    () => updates.counters().dropped,
  );
}
