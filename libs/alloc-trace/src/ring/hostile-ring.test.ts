import { linkSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TraceError } from '../errors.js';
import type { TraceObservation } from '../trace-source.js';
import * as format from './format.js';
import { HEADER, REGION } from './format.js';
import { readLayout } from './header.js';
import { openRingFile } from './ring-file.js';
import { createRingReader } from './ring-reader.js';
import { createRingWriter, type RingWriter } from './ring-writer.oracle.js';

let folder: string;
let writer: RingWriter;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tidemark-hostile-'));
  writer = createRingWriter(join(folder, '1.ring'));
  writer.moment('first', { ticks: 1e9, monotonicNs: 1e9, realtimeMs: 1_767_225_600_000 });
  const site = writer.site([[writer.module('/bin/true', 'aa'), 7]]);
  for (let index = 0; index < 20; index++) {
    writer.allocate({ address: 4096n + BigInt(index) * 16n, size: 9, ticks: 1e9, site, interval: 0, lane: index % 3 });
  }
});

afterEach(() => {
  writer.close();
  rmSync(folder, { recursive: true });
});

async function look(): Promise<TraceObservation> {
  const file = openRingFile(writer.path);
  try {
    const layout = readLayout(file);
    const reader = createRingReader({
      file,
      layout,
      fileOf: () => null,
      survivorsPerSite: 4,
      maxSurvivors: 100,
      now: () => 1_767_225_700_000,
      clock: () => performance.now(),
      pause: () => new Promise((resolve) => setImmediate(resolve)),
    });
    const seen = await reader.observe(true);
    reader.keepStacks();
    for (const { site } of seen.sites) reader.stackOf(site);
    return seen;
  } finally {
    file.close();
  }
}

function word(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt.asUintN(64, value));
  return bytes;
}

describe('a hostile header', () => {
  it.each([
    ['magic', HEADER.magic, 0x1234n],
    ['version', HEADER.version, 7n | (BigInt(format.HEADER_BYTES) << 32n)],
    ['header_bytes', HEADER.version, 1n | (99n << 32n)],
    ['file_bytes', HEADER.fileBytes, 2n ** 60n],
    ['file_bytes', HEADER.fileBytes, 12n],
    ['clock', HEADER.clock, 9n],
    ['modules.offset', HEADER.modules + REGION.offset, 4097n],
    ['modules.offset', HEADER.modules + REGION.offset, 0n],
    ['sites.offset + bytes', HEADER.sites + REGION.offset, 2n ** 50n],
    ['frames.bytes', HEADER.frames + REGION.bytes, 8n],
    ['lanes.capacity', HEADER.lanes + REGION.capacity, 257n | (BigInt(format.LANE_BYTES) << 32n)],
    ['lanes.stride', HEADER.lanes + REGION.capacity, 1n | (4096n << 32n)],
    ['live[3].capacity', HEADER.live + 3 * format.REGION_BYTES + REGION.capacity, 0xffff_ffffn | (32n << 32n)],
    ['live[0].bitmap', HEADER.live + REGION.bitmap, 2n ** 52n],
  ])('is refused by the name of the field: %s', async (field, offset, value) => {
    writer.raw(word(value), offset);
    const error = await look().catch((cause: unknown) => cause);
    expect(error).toBeInstanceOf(TraceError);
    expect((error as TraceError).code).toBe('TRACE_FORMAT');
    expect((error as TraceError).message).toContain(`${field} is`);
  });

  it('is refused when the file ends before it', async () => {
    for (const bytes of [0, 8, 300, format.HEADER_BYTES - 1]) {
      truncateSync(writer.path, bytes);
      await expect(look()).rejects.toBeInstanceOf(TraceError);
    }
  });

  it('cuts counts down to what the regions hold', async () => {
    for (const field of ['moduleCount', 'siteCount', 'frameCount', 'intervalCount'] as const) {
      writer.header(field, 0xffff_ffff);
    }
    const seen = await look();
    expect(seen.totals.liveCount).toBe(20);
    expect(seen.sites).toHaveLength(1);
  });
});

describe('a hostile file', () => {
  it('that ends early has zeros where it ends', async () => {
    truncateSync(writer.path, format.GROUP * 2);
    expect(await look()).toMatchObject({ sites: [], survivors: [] });
  });

  it('that claims every group of its table is read to its end all the same', async () => {
    const table = HEADER.live + 2 * format.REGION_BYTES;
    const bitmap = Buffer.alloc(8);
    const file = openRingFile(writer.path);
    file.read(bitmap, 8, table + REGION.bitmap);
    file.close();
    const groups = (format.levelEntries(2) * format.LIVE_BYTES) / format.GROUP;
    writer.raw(Buffer.alloc(groups / 8, 0xff), Number(bitmap.readBigUInt64LE()));
    expect((await look()).totals.liveCount).toBe(20);
  });

  it('gives an answer or a TraceError whatever its bytes are', async () => {
    const offsets = fc.oneof(
      fc.nat(format.HEADER_BYTES),
      fc.integer({ min: format.PAGE, max: format.PAGE + 4096 }),
      fc.integer({ min: format.GROUP, max: 8 * format.GROUP }),
      fc.integer({ min: format.GROUP, max: 2 ** 27 }),
    );
    const bytes = fc.oneof(fc.uint8Array({ minLength: 1, maxLength: 16 }), fc.constant(new Uint8Array(8).fill(0xff)));
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(offsets, bytes), { minLength: 1, maxLength: 12 }), async (damage) => {
        for (const [offset, data] of damage) writer.raw(Buffer.from(data), offset);
        let seen: TraceObservation;
        try {
          seen = await look();
        } catch (error) {
          expect(error).toBeInstanceOf(TraceError);
          return;
        } finally {
          // Most damage adds up until nothing is left to read: begin anew.
          writer.close();
          rmSync(writer.path);
          writer = createRingWriter(join(folder, '1.ring'));
          writer.allocate({ address: 64n, size: 9, ticks: 1e9, site: writer.site([[0, 7]]), interval: 0, lane: 1 });
        }
        for (const site of seen.sites) {
          expect(Object.values(site).some((value) => typeof value === 'number' && Number.isNaN(value))).toBe(false);
          expect(site.liveCount).toBeGreaterThanOrEqual(0);
        }
        expect(seen.survivors.length).toBeLessThanOrEqual(100);
      }),
      { numRuns: 150 },
    );
  });
});

describe('opening', () => {
  it('follows no link, and takes nothing but regular files', () => {
    symlinkSync(writer.path, join(folder, 'link.ring'));
    linkSync(writer.path, join(folder, 'hard.ring'));
    expect(() => openRingFile(join(folder, 'link.ring'))).toThrow('ELOOP');
    openRingFile(join(folder, 'hard.ring')).close();
    expect(() => openRingFile('/dev/null')).toThrow('is no regular file');
  });

  it('says what it is when it is something else', async () => {
    writeFileSync(writer.path, 'hello');
    await expect(look()).rejects.toThrow(/magic is 0x6f6c6c6568/);
  });

  it('closes once, and reads nothing after', () => {
    const file = openRingFile(writer.path);
    file.close();
    file.close();
    expect(() => file.read(Buffer.alloc(1), 1, 0)).toThrow('closed already');
  });
});
