import type { CommittedPosition } from '../event-log.js';
import type { StoredPosition } from '../memory/broker.js';
import { JournalPartition, type JournalPartitionOptions } from './journal-partition.js';

/** Superseded positions above this are compacted away. */
const COMPACT_ABOVE = 1024 * 1024;

/** The groups' positions, kept as a compacted partition of their own. */
export interface Positions {
  /** What was stored by earlier runs. */
  readonly known: readonly StoredPosition[];
  readonly diskBytes: number;
  /** The highest offset that a group of an earlier run committed in the partition. */
  end(topic: string, partition: number): number;
  store(stored: StoredPosition): Promise<void>;
  close(): Promise<void>;
  abandon(): Promise<void>;
}

/** What all partitions of a journal have in common. */
export type SharedOptions = Omit<JournalPartitionOptions, 'directory' | 'topic' | 'partition' | 'compacted' | 'minEnd'>;

export async function openPositions(directory: string, shared: SharedOptions): Promise<Positions> {
  const partition = await JournalPartition.open({
    ...shared,
    directory,
    topic: 'positions',
    partition: 0,
    compacted: true,
    minEnd: 0,
  });
  const known = await readAll(partition);
  let compacting = false;
  const compact = async (): Promise<void> => {
    if (compacting || partition.supersededBytes < COMPACT_ABOVE) return;
    compacting = true;
    // The position itself is safe: a compaction that fails is tried again after a later one.
    await partition.compact(() => false).catch((error: unknown) => shared.warn((error as Error).message));
    compacting = false;
  };
  return {
    known,
    get diskBytes() {
      return partition.diskBytes;
    },
    async store({ group, topic, partition: index, position }) {
      const key = JSON.stringify([group, topic, index]);
      const value = Buffer.from(JSON.stringify(position));
      await partition.append([{ key, value, headers: {}, timestamp: Date.now(), bytes: key.length + value.length }]);
      void compact();
    },
    end: (topic, index) =>
      known
        .filter((stored) => stored.topic === topic && stored.partition === index)
        .reduce((end, { position }) => Math.max(end, position.offset), 0),
    close: () => partition.close(),
    abandon: () => partition.abandon(),
  };
}

async function readAll(partition: JournalPartition): Promise<StoredPosition[]> {
  const latest = new Map<string, CommittedPosition>();
  for (let from = partition.start; from < partition.end;) {
    const records = await partition.read(from, { records: 10_000, bytes: 1024 * 1024 });
    const last = records.at(-1);
    if (!last) break;
    for (const { key, value } of records) {
      latest.set(key, JSON.parse(Buffer.from(value!).toString()) as CommittedPosition);
    }
    from = last.offset + 1;
  }
  return [...latest].map(([key, position]) => {
    const [group, topic, index] = JSON.parse(key) as [string, string, number];
    return { group, topic, partition: index, position };
  });
}
