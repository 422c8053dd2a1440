import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createFrameCheck } from './frame-guard.js';

function frame(body: Uint8Array): Buffer {
  const size = Buffer.alloc(4);
  size.writeInt32BE(body.length);
  return Buffer.concat([size, body]);
}

/** The bytes in pieces that end at the places given. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const ends = [...new Set([...places.map((place) => place % (bytes.length + 1)), bytes.length])].sort((a, b) => a - b);
  return ends.map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end));
}

const bodies = fc.array(fc.uint8Array({ minLength: 4, maxLength: 300 }), { minLength: 1, maxLength: 10 });
const places = fc.array(fc.nat(4_000), { maxLength: 30 });

describe('the frames of a broker', () => {
  it('pass, however they are cut', () => {
    fc.assert(
      fc.property(bodies, places, (all, at) => {
        const check = createFrameCheck();
        for (const piece of cut(Buffer.concat(all.map(frame)), at)) check(piece);
      }),
    );
  });

  it.each([
    ['an HTTP server', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'), /1213486160 bytes/],
    ['a TLS server', Buffer.from('15030300020250', 'hex'), /352518912 bytes/],
    ['a size below zero', Buffer.alloc(8, 0xff), /-1 bytes/],
    ['a size without a correlation id', Buffer.from([0, 0, 0, 3, 1, 1, 1]), /3 bytes/],
  ])('are told from %s, after whole frames too and however they are cut', (_, bytes, message) => {
    fc.assert(
      fc.property(bodies, places, (before, at) => {
        const check = createFrameCheck();
        const all = Buffer.concat([...before.map(frame), bytes]);
        expect(() => cut(all, at).forEach(check)).toThrow(message);
      }),
      { numRuns: 50 },
    );
  });
});
