import type { TopicSpec } from '@tidemark/contracts';
import type { Storage } from './broker.js';
import { MemoryPartition } from './memory-partition.js';
import type { PartitionStore } from './store.js';

/** Keeps everything in memory: it is gone with the process. */
export function createMemoryStorage(): Storage {
  const partitions: PartitionStore[] = [];
  return {
    topics: [],
    positions: [],
    journalBytes: 0,
    get memoryBytes() {
      return partitions.reduce((sum, partition) => sum + partition.bytes, 0);
    },
    openTopic(spec: TopicSpec) {
      const opened = Array.from(
        { length: spec.partitions },
        (_, index) => new MemoryPartition(spec.name, index, spec.cleanup !== 'delete'),
      );
      partitions.push(...opened);
      return Promise.resolve(opened);
    },
    saveTopic: () => Promise.resolve(),
    storePosition: () => Promise.resolve(),
    close: () => Promise.resolve(),
    abandon: () => Promise.resolve(),
  };
}
