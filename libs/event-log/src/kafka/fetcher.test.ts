import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Connections } from './connections.js';
import { Fetcher } from './fetcher.js';
import { PartitionFeed } from './partition-feed.js';
import { TopicDirectory } from './topic-directory.js';

/**
 * Brokers that answer every fetch, a moment later, with the beginning of a batch of so many bytes; `leaders` is what they
 * say when they are asked.
 */
function fakeBrokers(leaders: number[], bytes = 0) {
  const fetches: { node: number; partitions: number[] }[] = [];
  const connections = {
    async ask(node: number, _: string, { topics }: { topics: { partitions: { partition: number }[] }[] }) {
      fetches.push({ node, partitions: topics[0]!.partitions.map(({ partition }) => partition).sort() });
      await new Promise((resolve) => setTimeout(resolve, 2));
      return { errorCode: 0, partitions: [{ topic: 't', partition: 0, errorCode: 0, batches: Buffer.alloc(bytes) }] };
    },
    askAny: async () => ({
      brokers: [],
      topicMetadata: [
        {
          topicErrorCode: 0,
          topic: 't',
          partitionMetadata: leaders.map((leader, partitionId) => ({ partitionId, leader, partitionErrorCode: 0 })),
        },
      ],
    }),
    learn: () => {},
  } as unknown as Connections;
  return { connections, fetches, leaders };
}

describe('the fetcher', () => {
  let fetcher: Fetcher | undefined;
  afterEach(async () => {
    fetcher?.end();
    if (vi.isFakeTimers()) await vi.advanceTimersByTimeAsync(1_000);
    vi.useRealTimers();
    await fetcher?.stopped();
  });

  async function start(brokers: ReturnType<typeof fakeBrokers>, fetchPauseMs = 1): Promise<TopicDirectory> {
    const { connections, leaders } = brokers;
    const directory = new TopicDirectory(connections);
    await directory.refresh('t');
    fetcher = new Fetcher({
      connections,
      directory,
      topic: 't',
      fetchWaitMs: 1,
      fetchPauseMs,
      onOutOfRange: async () => {},
      onUnreadable: () => {},
      onFatal: (error) => expect.fail(error.message),
      warn: () => {},
    });
    for (const partition of leaders.keys()) fetcher.add(new PartitionFeed(partition, 0));
    return directory;
  }

  it.each([
    { what: 'all partitions of a broker move to one that led none', before: [1, 1], after: [2, 2] },
    { what: 'one of the partitions of a broker moves to one that led none', before: [1, 1], after: [1, 2] },
    { what: 'a partition without a leader gets one', before: [-1, 1], after: [2, 1] },
  ])('reads from the leaders that somebody else has asked for, when $what', async ({ before, after }) => {
    const brokers = fakeBrokers(before);
    const directory = await start(brokers);
    await vi.waitFor(() => expect(brokers.fetches.some(({ node }) => node === 1)).toBe(true));
    brokers.leaders.splice(0, 2, ...after);
    await directory.refresh('t');
    for (const node of new Set(after)) {
      const partitions = [...after.keys()].filter((partition) => after[partition] === node);
      await vi.waitFor(() => expect(brokers.fetches).toContainEqual({ node, partitions }));
    }
  });

  it('asks from time to time who leads, though every broker answers', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    const brokers = fakeBrokers([1]);
    await start(brokers);
    await vi.advanceTimersByTimeAsync(60_000);
    brokers.leaders[0] = 2;
    await vi.advanceTimersByTimeAsync(60_000);
    expect(brokers.fetches.every(({ node }) => node === 1)).toBe(true);
    await vi.advanceTimersByTimeAsync(200_000);
    expect(brokers.fetches.at(-1)).toEqual({ node: 2, partitions: [0] });
  });

  it.each([
    { what: 'few records is left alone for a while', bytes: 2_000, atMost: 20, atLeast: 15 },
    { what: 'much to tell is asked on at once', bytes: 1_000_000, atMost: 500, atLeast: 400 },
  ])('a broker that had $what', async ({ bytes, atMost, atLeast }) => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    const brokers = fakeBrokers([1], bytes);
    await start(brokers, 50);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(brokers.fetches.length).toBeLessThanOrEqual(atMost + 1);
    expect(brokers.fetches.length).toBeGreaterThanOrEqual(atLeast);
  });
});
