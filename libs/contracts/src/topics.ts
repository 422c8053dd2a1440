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

/** The topics that the system writes now, as it makes them when it starts. */
export const TOPICS: readonly TopicSpec[] = [
  { name: Topic.Nodes, partitions: 4, cleanup: 'compact', retentionMs: 168 * HOUR },
  { name: Topic.Samples, partitions: 16, cleanup: 'delete', retentionMs: 6 * HOUR },
  { name: Topic.Allocations, partitions: 16, cleanup: 'delete', retentionMs: 6 * HOUR },
  { name: Topic.Control, partitions: 4, cleanup: 'compact,delete', retentionMs: 24 * HOUR },
  { name: Topic.Findings, partitions: 4, cleanup: 'compact,delete', retentionMs: 720 * HOUR },
];

/** Where a record of `topic` goes that could not be handled after every try. */
export function deadLetterTopic(topic: string): string {
  return `${topic}.dlq`;
}
