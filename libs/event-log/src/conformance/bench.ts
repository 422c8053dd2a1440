import { randomBytes } from 'node:crypto';
import { expect } from 'vitest';
import type { TopicSpec } from '@tidemark/contracts';
import type {
  EventLog,
  LogRecord,
  OutgoingRecord,
  PartitionContext,
  PartitionHandler,
  SubscribeOptions,
} from '../event-log.js';

/** A log whose clients come and go: a cluster, or the embedded log. */
export interface LogUnderTest {
  /** A further client, as another process would have. The broker takes records of 1 MiB, and refuses 32 MiB. */
  open(): Promise<EventLog>;
  /**
   * The client's process dies by SIGKILL: nothing is closed or committed any more. When it was the last client of an
   * embedded log, that log dies with it, and the next `open` finds what was acknowledged.
   */
  crash(log: EventLog): Promise<void>;
  destroy(): Promise<void>;
}

export type LogFactory = () => Promise<LogUnderTest>;

export interface LogPromise {
  name: string;
  keep(bench: Bench): Promise<void>;
}

/** Nothing waits longer than this for what must come. */
export const PATIENCE_MS = 60_000;
/** How long nothing must happen before it counts as never. */
export const QUIET_MS = 300;

export interface Bench {
  open(): Promise<EventLog>;
  crash(log: EventLog): Promise<void>;
  /** A topic of its own for the test, made in the log. */
  topic(log: EventLog, spec?: Partial<TopicSpec>): Promise<string>;
  destroy(): Promise<void>;
}

export async function createBench(factory: LogFactory): Promise<Bench> {
  const under = await factory();
  const open: EventLog[] = [];
  return {
    async open() {
      const log = await under.open();
      open.push(log);
      return log;
    },
    crash: (log) => under.crash(log),
    async topic(log, spec = {}) {
      const name = `conformance.${randomBytes(6).toString('hex')}`;
      await log.ensureTopics([{ name, partitions: 4, cleanup: 'delete', retentionMs: 3_600_000, ...spec }]);
      return name;
    },
    async destroy() {
      await Promise.all(open.map((log) => log.close(1_000)));
      await under.destroy();
    },
  };
}

/** Waits until the condition holds; fails with what was wanted and what is. */
export async function until<T>(look: () => T | Promise<T>, wanted: NoInfer<T>): Promise<void> {
  await expect.poll(look, { timeout: PATIENCE_MS, interval: 10 }).toEqual(wanted);
}

export function quiet(ms = QUIET_MS): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

export function numbered(topic: string, key: string, from: number, to: number): OutgoingRecord[] {
  return Array.from({ length: to - from }, (_, index) => record(topic, key, String(from + index)));
}

export function record(topic: string, key: string, text: string): OutgoingRecord {
  return { topic, key, value: Buffer.from(text) };
}

export function text(from: LogRecord): string {
  return from.value === null ? '(tombstone)' : Buffer.from(from.value).toString();
}

/** What the handlers of one subscription saw, for assertions. */
export interface Seen {
  records: LogRecord[];
  contexts: PartitionContext[];
  closed: string[];
}

export type OnBatch = (records: readonly LogRecord[], context: PartitionContext) => void | Promise<void>;

/** An `assign` that keeps what it saw and does with each batch what the test says. */
export function watching(seen: Seen, onBatch: OnBatch): SubscribeOptions['assign'] {
  return (context): PartitionHandler => {
    seen.contexts.push(context);
    return {
      async handle(records) {
        seen.records.push(...records);
        await onBatch(records, context);
      },
      async close(reason) {
        seen.closed.push(reason);
      },
    };
  };
}

export function nothingSeen(): Seen {
  return { records: [], contexts: [], closed: [] };
}

export const acknowledgeAll: OnBatch = (records, context) => {
  for (const { offset } of records) context.acknowledge(offset);
};

export const acknowledgeNone: OnBatch = () => {};

export function texts(seen: Seen): string[] {
  return seen.records.map(text);
}

/** An error as a sink gives it that is away for a while. */
export function retriableError(message: string): Error {
  return Object.assign(new Error(message), { retriable: true });
}

/** What a whole group has still to commit. */
export async function totalLag(log: EventLog, topic: string, group: string): Promise<number> {
  const lags = await log.lag(topic, group);
  return lags.reduce((sum, { lag }) => sum + lag, 0);
}
