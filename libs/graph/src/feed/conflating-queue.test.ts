import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createConflatingQueue, type ConflatingQueue } from './conflating-queue.js';
import { mapIterator } from './map-iterator.js';

function make(limit: number) {
  const counts = { conflated: 0, dropped: 0, ended: 0 };
  const queue: ConflatingQueue<number> = createConflatingQueue<number>({
    limit,
    counters: { conflated: () => void counts.conflated++, dropped: () => void counts.dropped++ },
    onEnd: () => void counts.ended++,
  });
  return { queue, counts };
}

describe('a conflating queue', () => {
  it('gives the newest value of each key in the order the keys came, and counts what it did not give', async () => {
    const pushes = fc.array(fc.tuple(fc.integer({ min: 0, max: 9 }), fc.nat()), { maxLength: 60 });
    await fc.assert(
      fc.asyncProperty(pushes, fc.integer({ min: 1, max: 6 }), async (values, limit) => {
        const { queue, counts } = make(limit);
        const model: [number, number][] = [];
        for (const [key, value] of values) {
          queue.push(String(key), value);
          const known = model.find(([other]) => other === key);
          if (known) known[1] = value;
          else model.push([key, value]);
          if (model.length > limit) model.shift();
        }
        queue.finish();
        const got: number[] = [];
        for await (const value of queue) got.push(value);
        expect(got).toEqual(model.map(([, value]) => value));
        expect(counts.conflated + counts.dropped + got.length).toBe(values.length);
        expect(counts.ended).toBe(1);
      }),
    );
  });

  it('answers a waiting reader at once, in turn', async () => {
    const { queue } = make(1);
    const answers = [queue.next(), queue.next()];
    queue.push('a', 1);
    queue.push('a', 2);
    expect(await Promise.all(answers)).toEqual([
      { done: false, value: 1 },
      { done: false, value: 2 },
    ]);
  });

  it('ends a waiting reader when it is returned, and takes nothing afterwards', async () => {
    const { queue, counts } = make(1);
    const waiting = queue.next();
    await queue.return();
    queue.push('a', 1);
    expect(await waiting).toEqual({ done: true, value: undefined });
    expect(await queue.next()).toEqual({ done: true, value: undefined });
    await queue.return();
    expect(counts.ended).toBe(1);
  });

  it('reaches through a mapping, which can end it', async () => {
    const { queue, counts } = make(5);
    const mapped = mapIterator(queue, (value) => (value < 3 ? value * 10 : undefined));
    for (const value of [1, 2, 3, 4]) queue.push(String(value), value);
    const got: number[] = [];
    for await (const value of mapped) got.push(value);
    expect(got).toEqual([10, 20]);
    expect(counts.ended).toBe(1);
  });
});
