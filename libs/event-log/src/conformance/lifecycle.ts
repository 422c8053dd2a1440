import { expect } from 'vitest';
import type { EventLog } from '../event-log.js';
import {
  acknowledgeAll,
  acknowledgeNone,
  nothingSeen,
  numbered,
  quiet,
  record,
  retriableError,
  totalLag,
  until,
  watching,
  type LogPromise,
} from './bench.js';

/** Timers that keep or could keep the process: what an adapter must not leave behind. */
function timers(): number {
  return process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
}

function assignNothing(): { handle(): Promise<void> } {
  return { handle: () => Promise.resolve() };
}

async function everyCall(log: EventLog, topic: string): Promise<string[]> {
  const calls = [
    log.append([record(topic, 'k', 'v')]),
    log.subscribe({ topic, group: 'g', from: 'earliest', assign: assignNothing }),
    log.lag(topic, 'g'),
  ];
  const results = await Promise.allSettled(calls);
  return results.map((result) =>
    result.status === 'rejected' ? (result.reason as { code: string }).code : 'EVENT_LOG_FINE',
  );
}

/** Topics, draining and closing. */
export const lifecyclePromises: LogPromise[] = [
  {
    name: 'a topic that does not exist is refused by name',
    async keep(bench) {
      const log = await bench.open();
      expect(await everyCall(log, 'no.such.topic')).toEqual(Array(3).fill('EVENT_LOG_UNKNOWN_TOPIC'));
      await expect(log.append([record('no.such.topic', 'k', 'v')])).rejects.toThrow('no.such.topic');
    },
  },
  {
    name: 'topics are made once, with their dead-letter topics; one with other settings is not changed silently',
    async keep(bench) {
      const log = await bench.open();
      const name = await bench.topic(log, { partitions: 3 });
      await log.ensureTopics([{ name, partitions: 3, cleanup: 'delete', retentionMs: 3_600_000 }]);
      expect(await log.lag(name, 'g')).toHaveLength(3);
      expect((await log.lag(`${name}.dlq`, 'g')).length).toBeGreaterThan(0);
      const other = { name, partitions: 5, cleanup: 'delete', retentionMs: 3_600_000 } as const;
      await expect(log.ensureTopics([other])).rejects.toMatchObject({
        code: 'EVENT_LOG_TOPIC_DIFFERS',
        message: expect.stringMatching(new RegExp(`${name}.*partitions.*3.*5`)) as string,
      });
      expect(await log.lag(name, 'g')).toHaveLength(3);
    },
  },
  {
    name: 'drain lets the handler finish, commits what it acknowledged, and delivers nothing more',
    async keep(bench) {
      const log = await bench.open();
      const topic = await bench.topic(log, { partitions: 1 });
      await log.append(numbered(topic, 'k', 0, 10));
      let finished = false;
      let delivered = 0;
      const subscription = await log.subscribe({
        topic,
        group: 'g',
        from: 'earliest',
        assign: (context) => ({
          async handle(records) {
            delivered += records.length;
          },
          async close(reason) {
            expect(reason).toBe('drain');
            await quiet(50);
            for (let offset = 0; offset < 10; offset++) context.acknowledge(offset);
            finished = true;
          },
        }),
      });
      await until(() => delivered, 10);
      await subscription.drain(30_000);
      expect(finished).toBe(true);
      expect(await totalLag(log, topic, 'g')).toBe(0);
      await log.append(numbered(topic, 'k', 10, 12));
      await quiet();
      expect(delivered).toBe(10);
    },
  },
  {
    name: 'drain gives up at its deadline when a handler hangs, and what was not done comes again',
    async keep(bench) {
      const log = await bench.open();
      const topic = await bench.topic(log, { partitions: 1 });
      await log.append(numbered(topic, 'k', 0, 3));
      const seen = nothingSeen();
      let release: () => void = () => {};
      const assign = watching(seen, () => new Promise((resolve) => (release = resolve)));
      const subscription = await log.subscribe({ topic, group: 'g', from: 'earliest', assign });
      await until(() => seen.records.length, 3);
      const before = performance.now();
      await subscription.drain(200);
      const took = performance.now() - before;
      expect(took).toBeGreaterThanOrEqual(190);
      expect(took).toBeLessThan(10_000);
      release();
      const again = nothingSeen();
      await log.subscribe({ topic, group: 'g', from: 'earliest', assign: watching(again, acknowledgeAll) });
      await until(() => again.records.length, 3);
    },
  },
  {
    name: 'drain does not wait out the backoff of a handler that fails',
    async keep(bench) {
      const log = await bench.open();
      const topic = await bench.topic(log, { partitions: 1 });
      await log.append(numbered(topic, 'k', 0, 3));
      let failures = 0;
      const handle = (): Promise<void> => {
        failures++;
        return Promise.reject(retriableError('away'));
      };
      const subscription = await log.subscribe({ topic, group: 'g', from: 'earliest', assign: () => ({ handle }) });
      await until(() => failures >= 4, true);
      const after = failures;
      await subscription.drain(30_000);
      await quiet();
      expect(failures).toBeLessThanOrEqual(after + 1);
    },
  },
  {
    name: 'close drains every subscription, takes what handlers still append, and refuses every later call',
    async keep(bench) {
      const log = await bench.open();
      const topic = await bench.topic(log, { partitions: 1 });
      const out = await bench.topic(log, { partitions: 1 });
      await log.append(numbered(topic, 'k', 0, 3));
      const seen = nothingSeen();
      await log.subscribe({
        topic,
        group: 'g',
        from: 'earliest',
        assign: (context) => ({
          ...watching(seen, acknowledgeAll)(context),
          async close() {
            await quiet(50);
            await log.append([record(out, 'k', 'last words')]);
          },
        }),
      });
      await until(() => seen.records.length, 3);
      const closing = log.close(10_000);
      await Promise.all([closing, log.close(), log.close(1)]);
      await log.close();
      expect(await everyCall(log, topic)).toEqual(Array(3).fill('EVENT_LOG_CLOSED'));
      const again = await bench.open();
      await again.ensureTopics([
        { name: topic, partitions: 1, cleanup: 'delete', retentionMs: 3_600_000 },
        { name: out, partitions: 1, cleanup: 'delete', retentionMs: 3_600_000 },
      ]);
      expect((await again.lag(topic, 'g'))[0]).toMatchObject({ committed: 3, end: 3 });
      expect((await again.lag(out, 'g'))[0]).toMatchObject({ end: 1 });
    },
  },
  {
    name: 'no timer is left after close, whatever was going on',
    async keep(bench) {
      const before = timers();
      const log = await bench.open();
      const topic = await bench.topic(log, { partitions: 2 });
      const seen = nothingSeen();
      await log.subscribe({ topic, group: 'fine', from: 'earliest', assign: watching(seen, acknowledgeAll) });
      await log.subscribe({ topic, group: 'full', from: 'earliest', assign: watching(seen, acknowledgeNone) });
      const failing = { handle: () => Promise.reject(retriableError('away')) };
      await log.subscribe({ topic, group: 'failing', from: 'earliest', assign: () => failing });
      const hanging = { handle: () => new Promise<void>(() => {}) };
      await log.subscribe({ topic, group: 'hanging', from: 'earliest', assign: () => hanging });
      await log.subscribe({ topic, group: '', ephemeral: true, from: 'latest', assign: assignNothing });
      await log.append(Array.from({ length: 50 }, (_, index) => record(topic, `k${index}`, 'v')));
      await until(() => seen.records.length, 100);
      await log.close(100);
      expect(timers()).toBeLessThanOrEqual(before);
    },
  },
  {
    name: 'no timer is left after a close right behind an acknowledgement',
    async keep(bench) {
      const before = timers();
      const log = await bench.open();
      const topic = await bench.topic(log, { partitions: 2 });
      const seen = nothingSeen();
      await log.subscribe({ topic, group: 'g', from: 'earliest', assign: watching(seen, acknowledgeNone) });
      await log.append(Array.from({ length: 50 }, (_, index) => record(topic, `k${index}`, 'v')));
      await until(() => seen.records.length, 50);
      for (const { partition, offset } of seen.records) {
        seen.contexts.find((context) => context.partition === partition)!.acknowledge(offset);
      }
      await log.close(10_000);
      expect(timers()).toBeLessThanOrEqual(before);
      const again = await bench.open();
      await again.ensureTopics([{ name: topic, partitions: 2, cleanup: 'delete', retentionMs: 3_600_000 }]);
      expect(await totalLag(again, topic, 'g')).toBe(0);
    },
  },
];
