import type { PartitionLag } from '@tidemark/event-log';

/** Follows the reading of a topic up to where it ended at a moment of the past. */
export interface TopicEnd {
  /** All records before this offset of the partition are done with. */
  reached(partition: number, next: number): void;
  /** Whether the record was written after that moment. */
  isBehind(partition: number, offset: number): boolean;
  readonly isReached: boolean;
}

export function createTopicEnd(lags: readonly PartitionLag[]): TopicEnd {
  const ends = new Map(lags.map(({ partition, end }) => [partition, end]));
  const open = new Set(lags.filter(({ end }) => end > 0).map(({ partition }) => partition));
  return {
    reached(partition, next) {
      if (next >= (ends.get(partition) ?? 0)) open.delete(partition);
    },
    isBehind: (partition, offset) => offset >= (ends.get(partition) ?? 0),
    get isReached() {
      return open.size === 0;
    },
  };
}
