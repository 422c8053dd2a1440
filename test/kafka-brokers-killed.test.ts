import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { EventLog, LogRecord } from '@tidemark/event-log';
import { noKafka, startTestCluster, type TestCluster } from './support/kafka-log.js';
import { until } from './support/until.js';

const KEYS = 8;

/** Appends numbers per key, one after another, until told to stop; gives how many of each were acknowledged. */
function appendAll(log: EventLog, topic: string): { stop(): Promise<number[]>; counts: number[] } {
  let going = true;
  const counts = new Array<number>(KEYS).fill(0);
  const running = counts.map(async (_, key) => {
    while (going) {
      const next = counts[key]!;
      // Several at once: their order is that of the calls, whatever a broker does meanwhile.
      await Promise.all([0, 1, 2].map((ahead) => log.append([{ topic, key: `k${key}`, value: text(next + ahead) }])));
      counts[key] = next + 3;
      await sleep(20);
    }
  });
  return {
    counts,
    async stop() {
      going = false;
      await Promise.all(running);
      return counts;
    },
  };
}

function text(value: number): Buffer {
  return Buffer.from(String(value));
}

/** A member of the group that acknowledges all and notes what it did. */
async function consume(log: EventLog, topic: string, done: Map<string, Set<number>>): Promise<void> {
  await log.subscribe({
    topic,
    group: 'g',
    from: 'earliest',
    assign: (context) => ({
      async handle(records) {
        for (const { key, value, offset } of records) {
          const numbers = done.get(key) ?? new Set();
          done.set(key, numbers.add(Number(Buffer.from(value!).toString())));
          context.acknowledge(offset);
        }
      },
    }),
  });
}

async function readAll(log: EventLog, topic: string, wanted: number): Promise<LogRecord[]> {
  const found: LogRecord[] = [];
  await log.subscribe({
    topic,
    group: '',
    ephemeral: true,
    from: 'earliest',
    assign: (context) => ({
      async handle(records) {
        found.push(...records);
        for (const { offset } of records) context.acknowledge(offset);
      },
    }),
  });
  await until('all records', () => found.length >= wanted);
  await sleep(1_000);
  return found;
}

describe.skipIf(noKafka)(`while brokers are killed${noKafka ? ` (${noKafka})` : ''}`, () => {
  let cluster: TestCluster;
  const open: EventLog[] = [];
  const client = async (): Promise<EventLog> => {
    const log = await cluster.open({ sessionTimeoutMs: 6_000 });
    open.push(log);
    return log;
  };
  beforeAll(async () => {
    const properties = { 'broker.session.timeout.ms': '5000', 'broker.heartbeat.interval.ms': '500' };
    cluster = await startTestCluster({ brokers: 3, properties });
  }, 180_000);
  afterAll(async () => {
    await Promise.all(open.map((log) => log.close(2_000)));
    await cluster?.destroy();
  }, 60_000);

  it(
    'every record that was acknowledged is there once and in order, and every group gets all of them',
    { timeout: 300_000 },
    async () => {
      const producer = await client();
      const topic = 'storm';
      await producer.ensureTopics([{ name: topic, partitions: 6, cleanup: 'delete', retentionMs: 3_600_000 }]);
      const done = new Map<string, Set<number>>();
      await consume(await client(), topic, done);
      await consume(await client(), topic, done);
      const appending = appendAll(producer, topic);
      for (const broker of cluster.brokers) {
        const before = [...appending.counts];
        await broker.kill();
        // Every key goes on while the broker is away: two of three copies are enough.
        await until('appends without a broker', () => appending.counts.every((count, key) => count > before[key]! + 6));
        await broker.start();
        const after = [...appending.counts];
        await until('appends with it again', () => appending.counts.every((count, key) => count > after[key]! + 6));
      }
      const counts = await appending.stop();
      const total = counts.reduce((sum, count) => sum + count, 0);
      await until('no lag', async () => (await producer.lag(topic, 'g')).every(({ lag }) => lag === 0));
      counts.forEach((count, key) => expect(done.get(`k${key}`)?.size).toBe(count));
      const all = await readAll(producer, topic, total);
      for (let key = 0; key < KEYS; key++) {
        const numbers = all
          .filter((one) => one.key === `k${key}`)
          .map(({ value }) => Number(Buffer.from(value!).toString()));
        expect(numbers).toEqual(Array.from({ length: counts[key]! }, (_, index) => index));
      }
    },
  );

  it(
    'partitions that changed their leader while it stood still are read on, also when only the group has heard of it',
    { timeout: 300_000 },
    async () => {
      const producer = await client();
      const topic = 'still';
      await producer.ensureTopics([{ name: topic, partitions: 6, cleanup: 'delete', retentionMs: 3_600_000 }]);
      const done = new Map<string, Set<number>>();
      await consume(await client(), topic, done);
      let count = 0;
      const goOn = async (): Promise<void> => {
        count++;
        for (let key = 0; key < KEYS; key++) await producer.append([{ topic, key: `k${key}`, value: text(count) }]);
        await until(`record ${count} of every key`, () =>
          [...Array(KEYS).keys()].every((key) => done.get(`k${key}`)?.has(count)),
        );
      };
      await goOn();
      for (const broker of cluster.brokers) {
        // Longer than the cluster waits for it, shorter than a request may take.
        broker.pause();
        await sleep(7_000);
        broker.resume();
        await goOn();
        // A member comes: who leads the group asks for the leaders of the partitions.
        const other = await client();
        await consume(other, topic, done);
        await goOn();
        await other.close(2_000);
        await goOn();
      }
    },
  );
});
