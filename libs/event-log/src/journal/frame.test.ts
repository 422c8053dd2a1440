import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeFrame, encodeFrames, type DecodedFrame, type FrameContent } from './frame.js';

const content: fc.Arbitrary<FrameContent> = fc.record({
  offset: fc.nat(Number.MAX_SAFE_INTEGER),
  timestamp: fc.double({ noNaN: true }),
  key: fc.string({ unit: 'grapheme', maxLength: 50 }),
  headers: fc.dictionary(fc.string({ maxLength: 10 }), fc.string({ unit: 'grapheme', maxLength: 20 }), { maxKeys: 5 }),
  value: fc.option(fc.uint8Array({ maxLength: 300 })),
});

function plain({ offset, timestamp, key, headers, value }: FrameContent): object {
  return { offset, timestamp, key, headers: { ...headers }, value: value && Buffer.from(value).toString('hex') };
}

function decodeAll(bytes: Buffer): DecodedFrame[] {
  const frames: DecodedFrame[] = [];
  let at = 0;
  for (let frame = decodeFrame(bytes, at); frame; frame = decodeFrame(bytes, at)) {
    frames.push(frame);
    at += frame.size;
  }
  return frames;
}

describe('a frame', () => {
  test('holds any record', () => {
    fc.assert(
      fc.property(fc.array(content, { maxLength: 8 }), (records) => {
        const { bytes, sizes } = encodeFrames(records);
        const frames = decodeAll(bytes);
        expect(frames.map(plain)).toEqual(records.map(plain));
        expect(frames.map(({ size }) => size)).toEqual(sizes);
        expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(bytes.length);
      }),
    );
  });

  test('that is cut anywhere is not one', () => {
    fc.assert(
      fc.property(content, fc.double({ min: 0, max: 0.999, noNaN: true }), (record, part) => {
        const { bytes } = encodeFrames([record]);
        expect(decodeFrame(bytes.subarray(0, Math.floor(bytes.length * part)), 0)).toBeUndefined();
      }),
    );
  });

  test('with any bit turned is not one', () => {
    fc.assert(
      fc.property(content, fc.nat(), (record, at) => {
        const { bytes } = encodeFrames([record]);
        const bit = at % (bytes.length * 8);
        bytes[bit >> 3]! ^= 1 << (bit & 7);
        expect(decodeFrame(bytes, 0)).toBeUndefined();
      }),
    );
  });

  test('of zeros or noise is not one', () => {
    expect(decodeFrame(Buffer.alloc(4096), 0)).toBeUndefined();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 500 }), (noise) => {
        expect(decodeFrame(Buffer.from(noise), 0)).toBeUndefined();
      }),
    );
  });
});
