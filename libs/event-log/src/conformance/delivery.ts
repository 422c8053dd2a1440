import { expect } from 'vitest';
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
} from './bench.js';

const ONE = { partitions: 1 };
const numbers = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, index) => String(from + index));

/** At least once, and what is committed. */
export const deliveryPromises: LogPromise[] = [
  {
    name: 'what was delivered and not acknowledged comes again after a crash',
    async keep(bench) {
      const log = await bench.open();
      const topic = await bench.topic(log, ONE);
      await log.append(numbered(topic, 'k', 0, 50));
      const first = nothingSeen();
      await log.subscribe({ topic, group: 'g', from: 'earliest', assign: watching(first, acknowledgeNone) });
      await until(() => first.records.length, 50);
      await bench.crash(log);
      const again = await bench.open();
      const second = nothingSeen();
      await again.subscribe({ topic, group: 'g', from: 'earliest', assign: watching(second, acknowledgeAll) });
      await until(() => texts(second), numbers(0, 50));
    },
  },
  {
    name: 'only the contiguous acknowledged prefix is committed',
    async keep(bench) {
      const log = await bench.open();
      const topic = await bench.topic(log, ONE);
      await log.append(numbered(topic, 'k', 0, 10));
      const seen = nothingSeen();
      await log.subscribe({ topic, group: 'g', from: 'earliest', assign: watching(seen, acknowledgeNone) });
      await until(() => seen.records.length, 10);
      const [context] = seen.contexts;
      for (const offset of [1, 0, 3, 4, 9]) context!.acknowledge(offset);
      await until(async () => (await log.lag(topic, 'g'))[0]?.committed, 2);
      await quiet(1_500);
      expect((await log.lag(topic, 'g'))[0]).toEqual({ partition: 0, committed: 2, end: 10, lag: 8 });
      await bench.crash(log);

      const again = await bench.open();
      const rest = nothingSeen();
      await again.subscribe({ topic, group: 'g', from: 'earliest', assign: watching(rest, acknowledgeAll) });
      await until(() => texts(rest), numbers(2, 10));
      await until(async () => (await again.lag(topic, 'g'))[0]?.committed, 10);
    },
  },
  {
    name: 'a commit is durable when it resolves, and its metadata is read back at the next assignment',
    async keep(bench) {
      const log = await bench.open();
      const topic = await bench.topic(log, ONE);
      await log.append(numbered(topic, 'k', 0, 10));
      const seen = nothingSeen();
      await log.subscribe({ topic, group: 'g', from: 'earliest', assign: watching(seen, acknowledgeNone) });
      await until(() => seen.records.length, 10);
      expect(seen.contexts[0]!.committed).toBeUndefined();
      await seen.contexts[0]!.commit(4, '{"last":6}');
      await bench.crash(log);

      const again = await bench.open();
      const rest = nothingSeen();
      await again.subscribe({ topic, group: 'g', from: 'earliest', assign: watching(rest, acknowledgeNone) });
      await until(() => texts(rest), numbers(4, 10));
      expect(rest.contexts[0]!.committed).toEqual({ offset: 4, metadata: '{"last":6}' });
      await rest.contexts[0]!.commit(10);
      await until(() => totalLag(again, topic, 'g'), 0);
    },
  },
  {
    name: 'a handler that commits by itself is not overtaken by what it acknowledges',
    async keep(bench) {
      const log = await bench.open();
      const topic = await bench.topic(log, ONE);
      await log.append(numbered(topic, 'k', 0, 10));
      const seen = nothingSeen();
      const subscription = await log.subscribe({
        topic,
        group: 'g',
        from: 'earliest',
        assign: watching(seen, acknowledgeNone),
      });
      await until(() => seen.records.length, 10);
      const context = seen.contexts[0]!;
      await context.commit(0, 'batch 0-4');
      for (let offset = 0; offset < 7; offset++) context.acknowledge(offset);
      await quiet(1_500);
      await subscription.drain(10_000);
      const rest = nothingSeen();
      await log.subscribe({ topic, group: 'g', from: 'latest', assign: watching(rest, acknowledgeNone) });
      await until(() => rest.records.length, 10);
      expect(rest.contexts[0]!.committed).toEqual({ offset: 0, metadata: 'batch 0-4' });
    },
  },
  {
    name: 'a commit beyond what was delivered is refused',
    async keep(bench) {
      const log = await bench.open();
      const topic = await bench.topic(log, ONE);
      await log.append(numbered(topic, 'k', 0, 3));
      const seen = nothingSeen();
      await log.subscribe({ topic, group: 'g', from: 'earliest', assign: watching(seen, acknowledgeNone) });
      await until(() => seen.records.length, 3);
      await expect(seen.contexts[0]!.commit(4)).rejects.toMatchObject({ code: 'EVENT_LOG_INVALID' });
      await seen.contexts[0]!.commit(3);
    },
  },
  {
    name: 'a handler that throws gets the same records again, in order, without what it had acknowledged',
    async keep(bench) {
      const log = await bench.open();
      const topic = await bench.topic(log, ONE);
      await log.append(numbered(topic, 'k', 0, 6));
      const seen = nothingSeen();
      let calls = 0;
      await log.subscribe({
        topic,
        group: 'g',
        from: 'earliest',
        assign: watching(seen, (records, context) => {
          calls++;
          if (calls > 1) return acknowledgeAll(records, context);
          context.acknowledge(records[0]!.offset);
          throw retriableError('the sink is away');
        }),
      });
      await until(() => totalLag(log, topic, 'g'), 0);
      const firstCall = texts(seen).indexOf('1', 2);
      expect(texts(seen).slice(firstCall)).toEqual(numbers(1, 6));
      expect(log.metrics().retries).toBeGreaterThanOrEqual(1);
    },
  },
  {
    name: 'two groups read the same topic, each from its own position',
    async keep(bench) {
      const log = await bench.open();
      const topic = await bench.topic(log, ONE);
      await log.append(numbered(topic, 'k', 0, 5));
      const one = nothingSeen();
      await log.subscribe({ topic, group: 'one', from: 'earliest', assign: watching(one, acknowledgeAll) });
      await until(() => totalLag(log, topic, 'one'), 0);
      const two = nothingSeen();
      await log.subscribe({ topic, group: 'two', from: 'earliest', assign: watching(two, acknowledgeAll) });
      await until(() => texts(two), numbers(0, 5));
      expect(texts(one)).toEqual(numbers(0, 5));
    },
  },
  {
    name: 'a group without a position starts at the oldest, the next, or the first record of a time',
    async keep(bench) {
      const log = await bench.open();
      const topic = await bench.topic(log, ONE);
      const now = Date.now();
      const at = (ago: number, value: string) => ({ ...record(topic, 'k', value), timestamp: now - ago });
      await log.append([at(3_000_000, 'old'), at(600_000, 'older than a minute'), at(20_000, 'young')]);
      const starts = { earliest: 'earliest', latest: 'latest', minute: { sinceMs: 60_000 } } as const;
      const seen = { earliest: nothingSeen(), latest: nothingSeen(), minute: nothingSeen() };
      for (const name of ['earliest', 'latest', 'minute'] as const) {
        const assign = watching(seen[name], acknowledgeAll);
        const subscription = await log.subscribe({ topic, group: name, from: starts[name], assign });
        await subscription.ready;
      }
      await log.append([record(topic, 'k', 'new')]);
      await until(() => texts(seen.earliest), ['old', 'older than a minute', 'young', 'new']);
      await until(() => texts(seen.minute), ['young', 'new']);
      await until(() => texts(seen.latest), ['new']);
    },
  },
  {
    name: 'ephemeral subscriptions each see everything and commit nothing',
    async keep(bench) {
      const log = await bench.open();
      const topic = await bench.topic(log);
      await log.append([record(topic, 'before', 'before')]);
      const views = [nothingSeen(), nothingSeen()];
      for (const view of views) {
        const subscription = await log.subscribe({
          topic,
          group: 'view',
          from: 'latest',
          ephemeral: true,
          assign: watching(view, async (records, context) => {
            for (const { offset } of records) context.acknowledge(offset);
            await context.commit(records.at(-1)!.offset + 1, 'ignored');
          }),
        });
        await subscription.ready;
      }
      await log.append(['a', 'b', 'c', 'd', 'e'].map((key) => record(topic, key, key)));
      for (const view of views) await until(() => view.records.map(text).sort(), ['a', 'b', 'c', 'd', 'e']);
      await quiet(1_500);
      expect((await log.lag(topic, 'view')).map(({ committed }) => committed)).toEqual(Array(4).fill(undefined));
      expect(views[0]!.contexts.every(({ committed }) => committed === undefined)).toBe(true);
    },
  },
];
