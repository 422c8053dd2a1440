import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { EventLogError } from '../errors.js';
import type { Storage, StoredPosition } from '../memory/broker.js';
import { inspectDirectory, noteClosed, noteOpen, prepareDirectory, readTopics, writeTopic } from './directory.js';
import { journalError, realDisk, type Disk } from './disk.js';
import { JournalPartition } from './journal-partition.js';
import { lockDirectory, readBootId, type DirectoryLock } from './lock.js';
import { openPositions, type Positions, type SharedOptions } from './positions.js';
import { RecordCache } from './record-cache.js';

export interface JournalStorageOptions {
  directory: string;
  fsync: boolean;
  segmentBytes: number;
  /** Records kept in memory, bytes. */
  memoryBytes: number;
  warn(line: string): void;
  disk?: Disk;
  /** Boot id of the machine; for tests. */
  boot?: string;
}

/** After the machine died, offsets go on this far behind: more than was ever in flight. */
const SKIPPED_OFFSETS = 1_000_000;

/** Opens a journal directory, or makes one. Throws EVENT_LOG_JOURNAL when it is held, foreign, or cannot be used. */
export async function openJournalStorage(options: JournalStorageOptions): Promise<Storage> {
  const { directory } = options;
  let lock: DirectoryLock | undefined;
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await inspectDirectory(directory);
    lock = await lockDirectory(directory);
    await prepareDirectory(directory);
    const machineDied = await noteOpen(directory, options.boot ?? (await readBootId()));
    const cache = new RecordCache(options.memoryBytes);
    const shared = {
      segmentBytes: options.segmentBytes,
      fsync: options.fsync,
      disk: options.disk ?? realDisk,
      cache,
      skipOffsets: machineDied ? SKIPPED_OFFSETS : 0,
      warn: options.warn,
    };
    const positions = await openPositions(join(directory, 'positions'), shared);
    return await createStorage(directory, lock, cache, positions, shared);
  } catch (error) {
    await lock?.release();
    throw error instanceof EventLogError ? error : journalError(`opening ${directory}`, error);
  }
}

async function createStorage(
  directory: string,
  lock: DirectoryLock,
  cache: RecordCache,
  positions: Positions,
  shared: SharedOptions,
): Promise<Storage> {
  const topics = await readTopics(directory);
  const partitions: JournalPartition[] = [];
  const sum = (bytes: (partition: JournalPartition) => number): number =>
    partitions.reduce((total, partition) => total + bytes(partition), 0);
  return {
    topics,
    get positions() {
      return positions.known.map((stored) => beyondLost(stored, partitions));
    },
    get memoryBytes() {
      return cache.bytes + sum(({ pendingBytes }) => pendingBytes);
    },
    get journalBytes() {
      return positions.diskBytes + sum(({ diskBytes }) => diskBytes);
    },
    async openTopic(spec) {
      const path = await writeTopic(directory, spec);
      const compacted = spec.cleanup !== 'delete';
      const opened = await Promise.all(
        Array.from({ length: spec.partitions }, (_, partition) =>
          JournalPartition.open({
            ...shared,
            directory: join(path, String(partition)),
            topic: spec.name,
            partition,
            compacted,
            minEnd: positions.end(spec.name, partition),
          }),
        ),
      );
      partitions.push(...opened);
      return opened;
    },
    async saveTopic(spec) {
      await writeTopic(directory, spec);
    },
    storePosition: (stored) => positions.store(stored),
    async close() {
      try {
        await Promise.all([...partitions.map((partition) => partition.close()), positions.close()]);
        await noteClosed(directory);
      } catch (error) {
        // What was acknowledged is written all the same; the next open takes it for a crash.
        shared.warn(journalError(`closing ${directory}`, error).message);
      } finally {
        await lock.release();
      }
    },
    async abandon() {
      await Promise.all([...partitions.map((partition) => partition.abandon()), positions.abandon()]);
      await lock.release();
    },
  };
}

/** A group that had read everything before the machine died has read everything now. */
function beyondLost(stored: StoredPosition, partitions: readonly JournalPartition[]): StoredPosition {
  const partition = partitions.find(({ topic, index }) => topic === stored.topic && index === stored.partition);
  if (!partition || stored.position.offset < partition.foundEnd) return stored;
  return { ...stored, position: { ...stored.position, offset: Math.max(partition.end, stored.position.offset) } };
}
