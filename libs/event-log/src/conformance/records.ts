import fc from 'fast-check';
import { expect } from 'vitest';
import { partitionOf } from '../partitioner.js';
import {
  acknowledgeAll,
  nothingSeen,
  numbered,
  record,
  text,
  texts,
  until,
  watching,
  type LogPromise,
} from './bench.js';

/** What goes in comes out, and in which order. */
export const recordPromises: LogPromise[] = [
  {
    name: 'a record comes out with the key, value, headers and timestamp it was given',
    async keep(bench) {
      const log = await bench.open();
      const topic = await bench.topic(log);
      const given = fc.sample(
        fc.record({
          key: fc.string({ minLength: 1, unit: 'grapheme', maxLength: 40 }),
          value: fc.option(fc.uint8Array({ maxLength: 2_000 })),
          headers: fc.dictionary(fc.stringMatching(/^[a-z-]{1,20}$/), fc.string({ unit: 'grapheme', maxLength: 60 })),
          timestamp: fc.integer({ min: 1_700_000_000_000, max: 1_800_000_000_000 }),
        }),
        200,
      );
      for (const one of given) await log.append([{ topic, ...one }]);
      const seen = nothingSeen();
      await log.subscribe({ topic, group: 'g', from: 'earliest', assign: watching(seen, acknowledgeAll) });
      await until(() => seen.records.length, given.length);
      for (let partition = 0; partition < 4; partition++) {
        const wanted = given.filter(({ key }) => partitionOf(key, 4) === partition);
        const found = seen.records.filter((one) => one.partition === partition);
        expect(found.map(({ offset }) => offset)).toEqual(wanted.map((_, index) => index));
        found.forEach((one, index) => {
          const { key, value, headers, timestamp } = wanted[index]!;
          expect({ ...one, value: one.value && Buffer.from(one.value).toString('hex') }).toEqual({
            topic,
            partition,
            offset: index,
            key,
            value: value && Buffer.from(value).toString('hex'),
            headers: { ...headers },
            timestamp,
          });
        });
      }
    },
  },
  {
    name: 'a record without a timestamp gets the time of its append',
    async keep(bench) {
      const log = await bench.open();
      const topic = await bench.topic(log);
      const seen = nothingSeen();
      await log.subscribe({ topic, group: 'g', from: 'earliest', assign: watching(seen, acknowledgeAll) });
      const before = Date.now();
      await log.append([record(topic, 'k', 'v')]);
      const after = Date.now();
      await until(() => seen.records.length, 1);
      expect(seen.records[0]!.timestamp).toBeGreaterThanOrEqual(before);
      expect(seen.records[0]!.timestamp).toBeLessThanOrEqual(after);
    },
  },
  {
    name: 'records of a key stay in order while many producers append at once',
    async keep(bench) {
      const log = await bench.open();
      const topic = await bench.topic(log);
      const seen = nothingSeen();
      await log.subscribe({ topic, group: 'g', from: 'earliest', assign: watching(seen, acknowledgeAll) });
      const keys = Array.from({ length: 20 }, (_, index) => `key-${index}`);
      // Appends of one producer overlap: order is that of the calls, not of their answers.
      const all = keys.flatMap((key) =>
        Array.from({ length: 20 }, (_, call) => log.append(numbered(topic, key, call * 5, call * 5 + 5))),
      );
      await Promise.all(all);
      await until(() => seen.records.length, 20 * 100);
      for (const key of keys) {
        const found = seen.records.filter((one) => one.key === key);
        expect(found.map(text)).toEqual(Array.from({ length: 100 }, (_, index) => String(index)));
        expect(new Set(found.map(({ partition }) => partition)).size).toBe(1);
      }
    },
  },
  {
    name: 'what append resolved for is there when the process that appended it is killed at once',
    async keep(bench) {
      const log = await bench.open();
      const topic = await bench.topic(log);
      await log.append(numbered(topic, 'k', 0, 100));
      await bench.crash(log);
      const seen = nothingSeen();
      const again = await bench.open();
      await again.subscribe({ topic, group: 'g', from: 'earliest', assign: watching(seen, acknowledgeAll) });
      await until(
        () => texts(seen),
        Array.from({ length: 100 }, (_, index) => String(index)),
      );
    },
  },
  {
    name: 'a compacted topic keeps the latest value of every key',
    async keep(bench) {
      const log = await bench.open();
      const topic = await bench.topic(log, { cleanup: 'compact' });
      for (let round = 0; round < 30; round++) {
        await log.append(Array.from({ length: 10 }, (_, key) => record(topic, `k${key}`, `${key}:${round}`)));
      }
      const seen = nothingSeen();
      await log.subscribe({ topic, group: 'g', from: 'earliest', assign: watching(seen, acknowledgeAll) });
      await until(
        () => Object.fromEntries(seen.records.map((one) => [one.key, text(one)])),
        Object.fromEntries(Array.from({ length: 10 }, (_, key) => [`k${key}`, `${key}:29`])),
      );
    },
  },
  {
    name: 'a record of one megabyte passes, one that is too large is refused by name and leaves the rest alone',
    async keep(bench) {
      const log = await bench.open();
      const topic = await bench.topic(log);
      const value = Buffer.alloc(900_000, 7);
      await log.append([{ topic, key: 'large', value }]);
      await expect(log.append([{ topic, key: 'huge', value: Buffer.alloc(32 * 1024 * 1024) }])).rejects.toMatchObject({
        code: 'EVENT_LOG_RECORD_TOO_LARGE',
        retriable: false,
        message: expect.stringContaining(topic) as string,
      });
      await log.append([record(topic, 'large', 'after')]);
      const seen = nothingSeen();
      await log.subscribe({ topic, group: 'g', from: 'earliest', assign: watching(seen, acknowledgeAll) });
      await until(() => seen.records.length, 2);
      expect(Buffer.compare(Buffer.from(seen.records[0]!.value!), value)).toBe(0);
      expect(text(seen.records[1]!)).toBe('after');
    },
  },
];
