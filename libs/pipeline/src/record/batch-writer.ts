import type { PartitionContext } from '@tidemark/event-log';
import type { History } from '@tidemark/history';
import type { Logger } from '@tidemark/service';
import type { Batch } from './batch-cutter.js';
import { encodeMetadata, rowBatch } from './batch-metadata.js';
import type { RecordMetrics } from './record-metrics.js';
import { decodeRecord, type RecordTopic } from './record-topic.js';

/** Moments between two of which a crash may come. */
export type Checkpoint = 'cut' | 'intent' | 'table' | 'tables' | 'committed';

export interface BatchWriterDeps {
  topic: RecordTopic;
  history: Pick<History, 'write'>;
  logger: Logger;
  metrics: RecordMetrics;
  retry: { initialMs: number; maxMs: number };
  /** For tests: called at each moment; one that never resolves is the crash. */
  checkpoint?: (name: Checkpoint) => void | Promise<void>;
}

/**
 * Writes batches of one partition, each record once.
 *
 * Before a batch is written its offsets are committed as metadata of its first; then come the tables; then the position
 * moves past it. After a crash the same offsets make the same batch, and history tells what of it is there already.
 */
export class BatchWriter {
  readonly #context: PartitionContext;
  readonly #deps: BatchWriterDeps;
  readonly #stop = new AbortController();
  #failure: Error | undefined;

  constructor(context: PartitionContext, deps: BatchWriterDeps) {
    this.#context = context;
    this.#deps = deps;
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
    const { topic, metrics, history, logger, checkpoint } = this.#deps;
    const { partition } = this.#context;
    const { number, first, last } = batch;
    const reached = async (name: Checkpoint): Promise<void> => checkpoint?.(name);
    const done = metrics.seconds.startTimer({ topic: topic.topic });
    await reached('cut');
    if (!batch.again) await this.#commit(first, encodeMetadata({ batch: number, last }));
    await reached('intent');
    const items = batch.records.map((record) => decodeRecord(topic, record)).filter((item) => item !== undefined);
    const blocks = topic.blocks(items, rowBatch(number, partition));
    const token = `${topic.topic}/${partition}/${first}-${last}/${number}`;
    const report = await this.#persist((again) =>
      history.write(blocks, { token, again: again || batch.again, onBlock: () => reached('table') }),
    );
    for (const oddity of report.oddities) logger.warn({ topic: topic.topic, partition, batch: number }, oddity);
    await reached('tables');
    await this.#commit(last + 1, encodeMetadata({ batch: number }));
    await reached('committed');
    for (const [table, rows] of Object.entries(report.rows)) metrics.rows.inc({ table }, rows);
    metrics.batches.inc({ topic: topic.topic });
    done();
  }

  #commit(offset: number, metadata: string): Promise<void> {
    return this.#persist(() => this.#context.commit(offset, metadata));
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
