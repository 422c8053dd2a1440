import { deadLetterTopic } from '@tidemark/contracts';
import { expect } from 'vitest';
import { DeadLetterHeader } from '../dead-letter.js';
import type { EventLog } from '../event-log.js';
import {
  acknowledgeAll,
  nothingSeen,
  numbered,
  quiet,
  retriableError,
  text,
  texts,
  totalLag,
  until,
  watching,
  type LogPromise,
  type Seen,
} from './bench.js';

const ONE = { partitions: 1 };

async function deadLetters(log: EventLog, topic: string): Promise<Seen> {
  const dead = nothingSeen();
  const assign = watching(dead, acknowledgeAll);
  await log.subscribe({ topic: deadLetterTopic(topic), group: 'inspection', from: 'earliest', assign });
  return dead;
}

/** A record that cannot be handled stops nothing. */
export const poisonPromises: LogPromise[] = [
  {
    name: 'a poison record goes to the dead-letter topic after its tries, its neighbours are handled',
    async keep(bench) {
      const log = await bench.open();
      const topic = await bench.topic(log, ONE);
      await log.append(numbered(topic, 'k', 0, 20).map((one) => ({ ...one, headers: { encoding: 'identity' } })));
      const handled: string[] = [];
      let alone = 0;
      await log.subscribe({
        topic,
        group: 'g',
        from: 'earliest',
        maxTries: 3,
        assign: (context) => ({
          async handle(records) {
            if (records.length === 1 && text(records[0]!) === '7') alone++;
            const bad = records.find((one) => text(one) === '7');
            if (bad) throw Object.assign(new Error('seven is not a number'), { code: 'TEST_SEVEN' });
            handled.push(...records.map(text));
            acknowledgeAll(records, context);
          },
        }),
      });
      await until(() => totalLag(log, topic, 'g'), 0);
      expect(handled).toEqual(Array.from({ length: 20 }, (_, index) => String(index)).filter((one) => one !== '7'));
      expect(alone).toBe(3);
      const dead = await deadLetters(log, topic);
      await until(() => texts(dead), ['7']);
      expect(dead.records[0]).toMatchObject({
        key: 'k',
        headers: {
          encoding: 'identity',
          [DeadLetterHeader.Topic]: topic,
          [DeadLetterHeader.Partition]: '0',
          [DeadLetterHeader.Offset]: '7',
          [DeadLetterHeader.Group]: 'g',
          [DeadLetterHeader.Code]: 'TEST_SEVEN',
          [DeadLetterHeader.Reason]: 'seven is not a number',
          [DeadLetterHeader.Tries]: '3',
        },
      });
      expect(log.metrics().deadLettered).toBe(1);
    },
  },
  {
    name: 'a record that a handler rejects goes to the dead-letter topic at once',
    async keep(bench) {
      const log = await bench.open();
      const topic = await bench.topic(log, ONE);
      await log.append(numbered(topic, 'k', 0, 5));
      const seen = nothingSeen();
      const assign = watching(seen, async (records, context) => {
        for (const one of records) {
          if (text(one) === '2') {
            await context.reject(one, new TypeError('no two'));
            // What is done stays done.
            await context.reject(one, new TypeError('no two, again'));
          }
          context.acknowledge(one.offset);
        }
      });
      await log.subscribe({ topic, group: 'g', from: 'earliest', assign });
      await until(() => totalLag(log, topic, 'g'), 0);
      expect(texts(seen)).toEqual(['0', '1', '2', '3', '4']);
      const dead = await deadLetters(log, topic);
      await until(() => texts(dead), ['2']);
      expect(dead.records[0]!.headers).toMatchObject({
        [DeadLetterHeader.Code]: 'TypeError',
        [DeadLetterHeader.Reason]: 'no two',
        [DeadLetterHeader.Tries]: '0',
      });
    },
  },
  {
    name: 'a retriable error is tried again for as long as it takes and never makes a dead letter',
    async keep(bench) {
      const log = await bench.open();
      const topic = await bench.topic(log, ONE);
      await log.append(numbered(topic, 'k', 0, 4));
      const handled: string[] = [];
      let failures = 0;
      await log.subscribe({
        topic,
        group: 'g',
        from: 'earliest',
        maxTries: 2,
        assign: (context) => ({
          async handle(records) {
            if (failures < 6) {
              failures++;
              throw retriableError('the sink is away');
            }
            handled.push(...records.map(text));
            acknowledgeAll(records, context);
          },
        }),
      });
      await until(() => totalLag(log, topic, 'g'), 0);
      expect(handled).toEqual(['0', '1', '2', '3']);
      expect(failures).toBe(6);
      const dead = await deadLetters(log, topic);
      await quiet();
      expect(dead.records).toEqual([]);
    },
  },
  {
    name: 'a topic where every record is poison is emptied into the dead-letter topic in order',
    async keep(bench) {
      const log = await bench.open();
      const topic = await bench.topic(log, ONE);
      await log.append(numbered(topic, 'k', 0, 8));
      const assign = () => ({ handle: () => Promise.reject(new Error('always')) });
      await log.subscribe({ topic, group: 'g', from: 'earliest', maxTries: 2, assign });
      await until(() => totalLag(log, topic, 'g'), 0);
      const dead = await deadLetters(log, topic);
      await until(() => texts(dead), ['0', '1', '2', '3', '4', '5', '6', '7']);
    },
  },
];
