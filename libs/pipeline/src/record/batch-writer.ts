import type { PartitionContext } from '@tidemark/event-log';
import type { History, WriteReport } from '@tidemark/history';
import type { Logger } from '@tidemark/service';
import type { Batch } from './batch-cutter.js';
import { encodeMetadata, rowBatch } from './batch-metadata.js';
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

const DEFAULT_LEASE_MS = 5_000;

/**
 * Writes batches of one partition, each record once.
 *
 * Before a batch is written its offsets are committed as metadata of its first; then come the tables; then the position
 * moves past it. After a crash the same offsets make the same batch, and history tells what of it is there already.
 * Records that an earlier batch brought are left out.
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

  /** Resolves when the batch is written and committed; rejects when that must be left to another. */
  async write(batch: Batch): Promise<void> {
    const { topic, metrics, logger } = this.#deps;
    const { partition } = this.#context;
    const { number, first, last } = batch;
    const done = metrics.seconds.startTimer({ topic: topic.topic });
    await this.#reached('cut');
    if (!batch.again) await this.#commit(first, encodeMetadata({ batch: number, last }));
    await this.#reached('intent');
    const report = await this.#bring(batch);
    for (const oddity of report.oddities) logger.warn({ topic: topic.topic, partition, batch: number }, oddity);
    await this.#reached('tables');
    await this.#commit(last + 1, encodeMetadata({ batch: number }));
    await this.#reached('committed');
    for (const [table, rows] of Object.entries(report.rows)) metrics.rows.inc({ table }, rows);
    metrics.batches.inc({ topic: topic.topic });
    done();
  }

  async #bring(batch: Batch): Promise<WriteReport> {
    const { topic, metrics, history } = this.#deps;
    const { partition } = this.#context;
    const { number, first, last, records } = batch;
    const beforeBlock = (): Promise<void> => this.#makeSure(batch);
    const repeats = this.#repeats;
    const items = records.map((record) => decodeRecord(topic, record)).filter((item) => item !== undefined);
    const row = rowBatch(number, partition);
    const fresh = repeats ? await this.#persist(() => repeats.fresh(items, row)) : items;
    // Of a batch under way what is left out may be its own.
    if (!batch.again) metrics.repeated.inc({ topic: topic.topic }, items.length - fresh.length);
    const blocks = [...topic.blocks(fresh, row), ...(repeats?.note(fresh, row) ?? [])];
    const token = `${topic.topic}/${partition}/${first}-${last}/${number}`;
    const onBlock = (): Promise<void> => this.#reached('table');
    const report = await this.#persist((again) =>
      history.write(blocks, { token, again: again || batch.again, beforeBlock, onBlock }),
    );
    repeats?.written(fresh);
    return report;
  }

  /**
   * A writer that was stopped for a while may have been replaced without knowing: before it goes on it asks the log, by
   * committing once more what it is about to write. Throws EVENT_LOG_REVOKED when the partition is another's.
   */
  async #makeSure({ number, first, last }: Batch): Promise<void> {
    const { steady, wall } = this.#ownedAt;
    const sinceMs = Math.max(performance.now() - steady, Math.abs(Date.now() - wall));
    if (sinceMs < (this.#deps.leaseMs ?? DEFAULT_LEASE_MS)) return;
    await this.#commitOnce(first, encodeMetadata({ batch: number, last }));
  }

  async #commitOnce(offset: number, metadata: string): Promise<void> {
    const asked = { steady: performance.now(), wall: Date.now() };
    await this.#context.commit(offset, metadata);
    this.#ownedAt = asked;
  }

  async #reached(name: Checkpoint): Promise<void> {
    await this.#deps.checkpoint?.(name);
  }

  #commit(offset: number, metadata: string): Promise<void> {
    return this.#persist(() => this.#commitOnce(offset, metadata));
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

export function isRevoked(error: unknown): boolean {
  return (error as { code?: unknown } | null)?.code === 'EVENT_LOG_REVOKED';
}
