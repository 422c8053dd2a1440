import type { FindingRecord, NodeRecord, SampleChunk } from '@tidemark/contracts';
import type { History, WrittenChunk, WrittenRecord } from '@tidemark/history';

/** What of history tells whether a record was written before. */
export type WrittenBefore = Pick<History, 'writtenChunks' | 'writtenHeartbeats' | 'writtenFindings'>;

/**
 * Knows repeats: the log has a record twice when its producer did not hear that it was taken the first time. Which items
 * of a batch are repeats depends on other batches alone, not on what of this one is written, so that a batch which is
 * cut again is told apart again in the same way.
 */
export interface Repeats<T> {
  /** The items that no other batch brought, each once. Throws HistoryError when history cannot be asked. */
  fresh(items: readonly T[], batch: number): Promise<T[]>;
  /** What history is to note of these items, after their rows. */
  note(fresh: readonly T[], batch: number): WrittenChunk[];
  /** The batch is in history. */
  written(fresh: readonly T[]): void;
}

/** Runs, and nodes or findings, remembered of one partition: what is beyond it is looked up, or was silent for longest. */
const MOST_KNOWN = 50_000;

/**
 * Chunks of one run come in the order of their numbers, with gaps; what is not above the highest one that was written is a
 * repeat. The highest ones are read from history once, at the first batch: a batch notes its chunks there with its last
 * block, so that of a batch under way all are there or none.
 */
export function sampleRepeats(history: WrittenBefore, topic: string, partition: number): Repeats<SampleChunk> {
  let reading: Promise<Map<string, number>> | undefined;
  let known: Map<string, number> | undefined;

  async function read(): Promise<Map<string, number>> {
    const rows = await history.writtenChunks(topic, partition);
    return new Map(rows.map(({ node, run, seq }) => [runOf({ node, run }), seq]));
  }

  return {
    async fresh(items) {
      reading ??= read();
      try {
        known ??= await reading;
      } catch (error) {
        reading = undefined;
        throw error;
      }
      const here = new Map<string, number>();
      return items.filter((chunk) => {
        const run = runOf(chunk);
        if (chunk.seq <= (here.get(run) ?? known!.get(run) ?? -1)) return false;
        here.set(run, chunk.seq);
        return true;
      });
    },
    note(fresh, batch) {
      const newest = [...new Map(fresh.map((chunk) => [runOf(chunk), chunk])).values()];
      return newest.map(({ node, run, seq }) => ({ node, run, seq, partition, batch }));
    },
    written(fresh) {
      for (const chunk of fresh) remember(known!, runOf(chunk), chunk.seq);
    },
  };
}

function runOf({ node, run }: { node: string; run: string }): string {
  return `${node}\n${run}`;
}

/** The newest last; the oldest goes when there are too many. */
function remember(known: Map<string, number>, name: string, value: number): void {
  known.delete(name);
  known.set(name, value);
  if (known.size > MOST_KNOWN) known.delete(known.keys().next().value!);
}

export function heartbeatRepeats(history: WrittenBefore): Repeats<NodeRecord> {
  return recordRepeats(
    ({ node, at, run, state }) => ({ id: node, at, mark: `${run} ${state}` }),
    (ids, from, batch) => history.writtenHeartbeats(ids, from, batch),
  );
}

/** Of acknowledgements the newest counts, however often it comes. */
export function findingRepeats(history: WrittenBefore): Repeats<FindingRecord> {
  return recordRepeats(
    (record) =>
      record.type === 'finding'
        ? { id: record.id, at: record.at, mark: `${record.state} ${record.imminent}` }
        : undefined,
    (ids, from, batch) => history.writtenFindings(ids, from, batch),
  );
}

/**
 * Records with an identity of their own. One that is newer than all that history has of its id cannot be a repeat; any
 * other, and the first of its id, is looked up.
 */
function recordRepeats<T>(
  identityOf: (item: T) => WrittenRecord | undefined,
  lookUp: (ids: readonly string[], from: number, batch: number) => Promise<WrittenRecord[]>,
): Repeats<T> {
  const newest = new Map<string, number>();
  const noteTime = ({ id, at }: WrittenRecord): void => remember(newest, id, Math.max(at, newest.get(id) ?? at));

  /** Names of what other batches brought of the doubtful ones. */
  async function written(doubtful: readonly WrittenRecord[], batch: number): Promise<Set<string>> {
    if (doubtful.length === 0) return new Set();
    const ids = [...new Set(doubtful.map(({ id }) => id))];
    const from = doubtful.reduce((least, { at }) => Math.min(least, at), Infinity);
    const found = await lookUp(ids, from, batch);
    for (const one of found) noteTime(one);
    return new Set(found.map(nameOf));
  }

  return {
    async fresh(items, batch) {
      const doubtful = items.flatMap((item) => {
        const identity = identityOf(item);
        return identity && identity.at <= (newest.get(identity.id) ?? Infinity) ? [identity] : [];
      });
      const seen = await written(doubtful, batch);
      return items.filter((item) => {
        const identity = identityOf(item);
        if (!identity) return true;
        const name = nameOf(identity);
        if (seen.has(name)) return false;
        seen.add(name);
        return true;
      });
    },
    note: () => [],
    written(fresh) {
      for (const item of fresh) {
        const identity = identityOf(item);
        if (identity) noteTime(identity);
      }
    },
  };
}

function nameOf({ id, at, mark }: WrittenRecord): string {
  return `${id}\n${at}\n${mark}`;
}
