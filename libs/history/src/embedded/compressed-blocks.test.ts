import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeBlocks, encodeBlock, unpackLz4 } from './compressed-blocks.js';

const text = Buffer.from(`${'tidemark '.repeat(40)}${'\0'.repeat(300)}0123456789abcdefghijklmnopqrstuvwxyz`);
/** The text as packed by github.com/ClickHouse/ch-go, which ClickHouse's own Go client uses. */
const packedLz4 = Buffer.from(
  'lp2GXEZY4kwdwDDqKtw/h4JDAAAAuAIAAJ90aWRlbWFyayAJAP9NHwABAP8Z8BUwMTIzNDU2Nzg5YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXo=',
  'base64',
);

const decode = (data: Buffer, pieceSize: number) => {
  const pieces = Array.from({ length: Math.ceil(data.length / pieceSize) }, (_, index) =>
    data.subarray(index * pieceSize, (index + 1) * pieceSize),
  );
  return buffer(decodeBlocks(Readable.from(pieces, { objectMode: false })));
};

describe('compressed blocks', () => {
  it('unpacks what another implementation packed, however it is cut into pieces', async () => {
    for (const size of [1, 7, 26, 10_000]) {
      expect((await decode(Buffer.concat([packedLz4, packedLz4]), size)).equals(Buffer.concat([text, text]))).toBe(
        true,
      );
    }
  });

  it('reads back what it wrote', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 300 })),
        fc.integer({ min: 1, max: 50 }),
        async (parts, size) => {
          const blocks = Buffer.concat(parts.map((part) => encodeBlock(Buffer.from(part))));
          expect((await decode(blocks, size)).equals(Buffer.concat(parts))).toBe(true);
        },
      ),
      { numRuns: 50 },
    );
  });

  it('refuses a block of which one byte is changed', async () => {
    const broken = Buffer.from(packedLz4);
    broken[40]! ^= 1;
    await expect(decode(broken, 100)).rejects.toMatchObject({ code: 40, label: 'CHECKSUM_DOESNT_MATCH' });
  });

  it('refuses a block that is cut off', async () => {
    await expect(decode(packedLz4.subarray(0, -3), 100)).rejects.toMatchObject({ code: 271 });
  });

  it('refuses absurd sizes before reading them', async () => {
    const absurd = Buffer.from(packedLz4);
    absurd.writeUInt32LE(0xffff_fff0, 17);
    await expect(decode(absurd, 100)).rejects.toMatchObject({ code: 271 });
  });

  it('never reads or writes outside a block, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.integer({ min: 0, max: 400 }), (bytes, size) => {
        try {
          expect(unpackLz4(Buffer.from(bytes), size)).toHaveLength(size);
        } catch (error) {
          expect(error).toMatchObject({ code: 271 });
        }
      }),
    );
  });
});
