import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseEventFormat, requireField } from './event-format.js';
import { parseMappings } from './mappings.js';
import { parsePageLayout, readPage } from './ring-page.js';

const HEADER = `	field: u64 timestamp;	offset:0;	size:8;	signed:0;
	field: local_t commit;	offset:8;	size:8;	signed:1;
	field: int overwrite;	offset:8;	size:1;	signed:1;
	field: char data;	offset:16;	size:4080;	signed:0;
`;
const layout = parsePageLayout(HEADER);

/** A writer of sub-buffers after the description in the kernel's ring_buffer.h, apart from the reader. */
function writePage(start: bigint, events: { delta: number; bytes: Buffer }[]): Buffer {
  const parts: Buffer[] = [];
  for (const { delta, bytes } of events) {
    if (delta >= 2 ** 27) {
      const extend = Buffer.alloc(8);
      extend.writeUInt32LE((30 | ((delta % 2 ** 27) << 5)) >>> 0, 0);
      extend.writeUInt32LE(Math.floor(delta / 2 ** 27), 4);
      parts.push(extend);
    }
    const rest = delta >= 2 ** 27 ? 0 : delta;
    const small = bytes.length > 0 && bytes.length <= 112 && bytes.length % 4 === 0;
    const head = Buffer.alloc(small ? 4 : 8);
    head.writeUInt32LE(((small ? bytes.length / 4 : 0) + rest * 32) >>> 0, 0);
    if (!small) head.writeUInt32LE(bytes.length + 4, 4);
    parts.push(head, bytes, Buffer.alloc(small ? 0 : (4 - (bytes.length % 4)) % 4));
  }
  const data = Buffer.concat(parts);
  const page = Buffer.alloc(4096);
  page.writeBigUInt64LE(start, 0);
  page.writeUInt32LE(data.length, 8);
  data.copy(page, 16);
  return page;
}

describe('a sub-buffer of the kernel', () => {
  it('gives back what was written into it, with its times', () => {
    const event = fc.record({
      delta: fc.oneof(fc.nat(1_000_000), fc.integer({ min: 2 ** 27, max: 2 ** 31 - 1 })),
      bytes: fc.uint8Array({ minLength: 4, maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
    });
    fc.assert(
      fc.property(fc.bigInt(0n, 2n ** 50n), fc.array(event, { maxLength: 15 }), (start, events) => {
        const seen: { time: number; bytes: Buffer }[] = [];
        const lost = readPage(writePage(start, events), layout, (time, page, from, to) =>
          seen.push({ time, bytes: Buffer.from(page.subarray(from, to)) }),
        );
        let time = Number(start);
        expect(lost).toBe(0);
        expect(seen).toHaveLength(events.length);
        events.forEach(({ delta, bytes }, index) => {
          time += delta;
          expect(seen[index]!.time).toBe(time);
          expect(seen[index]!.bytes.subarray(0, bytes.length)).toEqual(bytes);
        });
      }),
    );
  });

  it('of any bytes is read to an end, within its bounds', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 4096 }), (bytes) => {
        const page = Buffer.from(bytes);
        let count = 0;
        readPage(page, layout, (_time, _page, start, end) => {
          count += 1;
          expect(start).toBeLessThanOrEqual(end);
          expect(end).toBeLessThanOrEqual(page.length);
        });
        expect(count).toBeLessThanOrEqual(1024);
      }),
    );
  });

  it('says how many events were lost before it', () => {
    const page = writePage(5n, [{ delta: 1, bytes: Buffer.alloc(8) }]);
    const length = page.readUInt32LE(8);
    page.writeUInt32LE((length | 0x80000000) >>> 0, 8);
    expect(readPage(page, layout, () => undefined)).toBe(1);
    page.writeUInt32LE((length | 0xc0000000) >>> 0, 8);
    page.writeUInt32LE(77, 16 + length);
    expect(readPage(page, layout, () => undefined)).toBe(77);
  });
});

describe('the kernel’s descriptions', () => {
  it('are refused when they lack what is needed', () => {
    expect(() => parsePageLayout('')).toThrow(/timestamp|commit/);
    expect(() => parsePageLayout(HEADER.replace('size:8;	signed:1', 'size:2;	signed:1'))).toThrow(/commit 2 bytes/);
    expect(() => parseEventFormat('name: x\n')).toThrow(/no ID/);
    const format = parseEventFormat('ID: 7\n\tfield:u64 w0[64];\toffset:32;\tsize:512;\tsigned:0;\n');
    expect(requireField(format, 'w0', 512)).toBe(32);
    expect(() => requireField(format, 'di', 8)).toThrow(/no field "di"/);
  });

  it('of mappings are read whatever they are', () => {
    const line = '55d0c0a4b000-55d0c0a4d000 r-xp 00001000 fe:00 1234 /tmp/a b\\012c (deleted)';
    expect(parseMappings(`${line}\nnonsense\n`)).toEqual([
      {
        start: 0x55d0c0a4b000,
        end: 0x55d0c0a4d000,
        readable: true,
        executable: true,
        offset: 0x1000,
        inode: 1234,
        path: '/tmp/a b\nc (deleted)',
      },
    ]);
    fc.assert(fc.property(fc.string(), (text) => Array.isArray(parseMappings(text))));
  });
});
