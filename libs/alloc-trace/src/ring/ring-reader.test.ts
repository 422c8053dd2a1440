import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BIRTH_BINS } from '@tidemark/contracts';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { TraceObservation } from '../trace-source.js';
import { LIVE, MODE, SITE_FLAG } from './format.js';
import { readLayout } from './header.js';
import { openRingFile, type RingFile } from './ring-file.js';
import { createRingReader, type RingReader } from './ring-reader.js';
import { createRingWriter, type RingWriter, type WrittenBlock } from './ring-writer.oracle.js';

/** 2026-01-01, when the files of these tests were made; their clock ticks in nanoseconds. */
const BORN = 1_767_225_600_000;
const MS = 1e6;

let folder: string;
let writer: RingWriter;
let file: RingFile;
let now: number;
let clock: number;

function readerOf(options: { survivorsPerSite?: number; maxSurvivors?: number } = {}): RingReader {
  return createRingReader({
    file,
    layout: readLayout(file),
    fileOf: (path) => path,
    survivorsPerSite: options.survivorsPerSite ?? 32,
    maxSurvivors: options.maxSurvivors ?? 10_000,
    now: () => now,
    clock: () => clock,
    pause: () => new Promise((resolve) => setImmediate(resolve)),
  });
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tidemark-ring-'));
  startFile('1.ring');
});

afterEach(() => {
  file.close();
  writer.close();
  rmSync(folder, { recursive: true });
});

function startFile(name: string): void {
  writer = createRingWriter(join(folder, name));
  writer.moment('first', { ticks: 1000 * MS, monotonicNs: 1000 * MS, realtimeMs: BORN });
  writer.control('mode', MODE.EXACT);
  file = openRingFile(writer.path);
  now = BORN + 60_000;
  clock = 0;
}

/** Ticks so many milliseconds after the file was made. */
function after(ms: number): number {
  return (1000 + ms) * MS;
}

function block(index: number, site: number, options: Partial<WrittenBlock> = {}): WrittenBlock {
  return {
    address: 0x5555_0000_0000n + BigInt(index) * 64n,
    size: 100,
    ticks: after(index),
    site,
    interval: 0,
    lane: 1,
    ...options,
  };
}

describe('any sequence of allocations and frees', () => {
  const step = fc.record({
    kind: fc.constantFrom('allocate', 'allocate', 'free', 'look'),
    site: fc.nat(4),
    lane: fc.nat(3),
    size: fc.oneof(fc.nat(64), fc.nat(1_000_000)),
    pick: fc.nat(),
  });
  type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

  interface Model {
    live: Map<bigint, WrittenBlock>;
    sites: Map<number, { allocations: number; frees: number; allocatedBytes: number; freedBytes: number }>;
  }

  function expectModel(seen: TraceObservation, { live, sites }: Model): void {
    for (const [site, figures] of sites) {
      const mine = [...live.values()].filter((one) => one.site === site);
      const found = seen.sites.find((one) => one.site === site)!;
      expect(found).toMatchObject({
        ...figures,
        liveCount: mine.length,
        liveBytes: mine.reduce((sum, { size }) => sum + size, 0),
        liveSamples: mine.length,
        liveVariance: 0,
      });
      expect(found.births.length).toBe(BIRTH_BINS);
      expect(found.births.reduce((sum, count) => sum + count, 0)).toBe(mine.length);
    }
    expect(seen.sites.length).toBe(sites.size);
    const calls = [...sites.values()].reduce((sum, { allocations, frees }) => sum + allocations + frees, 0);
    expect(seen.totals).toMatchObject({
      issued: calls,
      recorded: calls,
      cancelled: 0,
      dropped: 0,
      standardError: null,
    });
    expect(seen.totals.liveCount).toBe(live.size);
    expect(seen.totals.allocations + seen.totals.frees).toBe(calls);
  }

  function apply(
    model: Model,
    numbers: readonly number[],
    { kind, site, lane, size, pick }: Step,
    index: number,
  ): void {
    if (kind === 'allocate') {
      const made = block(index, numbers[site]!, { size, lane });
      writer.allocate(made);
      model.live.set(made.address, made);
      const figures = model.sites.get(made.site) ?? { allocations: 0, frees: 0, allocatedBytes: 0, freedBytes: 0 };
      figures.allocations++;
      figures.allocatedBytes += size;
      model.sites.set(made.site, figures);
      return;
    }
    const dying = [...model.live.values()][pick % Math.max(1, model.live.size)];
    if (dying === undefined) return;
    writer.free(dying, lane);
    model.live.delete(dying.address);
    const figures = model.sites.get(dying.site)!;
    figures.frees++;
    figures.freedBytes += dying.size;
  }

  it('gives the figures of a plain map, at every look and at the end', async () => {
    let run = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        file.close();
        writer.close();
        startFile(`${++run}.ring`);
        const numbers = [0, 1, 2, 3, 4].map((index) => writer.site([[0, 0x1000 + index]], { ticks: after(0) }));
        const reader = readerOf();
        const model: Model = { live: new Map(), sites: new Map() };
        for (const [index, one] of steps.entries()) {
          if (one.kind !== 'look') apply(model, numbers, one, index);
          else expectModel(await reader.observe(false), model);
          clock += 1e6;
        }
        const last = await reader.observe(true);
        expectModel(last, model);
        expect(last.survivorsTotal).toBe(model.live.size);
        const blocks = [...model.live.values()].sort((a, b) => (a.address < b.address ? -1 : 1));
        expect(last.survivors).toEqual(
          blocks.map(({ address, size, site, ticks }) => ({
            address: Number(address),
            size,
            site,
            time: BORN + ticks / MS - 1000,
          })),
        );
        rmSync(writer.path);
      }),
      { numRuns: 60 },
    );
  });
});

describe('figures', () => {
  it('tells cancelled, dropped and passed-over calls so that they add up to what was issued', async () => {
    const site = writer.site([[0, 1]]);
    const young = block(1, site);
    writer.allocate(young);
    writer.free(young, 1, { young: true });
    writer.pass(2, 10, 7);
    writer.lane(1, 'dropped', 1);
    const { totals, warnings } = await readerOf().observe(false);
    expect(totals).toMatchObject({ issued: 19, cancelled: 19, dropped: 1, recorded: -1 });
    expect(warnings).toEqual([expect.stringContaining('1 allocations found no room')]);
  });

  it('estimates sampled sites, and says how far off they may be', async () => {
    writer.interval(1, 1000);
    writer.control('mode', MODE.SAMPLED);
    writer.control('sampleInterval', 1000);
    const site = writer.site([[0, 1]]);
    const blocks = [10, 100, 1000].map((size, index) => block(index, site, { size, interval: 1 }));
    for (const one of blocks) writer.allocate(one);
    writer.free(blocks[0]!, 1);
    const seen = await readerOf().observe(false);
    const chances = blocks.map(({ size }) => 1 - Math.exp(-size / 1000));
    const [figures] = seen.sites;
    const live = chances.slice(1);
    expect(figures!.allocations).toBeCloseTo(
      chances.reduce((sum, chance) => sum + 1 / chance, 0),
      6,
    );
    expect(figures!.liveCount).toBeCloseTo(
      live.reduce((sum, chance) => sum + 1 / chance, 0),
      6,
    );
    expect(figures!.liveBytes).toBeCloseTo(100 / chances[1]! + 1000 / chances[2]!, 6);
    expect(figures!.liveSamples).toBe(2);
    const variance = [100, 1000].map((size, index) => (size ** 2 * (1 - live[index]!)) / live[index]! ** 2);
    expect(figures!.liveVariance).toBeCloseTo(variance[0]! + variance[1]!, 3);
    expect(seen.totals.standardError!.liveBytes).toBeCloseTo(Math.sqrt(variance[0]! + variance[1]!), 6);
    expect(seen).toMatchObject({ mode: 'SAMPLED', sampleInterval: 1000 });
  });

  it('counts nothing of lanes and blocks that an earlier activation left', async () => {
    const site = writer.site([[0, 1]], { ticks: after(0) });
    writer.allocate(block(1, site));
    writer.header('activation', 2);
    writer.header('activatedTicks', after(50));
    const made = block(100, site, { lane: 2 });
    writer.allocate(made);
    const seen = await readerOf().observe(true);
    expect(seen.sites).toEqual([expect.objectContaining({ allocations: 1, liveCount: 1, firstAt: BORN + 50 })]);
    expect(seen.survivors.map(({ address }) => address)).toEqual([Number(made.address)]);
    expect(seen.totals.issued).toBe(1);
  });

  it('counts nothing while the activation is one that was over before', async () => {
    writer.allocate(block(1, writer.site([[0, 1]])));
    const seen = await readerOf().observe(false, ({ activation }) => activation === 1);
    expect(seen).toMatchObject({ sites: [], survivors: [], survivorsTotal: 0, totals: { issued: 0, liveCount: 0 } });
  });

  it('bins the births of live blocks between the first allocation of the site and now', async () => {
    const site = writer.site([[0, 1]], { ticks: after(0) });
    now = BORN + BIRTH_BINS * 1000;
    for (const second of [0, 0.5, 1, 31.9]) writer.allocate(block(second * 1000, site));
    const [figures] = (await readerOf().observe(false)).sites;
    expect(figures!.births).toEqual([2, 1, ...new Array<number>(BIRTH_BINS - 3).fill(0), 1]);
    expect(figures!.firstAt).toBe(BORN);
  });

  it('ends the bins of a process that is gone at its last sign of allocation', async () => {
    const site = writer.site([[0, 1]], { ticks: after(0) });
    writer.allocate(block(3200, site));
    now = BORN + 3_600_000;
    expect((await readerOf().observe(true)).birthsUntil).toBe(BORN + 3200);
  });
});

describe('survivors', () => {
  it('are the oldest and the largest of each site that outlived the window', async () => {
    const [leak, cache] = [writer.site([[0, 1]]), writer.site([[0, 2]])];
    for (let index = 0; index < 50; index++) writer.allocate(block(index, leak, { size: 1000 + ((index * 37) % 50) }));
    writer.allocate(block(100, cache));
    writer.allocate(block(59_000, cache));
    const { survivors, survivorsTotal } = await readerOf({ survivorsPerSite: 3 }).observe(false);
    expect(survivorsTotal).toBe(51);
    const ofLeak = survivors.filter(({ site }) => site === leak);
    const bySize = Array.from({ length: 50 }, (_, index) => index).sort((a, b) => ((b * 37) % 50) - ((a * 37) % 50));
    const wanted = new Set([0, 1, 2, ...bySize.slice(0, 3)]);
    expect(ofLeak.map(({ time }) => time - BORN)).toEqual([...wanted].sort((a, b) => a - b));
    expect(survivors.filter(({ site }) => site === cache).map(({ time }) => time)).toEqual([BORN + 100]);
  });

  it('are shared out evenly when there are more than may be named', async () => {
    const sites = [0, 1, 2, 3, 4].map((index) => writer.site([[0, index + 1]]));
    let index = 0;
    for (const site of sites) for (let many = 0; many < 20; many++) writer.allocate(block(index++, site));
    const { survivors, survivorsTotal } = await readerOf({ maxSurvivors: 10 }).observe(false);
    expect(survivorsTotal).toBe(100);
    expect(sites.map((site) => survivors.filter((one) => one.site === site).length)).toEqual([2, 2, 2, 2, 2]);
  });

  it('leave out entries that are half-written, and take them when they are whole', async () => {
    const site = writer.site([[0, 1]]);
    const [torn, busy, whole] = [block(1, site), block(2, site), block(3, site)];
    for (const one of [torn, busy, whole]) writer.allocate(one);
    writer.raw(Buffer.from([0xff]), writer.entryOf(torn) + LIVE.size);
    const at = writer.entryOf(busy);
    writer.raw(Buffer.from([Number(busy.address & 0xffn) | 1]), at);
    const reader = readerOf();
    expect((await reader.observe(false)).survivorsTotal).toBe(1);
    writer.raw(Buffer.from([Number(busy.address & 0xffn)]), at);
    clock += 1e6;
    expect((await reader.observe(false)).survivorsTotal).toBe(2);
  });
});

describe('stacks', () => {
  it('are read with their modules, and stay known after the file is closed', async () => {
    const module = writer.module('/usr/lib/libleak.so', 'c0ffee', 0x7f00_0000_0000);
    const site = writer.site(
      [
        [module, 0x1234],
        [0, 0x7fff_1234_5678],
      ],
      { flags: SITE_FLAG.TRUNCATED },
    );
    const reader = readerOf();
    expect(reader.stackOf(site)).toBeUndefined();
    await reader.observe(false);
    reader.keepStacks();
    file.close();
    expect(reader.stackOf(site)).toEqual({
      truncated: true,
      frames: [
        {
          module: {
            path: '/usr/lib/libleak.so',
            file: '/usr/lib/libleak.so',
            buildId: 'c0ffee',
            start: 0x7f00_0000_0000,
            end: 0x7f00_0000_1000,
            bias: 0x7f00_0000_0000,
          },
          address: 0x1234,
        },
        { module: null, address: 0x7fff_1234_5678 },
      ],
    });
    expect(reader.stackOf(1)).toBeUndefined();
  });

  it('are found of sites that were not complete at the first look', async () => {
    const site = writer.site([]);
    const reader = readerOf();
    await reader.observe(false);
    expect(reader.stackOf(site)).toBeUndefined();
    writer.site([[0, 7]]);
    await reader.observe(false);
    expect(reader.stackOf(site + 1)!.frames).toEqual([{ module: null, address: 7 }]);
  });
});

describe('the cost of looking', () => {
  it('reads the figures of a lane only while it moves', async () => {
    const site = writer.site([[0, 1]]);
    writer.allocate(block(1, site, { lane: 1 }));
    writer.allocate(block(2, site, { lane: 2 }));
    const reads: number[] = [];
    const { read } = file;
    file = { ...file, read: (into, length, offset) => (reads.push(length), read(into, length, offset)) };
    const reader = readerOf();
    await reader.observe(false);
    await reader.observe(false);
    reads.length = 0;
    expect((await reader.observe(false)).totals.liveCount).toBe(2);
    // Header, moments and the head of each lane; no figures and no table.
    expect(reads.reduce((sum, length) => sum + length, 0)).toBeLessThan(8192);
  });

  it('scans again only after fifty times as long as the last scan took', async () => {
    const site = writer.site([[0, 1]]);
    writer.allocate(block(1, site));
    const reader = readerOf();
    let step = 0;
    // Each look at the clock is 3 ms later: a scan takes some of them.
    const ticking = createRingReaderWith(() => (clock += step));
    step = 3;
    await ticking.observe(false);
    step = 0;
    const scanned = clock;
    writer.allocate(block(2, site));
    clock = scanned + 3 * 49;
    expect((await ticking.observe(false)).survivorsTotal).toBe(1);
    clock = scanned + 20 * 50;
    expect((await ticking.observe(false)).survivorsTotal).toBe(2);
    expect((await reader.observe(false)).survivorsTotal).toBe(2);
  });

  function createRingReaderWith(ticking: () => number): RingReader {
    return createRingReader({
      file,
      layout: readLayout(file),
      fileOf: () => null,
      survivorsPerSite: 32,
      maxSurvivors: 100,
      now: () => now,
      clock: ticking,
      pause: () => Promise.resolve(),
    });
  }
});
