import type { LogRecord, PartitionContext, PartitionHandler } from '@tidemark/event-log';
import { BatchCutter, type Batch, type CutLimits, type Loss } from './batch-cutter.js';
import { decodeMetadata } from './batch-metadata.js';
import { BatchWriter, isRevoked, type BatchWriterDeps } from './batch-writer.js';
import { ROUND_LIMITS, type Gatherer, type Member } from './gatherer.js';
import { decodeRecord } from './record-topic.js';

export interface PartitionWriterDeps extends BatchWriterDeps {
  gatherer: Gatherer;
  /** A record waits no longer than this for others, milliseconds. */
  flushMs: number;
}

/** Serves one partition: keeps its records until they are due, by size or time, and has them written in batches. */
export class PartitionWriter implements PartitionHandler, Member {
  readonly #context: PartitionContext;
  readonly #deps: PartitionWriterDeps;
  readonly #cutter: BatchCutter;
  readonly writer: BatchWriter;
  #nextOffset = -1;
  #closing: 'revoked' | 'drain' | undefined;
  #stopped = false;
  #broken: Error | undefined;

  private constructor(context: PartitionContext, deps: PartitionWriterDeps, cutter: BatchCutter) {
    this.#context = context;
    this.#deps = deps;
    this.#cutter = cutter;
    this.writer = new BatchWriter(context, deps);
    deps.gatherer.add(this);
  }

  static async create(context: PartitionContext, deps: PartitionWriterDeps): Promise<PartitionWriter> {
    const { committed, partition } = context;
    const known = committed && decodeMetadata(committed.metadata);
    const { last = -1, shared } = known ?? {};
    const underWay =
      committed && last >= committed.offset
        ? { first: committed.offset, last, ...(shared !== undefined && { shared }) }
        : undefined;
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
    const cutter = new BatchCutter(ROUND_LIMITS, known?.batch ?? Date.now(), underWay, onLoss);
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
    return this.#broken ?? this.writer.failure;
  }

  async handle(records: readonly LogRecord[]): Promise<void> {
    try {
      for (const record of records) {
        // Records come again when a damaged one among them could not be put aside.
        if (record.offset < this.#nextOffset) continue;
        const rows = this.#rowsOf(record);
        if (typeof rows === 'number') this.#keep(record, rows);
        else this.#keep(await this.#putAside(record, rows), 0);
        this.#nextOffset = record.offset + 1;
      }
    } finally {
      this.#deps.gatherer.look();
    }
  }

  #keep(record: LogRecord, rows: number): void {
    const bytes = (record.value?.byteLength ?? 0) + record.key.length;
    this.#cutter.push({ record: this.failure ? detached(record) : record, bytes, rows, since: performance.now() });
  }

  /** Rows that the record makes; the reason when it is damaged. */
  #rowsOf(record: LogRecord): number | Error {
    const { topic } = this.#deps;
    try {
      const item = decodeRecord(topic, record);
      return item === undefined ? 0 : topic.rows(item);
    } catch (error) {
      return error as Error;
    }
  }

  /** What is left of a damaged record: without its value it still moves the position. */
  async #putAside(record: LogRecord, reason: Error): Promise<LogRecord> {
    const { topic, metrics, logger } = this.#deps;
    await this.#context.reject(record, reason);
    metrics.rejected.inc({ topic: topic.topic });
    const { partition, offset } = record;
    const fields = { topic: topic.topic, partition, offset, error: reason.message };
    logger.warn(fields, 'record is damaged and was put aside');
    return { ...record, value: null };
  }

  get dueAt(): number {
    const { since, incomplete, full } = this.#cutter;
    if (since === undefined || incomplete || this.#stopped || this.#closing === 'revoked') return Infinity;
    return full || this.#closing ? since : since + this.#deps.flushMs;
  }

  cut(limits: CutLimits): Batch | undefined {
    return this.#cutter.cut(limits);
  }

  broke(error: unknown): void {
    const { topic, logger } = this.#deps;
    this.#stopped = true;
    this.#deps.gatherer.remove(this);
    if (this.#closing || isRevoked(error)) return;
    this.#broken = error as Error;
    logger.error(
      { topic: topic.topic, partition: this.#context.partition, error: this.#broken.message },
      'stops writing this partition',
    );
  }

  /** Writes what waits when there is time; leaves it to the next owner when the partition is taken away. */
  async close(reason: 'revoked' | 'drain'): Promise<void> {
    this.#closing = reason;
    this.writer.stop();
    await this.#deps.gatherer.written(this);
    this.#stopped = true;
    this.#deps.gatherer.remove(this);
  }
}

/** The record with a view of its own, so that what is decoded of it need not stay as long as it waits. */
function detached(record: LogRecord): LogRecord {
  return { ...record, value: record.value && record.value.subarray() };
}
