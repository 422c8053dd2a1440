import { randomUUID } from 'node:crypto';
import type { Batch } from './batch-cutter.js';
import type { Block, WriteReport } from '@tidemark/history';
import {
  noteBlocks,
  rowBlocks,
  sharedToken,
  type BatchWriter,
  type BatchWriterDeps,
  type Brought,
} from './batch-writer.js';
import { createLimiter } from './limiter.js';

/** A batch, and the writer of its partition. */
export interface Share {
  writer: BatchWriter;
  batch: Batch;
}

type Begun = Share & { brought: Brought };

/**
 * Writes batches of several partitions of one topic with one insert for each table and day. Gives a promise for each, in
 * the same order: that it is written and committed, or why it is left to another.
 *
 * Every partition's metadata names the shared insert before it is sent. From then on whoever has a partition can only get
 * past the batch by settling it under that name: either the shared insert came first, and the batch's rows are found; or
 * the rows of this batch take the name, and the shared insert can never come any more. In the second case it would be
 * lost for the others as well, and the server says nothing of it. So it counts only if the log confirms, after it, that
 * every partition that may have named it had no other owner up to then; else each batch is settled alone. Only then is it
 * noted which chunks were written: a next owner would leave out what is noted.
 */
export function writeTogether(
  shares: readonly Share[],
  { topic, history, logger, metrics }: Pick<BatchWriterDeps, 'topic' | 'history' | 'logger' | 'metrics'>,
): Promise<void>[] {
  const shared = randomUUID();
  const begun = shares.map(async ({ writer, batch: own }): Promise<Begun> => {
    const batch = { ...own, shared };
    await writer.begin(batch);
    return { writer, batch, brought: await writer.read(batch) };
  });
  const done = Promise.allSettled(begun).then(bringAll);
  // A second statement by the name of one that is at work is refused: one after the other.
  const turns = createLimiter(1);
  return begun.map(async (one) => {
    const { writer, batch, brought } = await one;
    if (!(await done)) await writer.bring({ ...batch, again: true }, brought, turns);
    await writer.finish(batch, brought);
  });

  async function bringAll(results: readonly PromiseSettledResult<Begun>[]): Promise<boolean> {
    const all = results.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    // One that is left to another may have named the insert before: its next owner may take the name at any time.
    if (all.length === 0 || all.length < results.length) return false;
    const brought = all.map((one) => one.brought);
    const name = sharedToken(topic, shared);
    try {
      const rows = await send(name, rowBlocks(topic, brought));
      await ofAll(({ writer, batch }) => writer.confirm(batch));
      // Under a name that nobody else takes: a second copy of a note folds into the first.
      const notes = await send(`${name}/notes`, noteBlocks(topic, brought));
      for (const report of [rows, notes]) all[0]?.writer.count(report);
      return true;
    } catch (error) {
      metrics.retries.inc({ topic: topic.topic });
      logger.info(
        { topic: topic.topic, partitions: all.length, error: (error as Error).message },
        'a shared insert is uncertain: each partition settles its own rows',
      );
      return false;
    }

    function send(token: string, blocks: readonly Block[]): Promise<WriteReport> {
      return history.write(blocks, {
        ...{ token, again: false },
        beforeBlock: () => ofAll(({ writer, batch }) => writer.makeSure(batch)),
        onBlock: (block) => all[0]!.writer.wrote(block),
      });
    }

    /** Waits for all of them, also when one fails. */
    async function ofAll(step: (one: Begun) => Promise<void>): Promise<void> {
      const failed = (await Promise.allSettled(all.map(step))).find((result) => result.status === 'rejected');
      if (failed) throw failed.reason;
    }
  }
}
