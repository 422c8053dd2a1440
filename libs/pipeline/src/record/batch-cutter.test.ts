import type { LogRecord } from '@tidemark/event-log';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BatchCutter, type Batch, type Loss, type Waiting } from './batch-cutter.js';
import { decodeMetadata, encodeMetadata, rowBatch } from './batch-metadata.js';

const waiting = (offset: number, bytes = 10, rows = 1): Waiting => {
  const record: LogRecord = { topic: 't', partition: 0, offset, key: 'k', value: null, headers: {}, timestamp: 0 };
  return { record, bytes, rows, since: 0 };
};
const limits = { maxBytes: 100, maxRows: 20 };
const offsets = (batch: Batch | undefined): number[] => (batch?.records ?? []).map(({ offset }) => offset);

function cutAll(cutter: BatchCutter): Batch[] {
  const batches: Batch[] = [];
  for (let batch = cutter.cut(); batch; batch = cutter.cut()) batches.push(batch);
  return batches;
}

describe('a batch cutter', () => {
  it('gives every record once, in order, in batches within the limits, numbered on', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ gap: fc.integer({ min: 1, max: 3 }), bytes: fc.nat(150), rows: fc.nat(30) })),
        (list) => {
          const cutter = new BatchCutter(limits, 7, undefined, () => expect.unreachable());
          let offset = 0;
          const all = list.map(({ gap, bytes, rows }) => waiting((offset += gap), bytes, rows));
          for (const one of all) cutter.push(one);
          const batches = cutAll(cutter);
          expect(batches.flatMap(offsets)).toEqual(all.map(({ record }) => record.offset));
          expect(batches.map(({ number }) => number)).toEqual(batches.map((_, index) => 8 + index));
          for (const batch of batches) {
            const parts = batch.records.map(({ offset }) => all.find(({ record }) => record.offset === offset)!);
            const bytes = parts.reduce((sum, part) => sum + part.bytes, 0);
            const rows = parts.reduce((sum, part) => sum + part.rows, 0);
            expect(batch.records.length === 1 || (bytes <= limits.maxBytes && rows <= limits.maxRows)).toBe(true);
            expect([batch.first, batch.last, batch.again]).toEqual([offsets(batch)[0], offsets(batch).at(-1), false]);
          }
          expect([cutter.records, cutter.bytes, cutter.since]).toEqual([0, 0, undefined]);
        },
      ),
    );
  });

  it('cuts a batch that was under way by the same offsets, whatever the limits', () => {
    const cutter = new BatchCutter({ maxBytes: 1, maxRows: 1 }, 41, { first: 10, last: 13 }, () =>
      expect.unreachable(),
    );
    for (let offset = 10; offset < 13; offset++) cutter.push(waiting(offset));
    expect([cutter.incomplete, cutter.full, cutter.cut()]).toEqual([true, false, undefined]);
    for (let offset = 13; offset < 16; offset++) cutter.push(waiting(offset));
    expect([cutter.incomplete, cutter.full]).toEqual([false, true]);
    const batch = cutter.cut();
    expect(batch).toMatchObject({ number: 41, first: 10, last: 13, again: true });
    expect(offsets(batch)).toEqual([10, 11, 12, 13]);
    expect(cutter.cut()).toMatchObject({ number: 42, first: 14, last: 14, again: false });
  });

  it('does not wait for a last record that compaction took', () => {
    const cutter = new BatchCutter(limits, 1, { first: 10, last: 13 }, () => expect.unreachable());
    cutter.push(waiting(10));
    cutter.push(waiting(15));
    expect(cutter.cut()).toMatchObject({ first: 10, last: 13, again: true, records: [{ offset: 10 }] });
    expect(offsets(cutter.cut())).toEqual([15]);
  });

  it('tells when the log no longer has a batch that was under way, or its beginning, and goes on', () => {
    const losses: Loss[] = [];
    const gone = new BatchCutter(limits, 5, { first: 10, last: 13 }, (loss) => losses.push(loss));
    gone.push(waiting(20));
    expect(gone.cut()).toMatchObject({ number: 6, first: 20, last: 20, again: false });
    const partly = new BatchCutter(limits, 5, { first: 10, last: 13 }, (loss) => losses.push(loss));
    partly.push(waiting(12));
    partly.push(waiting(13));
    expect(partly.cut()).toMatchObject({ number: 5, first: 10, last: 13, again: true });
    expect(losses).toEqual([
      { first: 10, last: 13, whole: true },
      { first: 10, last: 13, whole: false },
    ]);
  });
});

describe('the metadata of a position', () => {
  it('comes back as it was', () => {
    expect(decodeMetadata(encodeMetadata({ batch: 5 }))).toEqual({ batch: 5 });
    expect(decodeMetadata(encodeMetadata({ batch: 5, last: 0 }))).toEqual({ batch: 5, last: 0 });
  });

  it.each(['', 'x', 'null', '3', '{}', '{"v":2,"batch":1}', '{"v":1,"batch":"1"}', '{"v":1,"batch":1,"last":"2"}'])(
    'is nothing when it is %j',
    (text) => {
      expect(decodeMetadata(text)).toBeUndefined();
    },
  );

  it('numbers rows differently in every batch and partition, exactly', () => {
    const numbers = [0, 1, 2, 1023].flatMap((partition) => [1, 2, 1.8e12].map((batch) => rowBatch(batch, partition)));
    expect(new Set(numbers).size).toBe(numbers.length);
    expect(numbers.every(Number.isSafeInteger)).toBe(true);
  });
});
