import { afterEach, describe, expect, test } from 'vitest';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TopicSpec } from '@tidemark/contracts';
import {
  acknowledgeAll,
  acknowledgeNone,
  nothingSeen,
  numbered,
  record,
  text,
  texts,
  totalLag,
  until,
  watching,
} from '../conformance/bench.js';
import type { EventLog, OutgoingRecord } from '../event-log.js';
import { createMemoryEventLog } from './memory-event-log.js';
import type { MemoryEventLogOptions } from './options.js';

const QUICK = { commitIntervalMs: 20, housekeepingMs: 20, retry: { initialMs: 5, maxMs: 50 } };
const HOUR = 3_600_000;

function spec(name: string, more: Partial<TopicSpec> = {}): TopicSpec {
  return { name, partitions: 1, cleanup: 'delete', retentionMs: HOUR, ...more };
}

function blocks(topic: string, count: number, size = 10_000): OutgoingRecord[] {
  return Array.from({ length: count }, (_, index) => ({ topic, key: 'k', value: Buffer.alloc(size, index) }));
}

const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

async function start(options: MemoryEventLogOptions, topics: TopicSpec[]): Promise<EventLog> {
  const log = await createMemoryEventLog({ ...QUICK, ...options });
  open.push(() => log.close(500));
  await log.ensureTopics(topics);
  return log;
}

async function temporaryDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'tidemark-bounds-'));
  open.push(() => rm(directory, { recursive: true }));
  return directory;
}

/** The same promises in memory and with files of 16 KiB. */
const kinds: [string, () => Promise<MemoryEventLogOptions>][] = [
  ['in memory', async () => ({})],
  [
    'with a journal',
    async () => ({ journal: { directory: await temporaryDirectory(), segmentBytes: 16_384, memoryBytes: 32_768 } }),
  ],
];

describe.each(kinds)('the bounds of the embedded log %s', (_, kind) => {
  test('append waits while a group still needs everything, and goes on when it commits', async () => {
    const log = await start({ ...(await kind()), maxTopicBytes: 200_000 }, [spec('a')]);
    const seen = nothingSeen();
    await log.subscribe({ topic: 'a', group: 'g', from: 'earliest', assign: watching(seen, acknowledgeNone) });
    let appended = 0;
    const producing = (async () => {
      for (const block of blocks('a', 40)) {
        await log.append([block]);
        appended++;
      }
    })();
    await until(() => seen.records.length > 10, true);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(appended).toBeLessThan(21);
    const stuck = appended;
    expect(log.metrics().retainedBytes + log.metrics().journalBytes).toBeLessThan(300_000);
    let acknowledged = 0;
    await until(() => {
      for (; acknowledged < seen.records.length; acknowledged++) {
        seen.contexts[0]!.acknowledge(seen.records[acknowledged]!.offset);
      }
      return appended;
    }, 40);
    await producing;
    expect(stuck).toBeLessThan(appended);
    await until(() => seen.records.length, 40);
    expect(seen.records.map(({ value }) => value![0])).toEqual(Array.from({ length: 40 }, (_, index) => index));
    expect(log.metrics().droppedRecords).toBe(0);
  });

  test('append rejects with EVENT_LOG_FULL naming the topic and who it waits for, other topics go on', async () => {
    const log = await start({ ...(await kind()), maxTopicBytes: 100_000, appendTimeoutMs: 100 }, [
      spec('a'),
      spec('b'),
    ]);
    const seen = nothingSeen();
    await (
      await log.subscribe({ topic: 'a', group: 'slow-one', from: 'earliest', assign: watching(seen, acknowledgeNone) })
    ).ready;
    const results = await Promise.allSettled(blocks('a', 20).map((block) => log.append([block])));
    const refused = results.filter((result) => result.status === 'rejected');
    expect(refused.length).toBeGreaterThan(5);
    expect(refused[0]!.reason).toMatchObject({ code: 'EVENT_LOG_FULL', retriable: true });
    expect((refused[0]!.reason as Error).message).toMatch(/topic a holds \d+ of at most 100000 bytes.*slow-one/);
    await log.append(blocks('b', 5));
    const fine = nothingSeen();
    await log.subscribe({ topic: 'b', group: 'g', from: 'earliest', assign: watching(fine, acknowledgeAll) });
    await until(() => fine.records.length, 5);
    // What was not refused is there, in order and once.
    const accepted = results.flatMap((result, index) => (result.status === 'fulfilled' ? [index] : []));
    await until(() => seen.records.map(({ value }) => value![0]), accepted);
  });

  test('when room is short, what every group has committed goes first, oldest first, and nothing else', async () => {
    const log = await start({ ...(await kind()), maxTopicBytes: 200_000 }, [spec('a')]);
    const seen = nothingSeen();
    await log.subscribe({ topic: 'a', group: 'g', from: 'earliest', assign: watching(seen, acknowledgeAll) });
    for (const block of blocks('a', 100)) await log.append([block]);
    await until(() => totalLag(log, 'a', 'g'), 0);
    expect(seen.records.length).toBe(100);
    expect(log.metrics().droppedRecords).toBe(0);
    const replay = nothingSeen();
    await log.subscribe({ topic: 'a', group: 'new', from: 'earliest', assign: watching(replay, acknowledgeAll) });
    await until(() => replay.records.at(-1)?.value![0], 99);
    expect(replay.records.length).toBeGreaterThan(10);
    expect(replay.records.length).toBeLessThan(21);
    const first = replay.records[0]!.offset;
    expect(replay.records.map(({ offset }) => offset)).toEqual(
      Array.from({ length: 100 - first }, (_, i) => first + i),
    );
  });

  test('without any group the topic is a ring of its bound', async () => {
    const log = await start({ ...(await kind()), maxTopicBytes: 100_000 }, [spec('a')]);
    for (const block of blocks('a', 60)) await log.append([block]);
    const seen = nothingSeen();
    await log.subscribe({ topic: 'a', group: 'g', from: 'earliest', assign: watching(seen, acknowledgeAll) });
    await until(() => seen.records.at(-1)?.value![0], 59);
    expect(seen.records.length).toBeLessThan(11);
    expect(seen.records.length).toBeGreaterThan(4);
  });

  test('a group that is gone for good holds nothing up for longer than its hold, and the loss is counted', async () => {
    const log = await start({ ...(await kind()), maxTopicBytes: 100_000, groupHoldMs: 300 }, [spec('a')]);
    const seen = nothingSeen();
    const gone = await log.subscribe({
      topic: 'a',
      group: 'gone',
      from: 'earliest',
      assign: watching(seen, acknowledgeNone),
    });
    await log.append(blocks('a', 2));
    await until(() => seen.records.length, 2);
    await gone.drain(1_000);
    for (const block of blocks('a', 30)) await log.append([block]);
    expect(log.metrics().droppedRecords).toBeGreaterThan(10);
    expect((await log.lag('a', 'gone'))[0]!.end).toBe(32);
  });

  test('records go when they are older than the retention and every running group has committed them', async () => {
    const log = await start(await kind(), [spec('a', { retentionMs: 150 })]);
    const slow = nothingSeen();
    await log.subscribe({ topic: 'a', group: 'slow', from: 'earliest', assign: watching(slow, acknowledgeNone) });
    await log.append(numbered('a', 'k', 0, 10));
    await until(() => slow.records.length, 10);
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect((await log.lag('a', 'nobody'))[0]).toMatchObject({ end: 10, lag: 10 });
    for (const { offset } of slow.records) slow.contexts[0]!.acknowledge(offset);
    await until(async () => (await log.lag('a', 'nobody'))[0], { partition: 0, committed: undefined, end: 10, lag: 0 });
    await log.append([record('a', 'k', 'young')]);
    const seen = nothingSeen();
    await log.subscribe({ topic: 'a', group: 'late', from: 'earliest', assign: watching(seen, acknowledgeAll) });
    await until(() => texts(seen), ['young']);
    expect(seen.records[0]!.offset).toBe(10);
  });

  test('a compacted topic whose values are superseded all the time stays small and keeps every key', async () => {
    const log = await start({ ...(await kind()), maxTopicBytes: 400_000 }, [spec('a', { cleanup: 'compact' })]);
    for (let round = 0; round < 100; round++) {
      await log.append(
        Array.from({ length: 20 }, (_, key) => record('a', `k${key}`, `${key}:${round}`.padEnd(1000, '.'))),
      );
    }
    await until(() => log.metrics().retainedBytes + log.metrics().journalBytes < 500_000, true);
    const seen = nothingSeen();
    await log.subscribe({ topic: 'a', group: 'g', from: 'earliest', assign: watching(seen, acknowledgeAll) });
    await until(
      () => Object.fromEntries(seen.records.map((one) => [one.key, text(one).replace(/\.+$/, '')])),
      Object.fromEntries(Array.from({ length: 20 }, (_, key) => [`k${key}`, `${key}:99`])),
    );
    expect(seen.records.length).toBeLessThan(500);
    const offsets = seen.records.map(({ offset }) => offset);
    expect(offsets).toEqual([...offsets].sort((a, b) => a - b));
    await until(() => totalLag(log, 'a', 'g'), 0);
  });

  test('a compacted topic full of live keys says so instead of losing one', async () => {
    const log = await start({ ...(await kind()), maxTopicBytes: 100_000, appendTimeoutMs: 100 }, [
      spec('a', { cleanup: 'compact' }),
    ]);
    const results = [];
    for (let key = 0; key < 20; key++) {
      results.push(...(await Promise.allSettled([log.append([record('a', `k${key}`, 'x'.repeat(9_000))])])));
    }
    const kept = results.filter(({ status }) => status === 'fulfilled').length;
    expect(kept).toBeGreaterThan(5);
    expect(kept).toBeLessThan(12);
    const seen = nothingSeen();
    await log.subscribe({ topic: 'a', group: 'g', from: 'earliest', assign: watching(seen, acknowledgeAll) });
    await until(() => new Set(seen.records.map(({ key }) => key)).size, kept);
  });

  test('a tombstone removes its key once it is old enough', async () => {
    const log = await start(await kind(), [spec('a', { cleanup: 'compact', retentionMs: 100 })]);
    await log.append([record('a', 'gone', 'x'), record('a', 'stays', 'y')]);
    await log.append([{ topic: 'a', key: 'gone', value: null }]);
    await new Promise((resolve) => setTimeout(resolve, 200));
    // Enough that is superseded for a compaction to be worth it.
    for (let round = 0; round < 200; round++) await log.append([record('a', 'busy', 'z'.repeat(4_000))]);
    await until(async () => {
      const seen = nothingSeen();
      const assign = watching(seen, acknowledgeAll);
      const view = await log.subscribe({ topic: 'a', group: '', ephemeral: true, from: 'earliest', assign });
      await until(() => seen.records.some(({ key }) => key === 'busy'), true);
      await view.drain(500);
      return [...new Set(seen.records.map(({ key }) => key))].sort();
    }, ['busy', 'stays']);
  });

  test('a dead letter finds room although nobody reads the others', async () => {
    const log = await start({ ...(await kind()), maxTopicBytes: 100_000, appendTimeoutMs: 100 }, [spec('a')]);
    const dead = nothingSeen();
    await log.subscribe({ topic: 'a.dlq', group: 'lazy', from: 'earliest', assign: watching(dead, acknowledgeNone) });
    const assign = () => ({ handle: () => Promise.reject(new Error('bad')) });
    await log.subscribe({ topic: 'a', group: 'g', from: 'earliest', maxTries: 1, assign });
    for (const block of blocks('a', 30)) await log.append([block]);
    await until(() => totalLag(log, 'a', 'g'), 0);
    expect(log.metrics()).toMatchObject({ deadLettered: 30 });
    expect(log.metrics().droppedRecords).toBeGreaterThan(10);
  });

  test('a call larger than the bound passes when it has the topic to itself', async () => {
    const log = await start({ ...(await kind()), maxTopicBytes: 50_000 }, [spec('a')]);
    const seen = nothingSeen();
    await log.subscribe({ topic: 'a', group: 'g', from: 'earliest', assign: watching(seen, acknowledgeAll) });
    await log.append(blocks('a', 10));
    await log.append(blocks('a', 10));
    await until(() => seen.records.length, 20);
  });

  test('consumers of one process get the same value, so that what one decodes serves all', async () => {
    const log = await start(await kind(), [spec('a')]);
    const seen = [nothingSeen(), nothingSeen(), nothingSeen()];
    for (const [index, one] of seen.entries()) {
      const assign = watching(one, acknowledgeAll);
      await (
        await log.subscribe({ topic: 'a', group: `g${index}`, from: 'earliest', assign })
      ).ready;
    }
    await log.append(numbered('a', 'k', 0, 50));
    for (const one of seen) await until(() => one.records.length, 50);
    for (let index = 0; index < 50; index++) {
      expect(seen[1]!.records[index]!.value).toBe(seen[0]!.records[index]!.value);
      expect(seen[2]!.records[index]!.value).toBe(seen[0]!.records[index]!.value);
    }
  });

  test('a producer may use its bytes again as soon as append resolved', async () => {
    const log = await start(await kind(), [spec('a')]);
    const bytes = Buffer.from('first');
    await log.append([{ topic: 'a', key: 'k', value: bytes }]);
    bytes.write('XXXXX');
    const seen = nothingSeen();
    await log.subscribe({ topic: 'a', group: 'g', from: 'earliest', assign: watching(seen, acknowledgeAll) });
    await until(() => texts(seen), ['first']);
  });

  test('a topic name that could leave the directory, or a senseless setting, is refused', async () => {
    const log = await start(await kind(), []);
    for (const wrong of [
      { name: '..' },
      { name: '.' },
      { name: 'a/b' },
      { name: '' },
      { name: 'a', partitions: 0 },
      { name: 'a', partitions: 1.5 },
      { name: 'a', partitions: 1e9 },
      { name: 'a', retentionMs: 0 },
      { name: 'a', retentionMs: Number.NaN },
    ]) {
      await expect(log.ensureTopics([spec('x', wrong)])).rejects.toMatchObject({ code: 'EVENT_LOG_INVALID' });
    }
  });
});

test('a subscription that could never deliver is refused by name', async () => {
  const log = await start({}, [spec('a')]);
  const fine = {
    topic: 'a',
    group: 'g',
    from: 'earliest',
    assign: () => ({ handle: () => Promise.resolve() }),
  } as const;
  for (const wrong of [
    { maxInFlightBytes: 0 },
    { maxBatchRecords: 0.5 },
    { maxTries: -1 },
    { group: '' },
    { from: { sinceMs: -1 } },
    { from: { sinceMs: Number.NaN } },
  ]) {
    await expect(log.subscribe({ ...fine, ...wrong })).rejects.toMatchObject({ code: 'EVENT_LOG_INVALID' });
  }
});

test('an option out of range is refused by name', async () => {
  await expect(createMemoryEventLog({ maxTopicBytes: -1 })).rejects.toThrow(/maxTopicBytes is -1/);
  await expect(createMemoryEventLog({ retry: { initialMs: 0, maxMs: 1 } })).rejects.toThrow(/retry\.initialMs is 0/);
});
