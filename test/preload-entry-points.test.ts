import { execFileSync, spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { copyRing, damageRing } from './support/preload-damage.js';
import {
  buildPreload,
  clearRings,
  dumpRing,
  expectSound,
  jsonLines,
  program,
  ringDirectory,
  ringPath,
  runTraced,
  whyNot,
  type Case,
  type RingDump,
  type RingSite,
  type Settings,
} from './support/preload.js';

const reason = whyNot('the preload library', ['gcc', 'g++', 'make', 'nm']);

/** Names of the program's own functions on a stack, innermost first: from the ELF symbol table, by another tool. */
function functionsOf(ring: RingDump, site: RingSite, executable: string): string[] {
  const symbols = execFileSync('nm', ['-S', '--defined-only', executable], { encoding: 'utf8' })
    .split('\n')
    .map((line) => line.split(' '))
    .filter((words) => words.length === 4)
    .map(([start, size, , name]) => ({ start: BigInt(`0x${start}`), size: BigInt(`0x${size}`), name: name ?? '' }));
  const own = ring.modules.find(({ path }) => path === executable)?.module;
  return site.frames.flatMap(({ module, address }) => {
    const call = BigInt(address) - 1n;
    const found = symbols.find(({ start, size }) => call >= start && call < start + size);
    return module === own && found ? [found.name] : [];
  });
}

describe.skipIf(reason)('the preload library sees every call', () => {
  let rings: string;
  beforeAll(() => {
    buildPreload();
    rings = ringDirectory();
  }, 300_000);
  afterAll(() => rings && rmSync(rings, { recursive: true, force: true }));

  async function casesOf(name: string, settings: Settings = {}): Promise<{ cases: Case[]; ring: RingDump }> {
    clearRings(rings);
    const done = await runTraced(rings, program(name), [], settings);
    expect({ status: done.status, stderr: done.stderr }).toEqual({ status: 0, stderr: '' });
    return { cases: jsonLines<Case>(done.stdout), ring: dumpRing(ringPath(rings, done.pid)) };
  }

  for (const stacks of ['full', 'caller'] as const) {
    it(`counts each call of the C library exactly (exact mode, stacks: ${stacks})`, async () => {
      const { cases, ring } = await casesOf('entry-points', { stacks });
      expect(cases.length).toBe(21);
      for (const one of cases) expect(one.seen, one.case).toEqual(one.expected);
      expectSound(ring);
      if (stacks === 'caller') for (const site of ring.sites) expect(site.depth).toBeLessThanOrEqual(1);
    });
  }

  it('counts each form of operator new and delete once', async () => {
    const { cases, ring } = await casesOf('new-delete');
    expect(cases.length).toBe(8);
    for (const one of cases) {
      // The runtime takes the exception that it throws and catches inside from malloc.
      if (one.case === 'refused_quietly') expect(one.seen.failed).toBe(1);
      else expect(one.seen, one.case).toEqual(one.expected);
    }
    expectSound(ring);
  });

  it('counts anonymous mappings, and nothing else that is mapped', async () => {
    const { cases, ring } = await casesOf('map-entry-points');
    expect(cases.length).toBe(7);
    for (const one of cases) expect(one.seen, one.case).toEqual(one.expected);
    expectSound(ring);
  });

  it('counts the calls that the sampler passes over, too', async () => {
    for (const interval of [64, 4096, 524_288]) {
      const { cases, ring } = await casesOf('entry-points', { mode: 'sampled', interval });
      for (const { case: name, seen, expected } of cases) {
        expect({ name, calls: seen.allocations }).toEqual({ name, calls: expected.allocations });
        expect({ name, frees: seen.frees, failed: seen.failed }).toEqual({
          name,
          frees: expected.frees,
          failed: expected.failed,
        });
      }
      expectSound(ring);
    }
  });

  it('does nothing while it is dormant', async () => {
    const { cases, ring } = await casesOf('entry-points', { mode: 'dormant' });
    for (const { seen } of cases)
      expect(seen).toEqual({ allocations: 0, frees: 0, failed: 0, liveBlocks: 0, liveBytes: 0 });
    expect(ring.totals.issued).toBe(0);
    expect(ring.populatedBytes).toBeLessThanOrEqual(1 << 20);
  });
});

interface Leaker {
  pid: number;
  churned: number;
  cached: number;
  slots: number;
  slotBytes: number;
  leakedBytes: number;
  leaked: [string, number][];
}

describe.skipIf(reason)('a program that leaks at A, churns at B and holds a cache at C', () => {
  let rings: string;
  beforeAll(() => {
    buildPreload();
    rings = ringDirectory();
  }, 300_000);
  afterAll(() => rings && rmSync(rings, { recursive: true, force: true }));

  it('shows exact bytes, counts, addresses and callers at each of them', async () => {
    const executable = program('leak-churn-cache');
    const done = await runTraced(rings, executable, ['3000', '200000'], { youngMs: 0 });
    expect(done.status).toBe(0);
    const own = JSON.parse(done.stdout) as Leaker;
    const ring = dumpRing(ringPath(rings, done.pid), { live: true });
    expectSound(ring);
    expect(ring.totals.dropped).toBe(0);

    const named = ring.sites.map((site) => ({ site, functions: functionsOf(ring, site, executable) }));
    const through = (name: string) => named.filter(({ functions }) => functions.includes(name)).map(({ site }) => site);
    const sum = (sites: RingSite[], of: (site: RingSite) => number) => sites.reduce((total, one) => total + of(one), 0);
    const [a, b, c] = [through('leak_at_a'), through('churn_at_b'), through('cache_at_c')];

    expect(sum(a, (site) => site.allocations)).toBe(own.leaked.length);
    expect(sum(a, (site) => site.allocatedBytes)).toBe(own.leakedBytes);
    expect(sum(a, (site) => site.frees)).toBe(0);
    expect(sum(b, (site) => site.allocations)).toBe(own.churned);
    expect(sum(b, (site) => site.frees)).toBe(own.churned);
    expect(sum(c, (site) => site.allocations)).toBe(own.cached);
    expect(sum(c, (site) => site.allocations - site.frees)).toBeLessThanOrEqual(own.slots);
    expect(sum(c, (site) => site.allocatedBytes - site.freedBytes)).toBeLessThanOrEqual(own.slots * own.slotBytes);

    const sitesOfA = new Set(a.map(({ site }) => site));
    const alive = new Map((ring.live ?? []).filter(({ site }) => sitesOfA.has(site)).map((one) => [one.address, one]));
    expect(alive.size).toBe(own.leaked.length);
    for (const [address, size] of own.leaked) expect(alive.get(address)?.size, address).toBe(size);

    // All three call the same function that calls malloc: the stacks tell them apart down to main.
    for (const site of [...a, ...b, ...c]) {
      const functions = functionsOf(ring, site, executable);
      expect(functions[0]).toBe('take_memory');
      expect(functions[2]).toBe('main');
    }
  });

  it('tells what was allocated before main and after it, and by threads on their way out', async () => {
    clearRings(rings);
    const done = await runTraced(rings, program('early-late'));
    expect(done.status).toBe(0);
    const ring = dumpRing(ringPath(rings, done.pid), { live: true });
    expectSound(ring);
    const sizes = (ring.live ?? []).map(({ size }) => size);
    for (const left of [7002, 7003, 7004, 7005]) expect(sizes.filter((size) => size === left)).toEqual([left]);
    for (const gone of [7001, 123, 555, 7777, 88, 99, 1000]) expect(sizes, `${gone}`).not.toContain(gone);
  });

  it('names the plugin that leaked, also after it was unloaded', async () => {
    clearRings(rings);
    const plugin = program('plugin.so');
    const done = await runTraced(rings, program('plugin-loop'), [plugin, '300']);
    expect(done.status).toBe(0);
    const ring = dumpRing(ringPath(rings, done.pid), { live: true });
    expectSound(ring);
    const leaked = (ring.live ?? []).filter(({ size }) => size === 6003);
    expect(leaked.length).toBe(300);
    const modules = new Map(ring.modules.map((module) => [module.module, module.path]));
    for (const { site } of leaked) {
      const [first] = ring.sites.find((one) => one.site === site)?.frames ?? [];
      expect(modules.get(first?.module ?? 0)).toBe(plugin);
    }
    expect((ring.live ?? []).some(({ size }) => size === 6001 || size === 6002)).toBe(false);
  });

  it('is read by a reader that no damage to the file brings down', async () => {
    clearRings(rings);
    const done = await runTraced(rings, program('leak-churn-cache'), ['2000', '20000']);
    const report = execFileSync(program('fuzz-ring'), [ringPath(rings, done.pid), '3000', '7'], { encoding: 'utf8' });
    expect(JSON.parse(report)).toMatchObject({ rounds: 3000 });
    const copy = join(rings, 'damaged');
    copyRing(ringPath(rings, done.pid), copy);
    const extents: [number, number][] = [[4096, 65_536]];
    let readable = 0;
    for (let seed = 1; seed <= 60; seed++) {
      const repair = damageRing(copy, seed, extents);
      const read = spawnSync(program('ring-dump'), ['--live', copy], { encoding: 'utf8', maxBuffer: 1 << 28 });
      expect([0, 2], `seed ${seed} (${read.signal ?? 'no signal'})`).toContain(read.status);
      if (read.status === 0) readable += JSON.parse(read.stdout) ? 1 : 0;
      repair();
    }
    expect(readable).toBeGreaterThan(10);
  });
});
