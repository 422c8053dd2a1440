import type { LogRecord } from '../event-log.js';
import type { Pulse } from '../timing.js';

/** A record as a partition keeps it. Consumers get a LogRecord made of it. */
export interface Entry {
  readonly offset: number;
  readonly timestamp: number;
  readonly key: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly value: Buffer | null;
  /** What it counts for in bounds. */
  readonly bytes: number;
  /** The value as it was last handed out, while some consumer still holds it. */
  view?: WeakRef<Buffer>;
}

export interface NewRecord {
  key: string;
  value: Uint8Array | null;
  headers: Readonly<Record<string, string>>;
  timestamp: number;
  bytes: number;
}

export interface ReadLimits {
  records: number;
  /** The first record is given even when it alone passes this. */
  bytes: number;
}

/** What a partition can let go at once from its old end. */
export interface OldestUnit {
  /** Offset after the unit's last record. */
  end: number;
  /** When its last record was appended, epoch milliseconds. */
  appendedAt: number;
  bytes: number;
}

/** Whether the latest record of a key may go all the same. */
export type Expired = (record: Pick<Entry, 'offset' | 'timestamp' | 'value'>) => boolean;

/** One partition's records: in memory, or in a journal. */
export interface PartitionStore {
  /** Offset of the oldest record kept, or `end` when there is none. */
  readonly start: number;
  /** Offset that the next record gets. */
  readonly end: number;
  /** Bytes that count against the topic's bound; a record counts from the call of `append` on. */
  readonly bytes: number;
  /** Bytes of records with a later record of the same key: what compaction would free. */
  readonly supersededBytes: number;
  /** Fires when records became readable. */
  readonly grown: Pulse;
  /** Resolves when the records are safe and readable. Calls take effect in the order in which they were made. */
  append(records: readonly NewRecord[]): Promise<void>;
  /** Records from the offset on, or from the oldest when it is gone; empty when there are none yet. */
  read(from: number, limits: ReadLimits): Promise<LogRecord[]>;
  /** The first offset whose record is not older than the time, or `end`. */
  offsetSince(timestamp: number): Promise<number>;
  oldest(): OldestUnit | undefined;
  /** Lets the oldest unit go; its bytes no longer count when this returns. */
  dropOldest(): void;
  /** Bytes that wait to be written. */
  readonly pendingBytes: number;
  /** Keeps only the latest record of each key, and of those what has not expired. */
  compact(expired: Expired): Promise<void>;
}

/** The record for consumers: with the same value object for all who ask while one of them holds it. */
export function toLogRecord(topic: string, partition: number, entry: Entry): LogRecord {
  const { offset, key, headers, timestamp } = entry;
  return { topic, partition, offset, key, value: sharedView(entry), headers, timestamp };
}

/**
 * A view of its own over the kept bytes: what a consumer hangs on the value (its decoded form) goes when the last
 * consumer is done with it, not when the log lets the record go.
 */
function sharedView(entry: Entry): Buffer | null {
  if (entry.value === null) return null;
  const known = entry.view?.deref();
  if (known) return known;
  const view = Buffer.from(entry.value.buffer, entry.value.byteOffset, entry.value.byteLength);
  entry.view = new WeakRef(view);
  return view;
}
