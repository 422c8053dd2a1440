/** Every topic of the event log. A breaking change of a record's shape is a new topic, not a new meaning. */
export const Topic = {
  Nodes: 'mem.nodes.v1',
  Samples: 'mem.samples.v1',
  Allocations: 'mem.allocations.v1',
  Findings: 'mem.findings.v1',
  Control: 'mem.control.v1',
  Policies: 'mem.policies.v1',
  Actions: 'mem.actions.v1',
} as const;

export type TopicName = (typeof Topic)[keyof typeof Topic];

export interface TopicSpec {
  name: string;
  partitions: number;
  cleanup: 'delete' | 'compact' | 'compact,delete';
  /** Records older than this may be dropped; milliseconds. */
  retentionMs: number;
}

const HOUR = 3_600_000;

/** Partitions of the topics whose records grow with the cluster, unless a setting says otherwise. */
export const DEFAULT_PARTITIONS = 16;
/** Rows in history tell that many partitions of a topic apart. */
export const MAX_PARTITIONS = 1_024;

/**
 * The topics that the system writes now, as it makes them when it starts. As many processors and writers share the work as
 * there are `partitions`; the number of a topic that has records stays as it is, because it decides where a node is.
 */
export const topicsOf = (partitions: number): readonly TopicSpec[] => [
  { name: Topic.Nodes, partitions: 4, cleanup: 'compact', retentionMs: 168 * HOUR },
  { name: Topic.Samples, partitions, cleanup: 'delete', retentionMs: 6 * HOUR },
  { name: Topic.Allocations, partitions, cleanup: 'delete', retentionMs: 6 * HOUR },
  { name: Topic.Control, partitions: 4, cleanup: 'compact,delete', retentionMs: 24 * HOUR },
  { name: Topic.Findings, partitions: 4, cleanup: 'compact,delete', retentionMs: 720 * HOUR },
];

export const TOPICS: readonly TopicSpec[] = topicsOf(DEFAULT_PARTITIONS);

/** Where a record of `topic` goes that could not be handled after every try. */
export function deadLetterTopic(topic: string): string {
  return `${topic}.dlq`;
}
