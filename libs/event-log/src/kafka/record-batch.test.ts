import { createRequire } from 'node:module';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readBatches } from './record-batch.js';

/** The encoder of kafkajs, which was written by others, is what the reader is held against. */
const require = createRequire(import.meta.url);
const { RecordBatch } = require('kafkajs/src/protocol/recordBatch/v0/index.js') as {
  RecordBatch(options: object): Promise<{ buffer: Buffer }>;
};
const record = require('kafkajs/src/protocol/recordBatch/record/v0/index.js') as (options: object) => object;

interface Given {
  key: Buffer | null;
  value: Buffer | null;
  headers: Record<string, string>;
  timestamp: number;
}

async function encode(given: readonly Given[], firstOffset: number, compression = 0): Promise<Buffer> {
  const firstTimestamp = given[0]!.timestamp;
  const records = given.map(({ timestamp, ...one }, offsetDelta) =>
    record({ ...one, offsetDelta, timestampDelta: timestamp - firstTimestamp }),
  );
  const options = { compression, firstOffset, firstTimestamp, records, lastOffsetDelta: given.length - 1 };
  return (await RecordBatch(options)).buffer;
}

const bytes = fc.uint8Array({ maxLength: 300 }).map((one) => Buffer.from(one));
const givenRecord: fc.Arbitrary<Given> = fc.record({
  key: fc.string({ unit: 'grapheme', maxLength: 20 }).map((one) => Buffer.from(one)),
  value: fc.option(bytes),
  headers: fc.dictionary(fc.string({ maxLength: 10 }), fc.string({ unit: 'grapheme', maxLength: 20 })),
  timestamp: fc.integer({ min: 0, max: 2 ** 42 }),
});
const batch = fc.array(givenRecord, { minLength: 1, maxLength: 8 });

describe('reading record batches', () => {
  it('finds what another encoder wrote, plain and with gzip', async () => {
    await fc.assert(
      fc.asyncProperty(batch, fc.maxSafeNat(), fc.constantFrom(0, 1), async (given, high, compression) => {
        const first = Math.floor(high / 2);
        const read = readBatches(await encode(given, first, compression), first);
        expect(read).toMatchObject({ next: first + given.length, unreadable: 0 });
        expect(read.records).toEqual(
          given.map(({ key, value, headers, timestamp }, index) => ({
            offset: first + index,
            key: key!.toString(),
            value,
            headers: { ...headers },
            timestamp,
          })),
        );
      }),
    );
  });

  it('leaves out what lies before the wanted offset, and a batch that is cut off', async () => {
    const one: Given = { key: Buffer.from('k'), value: Buffer.from('v'), headers: {}, timestamp: 5 };
    const whole = Buffer.concat([await encode([one, one, one], 10), await encode([one, one], 13)]);
    expect(readBatches(whole, 12).records.map(({ offset }) => offset)).toEqual([12, 13, 14]);
    const cut = readBatches(whole.subarray(0, whole.length - 1), 12);
    expect(cut.records.map(({ offset }) => offset)).toEqual([12]);
    expect(cut.next).toBe(13);
    expect(readBatches(Buffer.alloc(0), 12)).toEqual({ records: [], next: undefined, unreadable: 0, why: undefined });
  });

  it('takes a record without a key, and counts a batch it cannot unpack', async () => {
    const one: Given = { key: null, value: Buffer.from('v'), headers: {}, timestamp: 5 };
    expect(readBatches(await encode([one], 3), 3).records[0]).toMatchObject({ key: '', offset: 3 });
    for (const [codec, name] of [
      [2, 'snappy'],
      [3, 'lz4'],
      [4, 'zstd'],
    ] as const) {
      const packed = await encode([one, one], 3);
      packed.writeInt16BE(codec, 21);
      const behind = await encode([one], 5);
      const read = readBatches(Buffer.concat([packed, behind]), 3);
      expect(read).toMatchObject({ unreadable: 2, next: 6, why: `compression ${name}` });
      expect(read.records.map(({ offset }) => offset)).toEqual([5]);
    }
  });

  it('passes over the marks of transactions', async () => {
    const one: Given = { key: Buffer.from('k'), value: Buffer.from('v'), headers: {}, timestamp: 5 };
    const mark = await encode([one], 3);
    mark.writeInt16BE(0x30, 21);
    expect(readBatches(mark, 3)).toEqual({ records: [], next: 4, unreadable: 0, why: undefined });
  });

  it('never throws on damaged bytes, and never goes back', async () => {
    const one: Given = { key: Buffer.from('key'), value: Buffer.alloc(50, 1), headers: { a: 'b' }, timestamp: 5 };
    const sound = await encode([one, one, one], 100);
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(sound.length - 1), fc.nat(255)), { maxLength: 6 }), (changes) => {
        const damaged = Buffer.from(sound);
        for (const [at, value] of changes) damaged[at] = value;
        const read = readBatches(damaged, 100);
        expect(read.next ?? 100).toBeGreaterThanOrEqual(100);
        let last = 99;
        for (const { offset } of read.records) {
          expect(offset).toBeGreaterThan(last);
          last = offset;
        }
        if (read.records.length > 0) expect(read.next).toBeGreaterThan(last);
      }),
    );
  });
});
