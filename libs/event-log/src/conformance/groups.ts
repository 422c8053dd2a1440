import { expect } from 'vitest';
import type { PartitionContext, PartitionHandler } from '../event-log.js';
import {
  acknowledgeAll,
  acknowledgeNone,
  nothingSeen,
  numbered,
  quiet,
  record,
  retriableError,
  text,
  texts,
  totalLag,
  until,
  watching,
  type LogPromise,
  type Seen,
} from './bench.js';

const EIGHT = { partitions: 8 };

/** Partitions that a member serves now. */
function serving(seen: Seen): number[] {
  return seen.contexts
    .filter(({ signal }) => !signal.aborted)
    .map(({ partition }) => partition)
    .sort((a, b) => a - b);
}

/** Members of a group share the partitions. */
export const groupPromises: LogPromise[] = [
  {
    name: 'members share the partitions, hand them over when one comes or goes, and lose no record',
    async keep(bench) {
      const [first, second] = [await bench.open(), await bench.open()];
      const topic = await bench.topic(first, EIGHT);
      const [one, two] = [nothingSeen(), nothingSeen()];
      const subscribe = { topic, group: 'g', from: 'earliest' } as const;
      await (
        await first.subscribe({ ...subscribe, assign: watching(one, acknowledgeAll) })
      ).ready;
      let sent = 0;
      const send = async (count: number): Promise<void> => {
        for (const end = sent + count; sent < end; sent++) {
          await first.append([record(topic, `k${sent % 40}`, String(sent))]);
        }
      };
      await send(100);
      await until(() => serving(one).length, 8);
      const joined = await second.subscribe({ ...subscribe, assign: watching(two, acknowledgeAll) });
      await joined.ready;
      await until(() => [serving(one).length, serving(two).length], [4, 4]);
      expect([...serving(one), ...serving(two)].sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
      await send(100);
      await joined.drain(10_000);
      await until(() => serving(one).length, 8);
      await send(100);
      await until(() => totalLag(first, topic, 'g'), 0);
      const all = new Set([...texts(one), ...texts(two)].map(Number));
      expect(all.size).toBe(300);
      expect(two.closed).toEqual(Array(two.contexts.length).fill('drain'));
      expect(one.closed.every((reason) => reason === 'revoked')).toBe(true);
    },
  },
  {
    name: 'a partition has one handler at a time, and the next one starts from what the last one committed',
    async keep(bench) {
      const logs = [await bench.open(), await bench.open()];
      const topic = await bench.topic(logs[0]!, { partitions: 2 });
      await logs[0]!.append(Array.from({ length: 100 }, (_, index) => record(topic, `k${index}`, String(index))));
      const open = new Map<number, number>();
      let most = 0;
      const handled: string[] = [];
      const assign = (context: PartitionContext): PartitionHandler => {
        open.set(context.partition, (open.get(context.partition) ?? 0) + 1);
        most = Math.max(most, ...open.values());
        return {
          async handle(records) {
            await quiet(1);
            handled.push(...records.map(text));
            acknowledgeAll(records, context);
          },
          async close() {
            await quiet(20);
            open.set(context.partition, open.get(context.partition)! - 1);
          },
        };
      };
      const subscribe = { topic, group: 'g', from: 'earliest', maxBatchRecords: 2, assign } as const;
      const first = await logs[0]!.subscribe(subscribe);
      await until(() => handled.length > 10, true);
      const second = await logs[1]!.subscribe(subscribe);
      await second.ready;
      await first.drain(10_000);
      await until(() => totalLag(logs[1]!, topic, 'g'), 0);
      expect(most).toBe(1);
      expect(new Set(handled).size).toBe(100);
      // Every close committed all that was acknowledged: nothing came twice.
      expect(handled.length).toBe(100);
    },
  },
  {
    name: 'the partitions of a member that was killed go to the others, with what it had not committed',
    async keep(bench) {
      const [dying, living] = [await bench.open(), await bench.open()];
      const topic = await bench.topic(living, { partitions: 2 });
      const [one, two] = [nothingSeen(), nothingSeen()];
      const subscribe = { topic, group: 'g', from: 'earliest' } as const;
      await (
        await living.subscribe({ ...subscribe, assign: watching(two, acknowledgeAll) })
      ).ready;
      await (
        await dying.subscribe({ ...subscribe, assign: watching(one, acknowledgeNone) })
      ).ready;
      await until(() => [serving(one).length, serving(two).length], [1, 1]);
      await living.append(Array.from({ length: 60 }, (_, index) => record(topic, `k${index}`, String(index))));
      await until(() => one.records.length + two.records.length, 60);
      expect(one.records.length).toBeGreaterThan(0);
      await bench.crash(dying);
      await until(() => new Set(texts(two)).size, 60);
      await until(() => totalLag(living, topic, 'g'), 0);
    },
  },
  {
    name: 'a member that lost a partition can neither commit nor acknowledge it',
    async keep(bench) {
      const log = await bench.open();
      const topic = await bench.topic(log, { partitions: 1 });
      await log.append(numbered(topic, 'k', 0, 5));
      const [one, two] = [nothingSeen(), nothingSeen()];
      const subscribe = { topic, group: 'g', from: 'earliest' } as const;
      const first = await log.subscribe({ ...subscribe, assign: watching(one, acknowledgeNone) });
      await until(() => one.records.length, 5);
      await first.drain(5_000);
      expect(one.contexts[0]!.signal.aborted).toBe(true);
      await log.subscribe({ ...subscribe, assign: watching(two, acknowledgeNone) });
      await until(() => two.records.length, 5);
      const lost = one.contexts[0]!;
      await expect(lost.commit(5)).rejects.toMatchObject({ code: 'EVENT_LOG_REVOKED' });
      await expect(lost.reject(one.records[0]!, new Error('late'))).rejects.toMatchObject({
        code: 'EVENT_LOG_REVOKED',
      });
      lost.acknowledge(0);
      await quiet(1_500);
      expect((await log.lag(topic, 'g'))[0]).toMatchObject({ committed: undefined, end: 5 });
    },
  },
  {
    name: 'a member that finds all partitions taken is ready, and takes over when it is needed',
    async keep(bench) {
      const [first, second] = [await bench.open(), await bench.open()];
      const topic = await bench.topic(first, { partitions: 1 });
      const [one, two] = [nothingSeen(), nothingSeen()];
      const subscribe = { topic, group: 'g', from: 'earliest' } as const;
      const busy = await first.subscribe({ ...subscribe, assign: watching(one, acknowledgeAll) });
      await busy.ready;
      const spare = await second.subscribe({ ...subscribe, assign: watching(two, acknowledgeAll) });
      await spare.ready;
      expect(serving(one).length + serving(two).length).toBe(1);
      await (serving(one).length === 1 ? busy : spare).drain(5_000);
      await second.append(numbered(topic, 'k', 0, 3));
      await until(() => one.records.length + two.records.length, 3);
    },
  },
  {
    name: 'a handler that cannot be made yet is asked for again, one that cannot be made at all fails the subscription',
    async keep(bench) {
      const log = await bench.open();
      const topic = await bench.topic(log, { partitions: 1 });
      await log.append(numbered(topic, 'k', 0, 2));
      const seen = nothingSeen();
      let asked = 0;
      await log.subscribe({
        topic,
        group: 'late',
        from: 'earliest',
        assign: (context) => {
          if (++asked < 3) throw retriableError('history is away');
          return watching(seen, acknowledgeAll)(context);
        },
      });
      await until(() => texts(seen), ['0', '1']);
      expect(asked).toBe(3);
      const broken = await log.subscribe({
        topic,
        group: 'broken',
        from: 'earliest',
        assign: () => Promise.reject(new Error('this build is broken')),
      });
      await expect(broken.failed).rejects.toThrow('this build is broken');
      await expect(broken.ready).rejects.toThrow('this build is broken');
      await broken.drain(1_000);
    },
  },
];
