import type { LogRecord, PartitionContext, PartitionHandler } from '@tidemark/event-log';
import { BatchCutter, type Loss } from './batch-cutter.js';
import { decodeMetadata } from './batch-metadata.js';
import { BatchWriter, isRevoked, type BatchWriterDeps } from './batch-writer.js';
import type { Limiter } from './limiter.js';
import { decodeRecord } from './record-topic.js';

export interface PartitionWriterDeps extends BatchWriterDeps {
  limiter: Limiter;
  /** A record waits no longer than this for others, milliseconds; asked whenever there is something to wait for. */
  flushMs(): number;
}

const BATCH_LIMITS = { maxBytes: 2 * 1024 * 1024, maxRows: 50_000 };

/** Serves one partition: gathers its records into batches, by size and time, and has them written one after another. */
export class PartitionWriter implements PartitionHandler {
  readonly #context: PartitionContext;
  readonly #deps: PartitionWriterDeps;
  readonly #cutter: BatchCutter;
  readonly #writer: BatchWriter;
  #nextOffset = -1;
  #closing: 'revoked' | 'drain' | undefined;
  #timer: NodeJS.Timeout | undefined;
  #working: Promise<void> | undefined;
  #stopped = false;
  #broken: Error | undefined;

  private constructor(context: PartitionContext, deps: PartitionWriterDeps, cutter: BatchCutter) {
    this.#context = context;
    this.#deps = deps;
    this.#cutter = cutter;
    this.#writer = new BatchWriter(context, deps);
  }

  static async create(context: PartitionContext, deps: PartitionWriterDeps): Promise<PartitionWriter> {
    const { committed, partition } = context;
    const known = committed && decodeMetadata(committed.metadata);
    const last = known?.last ?? -1;
    const underWay = committed && last >= committed.offset ? { first: committed.offset, last } : undefined;
    // From the first commit on nobody but the writer moves the position, so that none passes a batch under way.
    if (committed) await context.commit(committed.offset, committed.metadata);
    const onLoss = ({ first, last, whole }: Loss): void => {
      deps.metrics.lost.inc({ topic: deps.topic.topic });
      deps.logger.error(
        { topic: deps.topic.topic, partition, first, last },
        `records of a batch under way are gone from the log: ${whole ? 'all' : 'some'} of those that were not yet written are lost`,
      );
    };
    // Numbers go on from the time, so that a log that begins anew does not use those of an older one again.
    const cutter = new BatchCutter(BATCH_LIMITS, known?.batch ?? Date.now(), underWay, onLoss);
    return new PartitionWriter(context, deps, cutter);
  }

  get topic(): string {
    return this.#context.topic;
  }

  get pendingRecords(): number {
    return this.#cutter.records;
  }

  get pendingBytes(): number {
    return this.#cutter.bytes;
  }

  /** Why records wait; undefined when nothing is wrong. */
  get failure(): Error | undefined {
    return this.#broken ?? this.#writer.failure;
  }

  async handle(records: readonly LogRecord[]): Promise<void> {
    for (const record of records) {
      // Records come again when a damaged one among them could not be put aside.
      if (record.offset < this.#nextOffset) continue;
      const { rows, kept } = await this.#check(record);
      const bytes = (kept.value?.byteLength ?? 0) + record.key.length;
      this.#cutter.push({ record: this.failure ? detached(kept) : kept, bytes, rows, since: performance.now() });
      this.#nextOffset = record.offset + 1;
    }
    this.#wake();
  }

  /** Rows that the record makes. A damaged one is put aside; without its value it still moves the position. */
  async #check(record: LogRecord): Promise<{ rows: number; kept: LogRecord }> {
    const { topic, metrics, logger } = this.#deps;
    try {
      const item = decodeRecord(topic, record);
      return { rows: item === undefined ? 0 : topic.rows(item), kept: record };
    } catch (error) {
      await this.#context.reject(record, error as Error);
      metrics.rejected.inc({ topic: topic.topic });
      const { partition, offset } = record;
      logger.warn(
        { topic: topic.topic, partition, offset, error: (error as Error).message },
        'record is damaged and was put aside',
      );
      return { rows: 0, kept: { ...record, value: null } };
    }
  }

  #wake(): void {
    if (this.#working || this.#stopped) return;
    clearTimeout(this.#timer);
    const { since, incomplete, full } = this.#cutter;
    if (since === undefined || incomplete || this.#closing === 'revoked') return;
    const wait = full || this.#closing ? 0 : since + this.#deps.flushMs() - performance.now();
    if (wait > 0) {
      this.#timer = setTimeout(() => this.#wake(), wait);
      return;
    }
    this.#working = this.#work().finally(() => {
      this.#working = undefined;
      this.#wake();
    });
  }

  async #work(): Promise<void> {
    const { limiter, topic, logger } = this.#deps;
    try {
      // Cut when its turn comes: what arrives while others are written goes along.
      await limiter(async () => {
        const batch = this.#cutter.cut();
        if (batch) await this.#writer.write(batch);
      });
    } catch (error) {
      this.#stopped = true;
      if (this.#closing || isRevoked(error)) return;
      this.#broken = error as Error;
      logger.error(
        { topic: topic.topic, partition: this.#context.partition, error: this.#broken.message },
        'stops writing this partition',
      );
    }
  }

  /** Writes what waits when there is time; leaves it to the next owner when the partition is taken away. */
  async close(reason: 'revoked' | 'drain'): Promise<void> {
    this.#closing = reason;
    this.#writer.stop();
    this.#wake();
    while (this.#working) await this.#working;
    this.#stopped = true;
    clearTimeout(this.#timer);
  }
}

/** The record with a view of its own, so that what is decoded of it need not stay as long as it waits. */
function detached(record: LogRecord): LogRecord {
  return { ...record, value: record.value && record.value.subarray() };
}
