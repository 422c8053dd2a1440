import { recordBytes } from '../record-bytes.js';
import { Pulse } from '../timing.js';
import type { FetchedBatches, FetchedRecord } from './record-batch.js';

/** Bytes that are fetched ahead of a handler; above them the partition is not asked for more. */
const AHEAD_BYTES = 512 * 1024;

/** Records of one partition between the brokers and the handler. */
export class PartitionFeed {
  readonly partition: number;
  readonly #arrived = new Pulse();
  #records: { record: FetchedRecord; bytes: number }[] = [];
  #head = 0;
  #bytes = 0;
  /** The next offset to be fetched. */
  position: number;
  /** True while its place in the partition is being looked up. */
  seeking = false;

  constructor(partition: number, position: number) {
    this.partition = partition;
    this.position = position;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get wantsMore(): boolean {
    return !this.seeking && this.#bytes < AHEAD_BYTES;
  }

  accept({ records, next }: FetchedBatches): void {
    for (const record of records) {
      const bytes = recordBytes(record);
      this.#records.push({ record, bytes });
      this.#bytes += bytes;
    }
    if (next === undefined) return;
    this.position = next;
    this.#arrived.fire();
  }

  /** The log begins further on. */
  skipTo(offset: number): void {
    this.position = offset;
    this.#arrived.fire();
  }

  /** The next records, within both bounds; one at least when there is any. */
  take(maxRecords: number, maxBytes: number): FetchedRecord[] {
    const taken: FetchedRecord[] = [];
    let bytes = 0;
    while (taken.length < maxRecords && this.#head < this.#records.length) {
      const next = this.#records[this.#head]!;
      if (taken.length > 0 && bytes + next.bytes > maxBytes) break;
      bytes += next.bytes;
      taken.push(next.record);
      this.#head++;
    }
    this.#bytes -= bytes;
    if (this.#head === this.#records.length) {
      this.#records = [];
      this.#head = 0;
    }
    return taken;
  }

  /** No record below it will be taken any more. */
  get next(): number {
    return this.#records[this.#head]?.record.offset ?? this.position;
  }

  /** Resolves when something came, or the signal aborts. */
  arrived(signal: AbortSignal): Promise<void> {
    return this.#arrived.next(signal);
  }
}
