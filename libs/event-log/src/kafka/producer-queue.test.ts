import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PartitionQueue, type Chunk, type Message } from './producer-queue.js';

const message = (text: string, bytes = 10): Message => ({
  key: Buffer.from('k'),
  value: Buffer.from(text),
  headers: {},
  timestamp: 0,
  bytes,
});

interface Append extends Chunk {
  outcome: 'waits' | 'done' | Error;
}

function append(texts: readonly string[], bytes = 10): Append {
  const one: Append = {
    messages: texts.map((text) => message(text, bytes)),
    settled: false,
    outcome: 'waits',
    settle(error) {
      if (one.settled) return;
      one.settled = true;
      one.outcome = error ?? 'done';
    },
  };
  return one;
}

/** Sends everything as a broker that takes it all would; gives what it got, batch by batch. */
function sendAll(queue: PartitionQueue): string[][] {
  const sent: string[][] = [];
  for (let head = queue.head(); head; head = queue.head()) {
    sent.push(head.messages.map(({ value }) => value!.toString()));
    queue.finish();
    for (const { chunk } of head.chunks) chunk.settle();
  }
  return sent;
}

describe('the messages that wait for a partition', () => {
  it('go in the order of the calls, in batches within the bound, and each call is settled when all of it went', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 20 }),
        fc.integer({ min: 1, max: 100 }),
        (sizes, bound) => {
          const queue = new PartitionQueue('t', 0, bound);
          let next = 0;
          const calls = sizes.map((size) => append(Array.from({ length: size }, () => String(next++))));
          calls.forEach((call) => queue.push(call));
          const sent = sendAll(queue);
          expect(sent.flat()).toEqual(Array.from({ length: next }, (_, index) => String(index)));
          for (const batch of sent) expect(batch.length).toBeLessThanOrEqual(Math.max(1, Math.floor(bound / 10)));
          expect(calls.every(({ outcome }) => outcome === 'done')).toBe(true);
          expect(queue.isEmpty).toBe(true);
        },
      ),
    );
  });

  it('are the same ones when a batch is sent again', () => {
    const queue = new PartitionQueue('t', 0, 1_000);
    queue.push(append(['a', 'b']));
    const first = queue.head();
    queue.push(append(['c']));
    expect(queue.head()).toBe(first);
    expect(first!.messages).toHaveLength(2);
  });

  it('come one by one, in order, when their batch is too large', () => {
    const queue = new PartitionQueue('t', 0, 1_000);
    const [one, two] = [append(['a', 'b']), append(['c'])];
    queue.push(one);
    queue.push(two);
    queue.head();
    expect(queue.split()).toBe(true);
    expect(queue.head()!.messages.map(({ value }) => value!.toString())).toEqual(['a']);
    expect(queue.split()).toBe(false);
    const tooLarge = new Error('too large');
    queue.head()!.chunks[0]!.chunk.settle(tooLarge);
    queue.finish();
    expect(one.outcome).toBe(tooLarge);
    // Nobody waits for the rest of that call any more; the other call is not touched.
    expect(sendAll(queue).flat()).toEqual(['c']);
    expect(two.outcome).toBe('done');
  });

  it('are dropped when nobody waits for them, but not those that a broker may have', () => {
    const queue = new PartitionQueue('t', 0, 20);
    const [one, two, three] = [append(['a', 'b']), append(['c']), append(['d'])];
    [one, two, three].forEach((call) => queue.push(call));
    const head = queue.head()!;
    head.inDoubt = true;
    const bytes = head.messages[0]!.value!;
    one.settle(new Error('late'));
    two.settle(new Error('late'));
    queue.dropSettled();
    // The caller may use his bytes again.
    bytes.fill('x');
    expect(sendAll(queue)).toEqual([['a', 'b'], ['d']]);
    expect(three.outcome).toBe('done');
  });

  it('are dropped with their batch when it was never sent', () => {
    const queue = new PartitionQueue('t', 0, 20);
    const call = append(['a']);
    queue.push(call);
    queue.head();
    call.settle(new Error('late'));
    queue.dropSettled();
    expect(queue.isEmpty).toBe(true);
  });
});
