import type { LogRecord } from '../event-log.js';
import { Pulse } from '../timing.js';
import { EntryQueue } from './entry-queue.js';
import { LatestKeys } from './latest-keys.js';
import {
  toLogRecord,
  type Entry,
  type Expired,
  type NewRecord,
  type OldestUnit,
  type PartitionStore,
  type ReadLimits,
} from './store.js';

interface KeptEntry extends Entry {
  appendedAt: number;
}

/** A partition that lives as long as the process. */
export class MemoryPartition implements PartitionStore {
  readonly grown = new Pulse();
  readonly #topic: string;
  readonly #partition: number;
  readonly #entries = new EntryQueue<KeptEntry>();
  readonly #keys: LatestKeys | undefined;
  readonly pendingBytes = 0;
  end = 0;

  constructor(topic: string, partition: number, compacted: boolean) {
    this.#topic = topic;
    this.#partition = partition;
    this.#keys = compacted ? new LatestKeys() : undefined;
  }

  get start(): number {
    return this.#entries.first?.offset ?? this.end;
  }

  get bytes(): number {
    return this.#entries.bytes;
  }

  get supersededBytes(): number {
    return this.#keys ? this.#entries.bytes - this.#keys.liveBytes : 0;
  }

  append(records: readonly NewRecord[]): Promise<void> {
    const appendedAt = Date.now();
    for (const { key, value, headers, timestamp, bytes } of records) {
      const offset = this.end++;
      // A copy: the producer may use its bytes again.
      this.#entries.push({ offset, key, value: value && Buffer.from(value), headers, timestamp, bytes, appendedAt });
      this.#keys?.add(key, offset, bytes);
    }
    this.grown.fire();
    return Promise.resolve();
  }

  read(from: number, limits: ReadLimits): Promise<LogRecord[]> {
    const entries = this.#entries.slice(from, limits);
    return Promise.resolve(entries.map((entry) => toLogRecord(this.#topic, this.#partition, entry)));
  }

  offsetSince(timestamp: number): Promise<number> {
    for (let index = 0; index < this.#entries.length; index++) {
      const entry = this.#entries.at(index)!;
      if (entry.timestamp >= timestamp) return Promise.resolve(entry.offset);
    }
    return Promise.resolve(this.end);
  }

  oldest(): OldestUnit | undefined {
    const first = this.#entries.first;
    return first && { end: first.offset + 1, appendedAt: first.appendedAt, bytes: first.bytes };
  }

  dropOldest(): void {
    const gone = this.#entries.shift();
    if (gone) this.#keys?.remove(gone.key, gone.offset);
  }

  compact(expired: Expired): Promise<void> {
    const keys = this.#keys;
    if (!keys) return Promise.resolve();
    this.#entries.retain((entry) => {
      if (!keys.isLatest(entry.key, entry.offset)) return false;
      if (!expired(entry)) return true;
      keys.remove(entry.key, entry.offset);
      return false;
    });
    return Promise.resolve();
  }
}
