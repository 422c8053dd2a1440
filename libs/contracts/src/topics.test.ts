import { describe, expect, it } from 'vitest';
import { DEFAULT_PARTITIONS, Topic, TOPICS, topicsOf } from './topics.js';

describe('the topics', () => {
  it('have the partitions that are asked for where records grow with the cluster, and four elsewhere', () => {
    const partitions = Object.fromEntries(topicsOf(48).map((topic) => [topic.name, topic.partitions]));
    expect(partitions).toEqual({
      [Topic.Nodes]: 4,
      [Topic.Samples]: 48,
      [Topic.Allocations]: 48,
      [Topic.Control]: 4,
      [Topic.Findings]: 4,
    });
  });

  it('are else the same', () => {
    expect(topicsOf(DEFAULT_PARTITIONS)).toEqual(TOPICS);
  });
});
