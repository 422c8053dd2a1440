import type { EventLog, Subscription } from '@tidemark/event-log';
import type { Health, Logger, Registry } from '@tidemark/service';
import type { Stage } from '../stage.js';
import type { Checkpoint, RecordHistory } from './batch-writer.js';
import { createGatherer } from './gatherer.js';
import { createLimiter } from './limiter.js';
import { PartitionWriter, type PartitionWriterDeps } from './partition-writer.js';
import { createRecordMetrics } from './record-metrics.js';
import { RECORD_TOPICS, type RecordTopic } from './record-topic.js';

export interface RecordDeps {
  log: EventLog;
  history: RecordHistory;
  logger: Logger;
  registry: Registry;
  /** A record waits no longer than this for others of its topic, milliseconds. Default 2,000. */
  flushMs?: number;
  /** Inserts of one topic under way at once. Default 2. */
  concurrency?: number;
  /** Between tries while history is away. Default 200 ms doubling up to 10,000 ms. */
  retry?: { initialMs: number; maxMs: number };
  /** For tests: called at each moment between two of which a crash may come. */
  checkpoint?: (topic: string, name: Checkpoint) => void | Promise<void>;
}

const GROUP = 'record';
const DEFAULT_FLUSH_MS = 2_000;
const DEFAULT_CONCURRENCY = 2;
const DEFAULT_RETRY = { initialMs: 200, maxMs: 10_000 };

/** Everything of the log into history, once: `mem.samples.v1`, `mem.nodes.v1`, `mem.findings.v1`, group `record`. */
export function startRecord(deps: RecordDeps): Stage {
  const writers = new Set<PartitionWriter>();
  const subscriptions = subscribeAll(deps, writers);
  let state: 'starting' | 'running' | 'stopped' | 'failed' = 'starting';
  let draining: Promise<void> | undefined;

  const ready = Promise.all(subscriptions).then(async (all) => {
    for (const subscription of all) subscription.failed.catch(fail);
    await Promise.all(all.map((subscription) => subscription.ready));
    if (state === 'starting') state = 'running';
  });
  ready.catch(fail);

  function fail(error: Error): void {
    if (state === 'stopped') return;
    state = 'failed';
    deps.logger.error({ error: error.message }, 'recording stopped');
  }

  function health(): Health {
    const failures = [...writers].flatMap(({ failure }) => failure ?? []);
    if (state === 'running' && failures[0]) {
      const detail = `${failures.length} partitions wait: ${failures[0].message}`;
      return { live: true, ready: false, detail };
    }
    return { live: state !== 'failed', ready: state === 'running', detail: state };
  }

  async function drainAll(deadlineMs: number): Promise<void> {
    const open = await Promise.allSettled(subscriptions);
    const taken = open.flatMap((one): Subscription[] => (one.status === 'fulfilled' ? [one.value] : []));
    await Promise.all(taken.map((subscription) => subscription.drain(deadlineMs)));
  }

  return {
    ready,
    health,
    drain(deadlineMs) {
      state = 'stopped';
      draining ??= drainAll(deadlineMs);
      return draining;
    },
  };
}

function subscribeAll(deps: RecordDeps, writers: Set<PartitionWriter>): Promise<Subscription>[] {
  const { log, history, logger, checkpoint } = deps;
  const metrics = createRecordMetrics(deps.registry, () => ({
    pendingRecords: sum(writers, ({ pendingRecords }) => pendingRecords),
    pendingBytes: sum(writers, ({ pendingBytes }) => pendingBytes),
    failing: sum(writers, ({ failure }) => (failure ? 1 : 0)),
  }));
  const { flushMs = DEFAULT_FLUSH_MS, retry = DEFAULT_RETRY } = deps;
  const writerDeps = (topic: RecordTopic): PartitionWriterDeps => ({
    ...{ topic, history, logger, metrics, retry, flushMs },
    // Each topic has turns of its own: what history does not take of one holds up none of the others.
    gatherer: createGatherer({
      ...{ topic, history, logger, metrics },
      limiter: createLimiter(deps.concurrency ?? DEFAULT_CONCURRENCY),
    }),
    ...(checkpoint && { checkpoint: (name: Checkpoint) => checkpoint(topic.topic, name) }),
  });
  return RECORD_TOPICS.map((topic) => {
    const shared = writerDeps(topic);
    return log.subscribe({
      topic: topic.topic,
      group: GROUP,
      from: 'earliest',
      maxInFlightBytes: topic.maxInFlightBytes,
      // They wait for others here anyway.
      maxWaitMs: Math.ceil(flushMs / 4),
      async assign(context) {
        const writer = await PartitionWriter.create(context, shared);
        if (!context.signal.aborted) writers.add(writer);
        context.signal.addEventListener('abort', () => writers.delete(writer), { once: true });
        return writer;
      },
    });
  });
}

function sum<T>(items: Iterable<T>, pick: (item: T) => number): number {
  let total = 0;
  for (const item of items) total += pick(item);
  return total;
}
