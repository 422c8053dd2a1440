import type { PartitionContext } from '@tidemark/event-log';
import { writtenChunksBlock, type Block, type History, type WriteReport, type WrittenChunk } from '@tidemark/history';
import type { Logger } from '@tidemark/service';
import type { Batch } from './batch-cutter.js';
import { encodeMetadata, rowBatch } from './batch-metadata.js';
import type { Limiter } from './limiter.js';
import type { RecordMetrics } from './record-metrics.js';
import { decodeRecord, type RecordTopic } from './record-topic.js';
import type { Repeats, WrittenBefore } from './repeats.js';

/** Moments between two of which a crash may come. */
export type Checkpoint = 'cut' | 'intent' | 'table' | 'tables' | 'committed';

/** What the stage asks of history. */
export type RecordHistory = Pick<History, 'write'> & WrittenBefore;

export interface BatchWriterDeps {
  topic: RecordTopic;
  history: RecordHistory;
  logger: Logger;
  metrics: RecordMetrics;
  retry: { initialMs: number; maxMs: number };
  /** A block is sent at most so long after the log said that the partition is this writer's, milliseconds. Default 5,000. */
  leaseMs?: number;
  /** For tests: called at each moment; one that never resolves is the crash. */
  checkpoint?: (name: Checkpoint) => void | Promise<void>;
}

/** What a batch brings, each record once. */
export interface Brought {
  items: readonly unknown[];
  notes: readonly WrittenChunk[];
  /** The number that its rows carry. */
  number: number;
}

const DEFAULT_LEASE_MS = 5_000;

/**
 * Writes batches of one partition, each record once.
 *
 * Before a batch is written its offsets are committed as metadata of its first; then come the tables; then the position
 * moves past it. After a crash the same offsets make the same batch, and history tells what of it is there already.
 * Records that an earlier batch brought are left out. The steps are apart, so that batches of several partitions can go
 * them together: see `writeTogether`.
 */
export class BatchWriter {
  readonly #context: PartitionContext;
  readonly #deps: BatchWriterDeps;
  readonly #stop = new AbortController();
  readonly #repeats: Repeats<unknown> | undefined;
  /** When the log last took a commit: by a clock that stands still while the machine sleeps, and by one that does not. */
  #ownedAt = { steady: -Infinity, wall: -Infinity };
  #failure: Error | undefined;

  constructor(context: PartitionContext, deps: BatchWriterDeps) {
    this.#context = context;
    this.#deps = deps;
    this.#repeats = deps.topic.repeats?.(deps.history, context.partition);
  }

  /** Why the last try did not work; undefined when it did. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Gives up at the next failure, instead of trying again. */
  stop(): void {
    this.#stop.abort();
  }

  /** All steps of a batch alone. Resolves when it is written and committed; rejects when that must be left to another. */
  async write(batch: Batch, turns?: Limiter): Promise<void> {
    await this.begin(batch);
    const brought = await this.read(batch);
    await this.bring(batch, brought, turns);
    await this.finish(batch, brought);
  }

  /** Says in the log what will be written. */
  async begin(batch: Batch): Promise<void> {
    await this.#reached('cut');
    if (!batch.again) await this.#persist(() => this.#claim(batch));
    await this.#reached('intent');
  }

  /** Decodes the batch, and leaves out what other batches brought. */
  async read({ number, records, again }: Batch): Promise<Brought> {
    const { topic, metrics } = this.#deps;
    const repeats = this.#repeats;
    const items = records.map((record) => decodeRecord(topic, record)).filter((item) => item !== undefined);
    const row = rowBatch(number, this.#context.partition);
    const fresh = repeats ? await this.#persist(() => repeats.fresh(items, row)) : items;
    // Of a batch under way what is left out may be its own.
    if (!again) metrics.repeated.inc({ topic: topic.topic }, items.length - fresh.length);
    return { items: fresh, notes: repeats?.note(fresh, row) ?? [], number: row };
  }

  /** Puts the batch into its tables, however often that must be tried; tries of several batches can take `turns`. */
  async bring(batch: Batch, brought: Brought, turns: Limiter = (task) => task()): Promise<void> {
    const { topic, history, logger } = this.#deps;
    const { partition } = this.#context;
    const { number, first, last, shared } = batch;
    const ownToken = `${topic.topic}/${partition}/${first}-${last}/${number}`;
    const token = shared === undefined ? ownToken : sharedToken(topic, shared);
    const blocks = [...rowBlocks(topic, [brought]), ...noteBlocks(topic, [brought])];
    const report = await this.#persist((again) =>
      turns(() =>
        history.write(blocks, {
          ...{ token, ownToken, again: again || batch.again },
          // What is settled feeds the rollups once more: never after a follower has written on.
          beforeBlock: () => (again || batch.again ? this.#claim(batch) : this.makeSure(batch)),
          onBlock: (block) => this.wrote(block),
        }),
      ),
    );
    for (const oddity of report.oddities) logger.warn({ topic: topic.topic, partition, batch: number }, oddity);
    this.count(report);
  }

  /** Moves the position past what is in the tables. */
  async finish({ number, last }: Batch, { items }: Brought): Promise<void> {
    const { topic, metrics } = this.#deps;
    await this.#reached('tables');
    this.#repeats?.written(items);
    await this.#persist(() => this.#commit(last + 1, encodeMetadata({ batch: number })));
    await this.#reached('committed');
    metrics.batches.inc({ topic: topic.topic });
  }

  /**
   * A writer that was stopped for a while may have been replaced without knowing: before it goes on it asks the log.
   * Throws EVENT_LOG_REVOKED when the partition is another's.
   */
  async makeSure(batch: Batch): Promise<void> {
    const { steady, wall } = this.#ownedAt;
    const sinceMs = Math.max(performance.now() - steady, Math.abs(Date.now() - wall));
    if (sinceMs >= (this.#deps.leaseMs ?? DEFAULT_LEASE_MS)) await this.#claim(batch);
  }

  /** Resolves when the log says that the batch is this writer's still; throws EVENT_LOG_REVOKED when it is not. */
  confirm(batch: Batch): Promise<void> {
    return this.#persist(() => this.#claim(batch));
  }

  /** A block is in its table. */
  async wrote({ table }: Block): Promise<void> {
    this.#deps.metrics.inserts.inc({ table });
    await this.#reached('table');
  }

  count({ rows }: WriteReport): void {
    for (const [table, count] of Object.entries(rows)) this.#deps.metrics.rows.inc({ table }, count);
  }

  #claim({ number, first, last, shared }: Batch): Promise<void> {
    return this.#commit(first, encodeMetadata({ batch: number, last, ...(shared !== undefined && { shared }) }));
  }

  async #commit(offset: number, metadata: string): Promise<void> {
    const asked = { steady: performance.now(), wall: Date.now() };
    await this.#context.commit(offset, metadata);
    this.#ownedAt = asked;
  }

  async #reached(name: Checkpoint): Promise<void> {
    await this.#deps.checkpoint?.(name);
  }

  /** Tries until it works: what cannot be written now waits, it is never left out. */
  async #persist<T>(action: (again: boolean) => Promise<T>): Promise<T> {
    const { logger, metrics, topic } = this.#deps;
    const fields = { topic: topic.topic, partition: this.#context.partition };
    for (let attempt = 1; ; attempt++) {
      try {
        const result = await action(attempt > 1);
        if (this.#failure) logger.info(fields, 'history takes records again');
        this.#failure = undefined;
        return result;
      } catch (error) {
        // A partition that was taken away is another's now, and so is its batch.
        if (isRevoked(error) || this.#stop.signal.aborted) throw error;
        if (!this.#failure) {
          logger.warn({ ...fields, error: (error as Error).message }, 'history does not take records: they wait');
        }
        this.#failure = error as Error;
        metrics.retries.inc({ topic: topic.topic });
        await this.#pause(attempt);
        if (this.#stop.signal.aborted) throw error;
      }
    }
  }

  async #pause(attempt: number): Promise<void> {
    const { initialMs, maxMs } = this.#deps.retry;
    const ms = Math.min(maxMs, initialMs * 2 ** Math.min(attempt - 1, 20)) * (0.75 + Math.random() / 4);
    const { signal } = this.#stop;
    await new Promise<void>((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', end);
        resolve();
      };
      const timer = setTimeout(end, ms);
      signal.addEventListener('abort', end, { once: true });
    });
  }
}

/** The rows of all of them, one block for each table and day. */
export function rowBlocks(topic: RecordTopic, all: readonly Brought[]): Block[] {
  const numbers = new Map(all.flatMap(({ items, number }) => items.map((item) => [item, number] as const)));
  return topic.blocks([...numbers.keys()], (item) => numbers.get(item)!);
}

/** What notes that they were written: to be sent when it is certain that their rows are in the tables. */
export function noteBlocks(topic: RecordTopic, all: readonly Brought[]): Block[] {
  const notes = all.flatMap((one) => one.notes);
  return notes.length === 0 ? [] : [writtenChunksBlock(topic.topic, notes, Date.now())];
}

export function sharedToken(topic: RecordTopic, shared: string): string {
  return `${topic.topic}/shared/${shared}`;
}

export function isRevoked(error: unknown): boolean {
  return (error as { code?: unknown } | null)?.code === 'EVENT_LOG_REVOKED';
}
