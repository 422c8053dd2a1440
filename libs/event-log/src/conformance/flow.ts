import { expect } from 'vitest';
import type { PartitionContext } from '../event-log.js';
import { recordBytes } from '../record-bytes.js';
import {
  acknowledgeAll,
  acknowledgeNone,
  nothingSeen,
  numbered,
  quiet,
  record,
  texts,
  totalLag,
  until,
  watching,
  type LogPromise,
} from './bench.js';

/** Bounds, slowness and lag. */
export const flowPromises: LogPromise[] = [
  {
    name: 'a topic whose handler hangs does not delay another topic',
    async keep(bench) {
      const log = await bench.open();
      const [stuck, free] = [await bench.topic(log), await bench.topic(log)];
      let release: () => void = () => {};
      const hang = new Promise<void>((resolve) => (release = resolve));
      const waiting = nothingSeen();
      const assign = watching(waiting, () => hang);
      const subscription = await log.subscribe({ topic: stuck, group: 'g', from: 'earliest', assign });
      const seen = nothingSeen();
      await log.subscribe({ topic: free, group: 'g', from: 'earliest', assign: watching(seen, acknowledgeAll) });
      await log.append(numbered(stuck, 'k', 0, 10));
      await until(() => waiting.records.length > 0, true);
      await log.append(numbered(free, 'k', 0, 500));
      await until(() => totalLag(log, free, 'g'), 0);
      expect(seen.records.length).toBe(500);
      release();
      await subscription.drain(5_000);
    },
  },
  {
    name: 'a partition whose handler hangs does not delay another partition',
    async keep(bench) {
      const log = await bench.open();
      const topic = await bench.topic(log, { partitions: 2 });
      const hang = new AbortController();
      const free: string[] = [];
      await log.subscribe({
        topic,
        group: 'g',
        from: 'earliest',
        assign: (context) => ({
          async handle(records) {
            if (context.partition === 0) {
              await new Promise((resolve) => context.signal.addEventListener('abort', resolve));
            } else free.push(...records.map(({ key }) => key));
            acknowledgeAll(records, context);
          },
        }),
      });
      await log.append(Array.from({ length: 200 }, (_, index) => record(topic, `k${index}`, 'x')));
      const [, second] = await log.lag(topic, 'g');
      await until(() => free.length, second!.end);
      hang.abort();
    },
  },
  {
    name: 'delivery pauses at the in-flight bound and goes on when records are acknowledged',
    async keep(bench) {
      const log = await bench.open();
      const topic = await bench.topic(log, { partitions: 1 });
      const one = { topic, key: 'k', value: Buffer.alloc(10_000, 1) };
      await log.append(Array.from({ length: 60 }, () => one));
      const seen = nothingSeen();
      const maxInFlightBytes = 100_000;
      const assign = watching(seen, acknowledgeNone);
      await log.subscribe({ topic, group: 'g', from: 'earliest', maxInFlightBytes, assign });
      const most = Math.ceil(maxInFlightBytes / recordBytes(one)) + 1;
      await until(() => seen.records.length >= most - 2, true);
      await quiet();
      expect(seen.records.length).toBeLessThanOrEqual(most);
      expect(log.metrics().inFlightBytes).toBeLessThanOrEqual(maxInFlightBytes + recordBytes(one));
      // Acknowledging from the far end makes as much room as from the near end.
      let acknowledged = 0;
      const acknowledge = (context: PartitionContext): void => {
        for (; acknowledged < seen.records.length; acknowledged++) {
          context.acknowledge(seen.records[seen.records.length - 1 - acknowledged]!.offset);
          context.acknowledge(seen.records[acknowledged]!.offset);
        }
      };
      await until(() => {
        acknowledge(seen.contexts[0]!);
        return seen.records.length;
      }, 60);
      acknowledge(seen.contexts[0]!);
      await until(() => totalLag(log, topic, 'g'), 0);
      expect(log.metrics().inFlightBytes).toBe(0);
    },
  },
  {
    name: 'a record larger than the in-flight bound is delivered alone',
    async keep(bench) {
      const log = await bench.open();
      const topic = await bench.topic(log, { partitions: 1 });
      await log.append(Array.from({ length: 3 }, () => ({ topic, key: 'k', value: Buffer.alloc(50_000) })));
      const sizes: number[] = [];
      const seen = nothingSeen();
      const assign = watching(seen, (records, context) => {
        sizes.push(records.length);
        acknowledgeAll(records, context);
      });
      await log.subscribe({ topic, group: 'g', from: 'earliest', maxInFlightBytes: 1_000, assign });
      await until(() => seen.records.length, 3);
      expect(sizes).toEqual([1, 1, 1]);
    },
  },
  {
    name: 'one call of a handler never gets more records than it asked for',
    async keep(bench) {
      const log = await bench.open();
      const topic = await bench.topic(log, { partitions: 1 });
      await log.append(numbered(topic, 'k', 0, 100));
      const sizes: number[] = [];
      const seen = nothingSeen();
      const assign = watching(seen, (records, context) => {
        sizes.push(records.length);
        acknowledgeAll(records, context);
      });
      await log.subscribe({ topic, group: 'g', from: 'earliest', maxBatchRecords: 7, assign });
      await until(() => seen.records.length, 100);
      expect(Math.max(...sizes)).toBeLessThanOrEqual(7);
    },
  },
  {
    name: 'records that may wait for others come all the same, once and in order',
    async keep(bench) {
      const log = await bench.open();
      const topic = await bench.topic(log, { partitions: 1 });
      const seen = nothingSeen();
      const assign = watching(seen, acknowledgeAll);
      await log.subscribe({ topic, group: 'g', from: 'earliest', maxWaitMs: 200, assign });
      for (let call = 0; call < 10; call++) {
        await log.append(numbered(topic, 'k', call * 2, call * 2 + 2));
        await quiet(30);
      }
      await until(() => seen.records.length, 20);
      expect(seen.records.map(({ offset }) => offset)).toEqual(Array.from({ length: 20 }, (_, offset) => offset));
    },
  },
  {
    name: 'options of a subscription that are out of range are refused, each by its name',
    async keep(bench) {
      const log = await bench.open();
      const topic = await bench.topic(log, { partitions: 1 });
      const given = { topic, group: 'g', from: 'earliest', assign: watching(nothingSeen(), acknowledgeAll) } as const;
      const wrong = { maxInFlightBytes: 0, maxBatchRecords: 0.5, maxTries: -1, maxWaitMs: -1 };
      for (const [name, value] of Object.entries(wrong)) {
        const asked = Promise.resolve().then(() => log.subscribe({ ...given, [name]: value }));
        await expect(asked).rejects.toMatchObject({
          code: 'EVENT_LOG_INVALID',
          message: expect.stringContaining(`${name} is ${value}`),
        });
      }
    },
  },
  {
    name: 'calls of one partition never overlap',
    async keep(bench) {
      const log = await bench.open();
      const topic = await bench.topic(log, { partitions: 1 });
      let inside = 0;
      let most = 0;
      const seen = nothingSeen();
      const assign = watching(seen, async (records, context) => {
        most = Math.max(most, ++inside);
        await quiet(1);
        inside--;
        acknowledgeAll(records, context);
      });
      await log.subscribe({ topic, group: 'g', from: 'earliest', maxBatchRecords: 3, assign });
      for (let call = 0; call < 20; call++) await log.append(numbered(topic, 'k', call * 2, call * 2 + 2));
      await until(() => texts(seen).length, 40);
      expect(most).toBe(1);
    },
  },
  {
    name: 'lag is what was appended and not committed, per partition',
    async keep(bench) {
      const log = await bench.open();
      const topic = await bench.topic(log, { partitions: 1 });
      await log.append(numbered(topic, 'k', 0, 12));
      expect(await log.lag(topic, 'nobody')).toEqual([{ partition: 0, committed: undefined, end: 12, lag: 12 }]);
      const seen = nothingSeen();
      await log.subscribe({ topic, group: 'g', from: 'earliest', assign: watching(seen, acknowledgeNone) });
      await until(() => seen.records.length, 12);
      for (let offset = 0; offset < 5; offset++) seen.contexts[0]!.acknowledge(offset);
      await until(() => log.lag(topic, 'g'), [{ partition: 0, committed: 5, end: 12, lag: 7 }]);
      await log.append(numbered(topic, 'k', 12, 14));
      await until(() => log.lag(topic, 'g'), [{ partition: 0, committed: 5, end: 14, lag: 9 }]);
      await until(() => seen.records.length, 14);
      for (let offset = 5; offset < 14; offset++) seen.contexts[0]!.acknowledge(offset);
      await until(() => log.lag(topic, 'g'), [{ partition: 0, committed: 14, end: 14, lag: 0 }]);
    },
  },
];
