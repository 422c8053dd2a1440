import { closeSync, existsSync, openSync, readFileSync, readSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  buildPreload,
  clearRings,
  dumpRing,
  expectSound,
  jsonLines,
  offsetOf,
  program,
  ringDirectory,
  ringPath,
  runTraced,
  start,
  tracedEnvironment,
  whyNot,
  type Case,
  type Tally,
} from './support/preload.js';
import { until } from './support/until.js';

const reason = whyNot('the preload library under stress', ['gcc', 'g++', 'make']);

const MODES = { dormant: 0, sampled: 1, exact: 2 };

describe.skipIf(reason)('the preload library under stress', () => {
  let rings: string;
  beforeAll(() => {
    buildPreload();
    rings = ringDirectory();
  }, 300_000);
  beforeEach(() => clearRings(rings));
  afterAll(() => rings && rmSync(rings, { recursive: true, force: true }));

  it.each([
    ['exact', 10_000_000],
    ['sampled', 10_000_000],
  ] as const)(
    'accounts for each of 4 × 10 million calls of threads that free each other’s blocks (%s)',
    async (mode, calls) => {
      const done = await runTraced(rings, program('threads'), ['4', String(calls)], { mode, timeoutMs: 200_000 });
      expect({ status: done.status, stderr: done.stderr }).toEqual({ status: 0, stderr: '' });
      const [one] = jsonLines<Case>(done.stdout);
      const ring = dumpRing(ringPath(rings, done.pid));
      expectSound(ring);
      expect(one?.expected.allocations).toBeGreaterThan(10_000_000);
      expect({ allocations: one?.seen.allocations, frees: one?.seen.frees }).toEqual({
        allocations: one?.expected.allocations,
        frees: one?.expected.frees,
      });
      if (mode === 'exact') expect(one?.seen).toEqual(one?.expected);
      expect(one?.unmatched).toBe(0);
      expect(one?.dropped).toBe(0);
    },
    240_000,
  );

  it('knows every call up to the one that each thread was in when the process was killed', async () => {
    const threads = 4;
    for (let round = 0; round < 12; round++) {
      clearRings(rings);
      const counts = join(rings, 'counts');
      const mode = round % 3 === 2 ? 'sampled' : 'exact';
      const running = start(program('until-killed'), [counts, String(threads)], tracedEnvironment(rings, { mode }));
      const numbers = () => new BigUint64Array(new Uint8Array(readFileSync(counts)).buffer);
      await until('the threads to run', () => existsSync(counts) && readFileSync(counts).length > 0 && numbers()[0]);
      await pause(20 + Math.random() * 300);
      running.child.kill('SIGKILL');
      expect((await running.finished).signal).toBe('SIGKILL');

      const words = [...numbers()].map(Number);
      const of = (thread: number, which: number) => words[8 + thread * 8 + which] ?? 0;
      const all = (which: number) => [...Array(threads).keys()].reduce((sum, thread) => sum + of(thread, which), 0);
      const { totals } = dumpRing(ringPath(rings, running.pid));
      const allocations = totals.allocations - (words[1] ?? 0);
      const frees = totals.frees - (words[2] ?? 0);
      // Begun − 1 ≤ done ≤ begun for each thread, and the library may be one call to either side of the program.
      expect(allocations).toBeGreaterThanOrEqual(all(1) - threads);
      expect(allocations).toBeLessThanOrEqual(all(0));
      expect(frees).toBeGreaterThanOrEqual(all(3) - threads);
      expect(frees).toBeLessThanOrEqual(all(2));
      expect(all(0)).toBeGreaterThan(1000);
      expect(totals.busy + totals.torn).toBeLessThanOrEqual(threads);
      expect(totals.recorded + totals.cancelled + totals.dropped).toBe(totals.issued);
      if (mode === 'exact') {
        const alive = totals.allocations - totals.dropped - (totals.frees - totals.unmatchedFrees);
        expect(Math.abs(totals.liveBlocks - alive)).toBeLessThanOrEqual(threads);
      }
    }
  }, 120_000);

  it('bears a handler that allocates, interrupting it anywhere', async () => {
    for (const mode of ['exact', 'sampled'] as const) {
      const settings = { mode, interval: 4096, beside: [program('safe-allocator.so')] };
      const done = await runTraced(rings, program('signals'), ['3000', '100'], settings);
      expect({ status: done.status, signal: done.signal }).toEqual({ status: 0, signal: null });
      const [one, { inside }] = jsonLines(done.stdout) as unknown as [Case, { inside: Tally }];
      // A call from a handler that interrupted the allocator itself looks like the allocator's own, and is left out.
      const missed = one.expected.allocations - one.seen.allocations;
      expect(missed).toBeGreaterThanOrEqual(0);
      expect(missed).toBeLessThan(inside.allocations * 0.8);
      expect(one.expected.frees - one.seen.frees).toBeGreaterThanOrEqual(0);
      expect(one.expected.frees - one.seen.frees).toBeLessThan(inside.frees * 0.8);
      expectSound(dumpRing(ringPath(rings, done.pid)));
    }
  }, 120_000);

  it('takes a thousand changes of mode while four threads allocate', async () => {
    const running = start(program('threads'), ['4', '0', '100'], tracedEnvironment(rings, { mode: 'dormant' }));
    const path = ringPath(rings, running.pid);
    await until('the ring file', () => existsSync(path));
    const file = openSync(path, 'r+');
    const control = offsetOf('at_header.control');
    const at = {
      mode: control + offsetOf('at_control.mode'),
      pulse: control + offsetOf('at_control.pulse'),
      interval: control + offsetOf('at_control.sample_interval'),
      generation: control + offsetOf('at_control.generation'),
      applied: offsetOf('at_header.applied'),
    };
    const word = Buffer.alloc(8);
    const write32 = (value: number, offset: number) => {
      word.writeUInt32LE(value);
      writeSync(file, word, 0, 4, offset);
    };
    const write64 = (value: number, offset: number) => {
      word.writeBigUInt64LE(BigInt(value));
      writeSync(file, word, 0, 8, offset);
    };
    const order = [MODES.exact, MODES.sampled, MODES.dormant, MODES.sampled, MODES.exact, MODES.dormant];
    for (let change = 1; change <= 1000; change++) {
      write64(change % 2 ? 4096 : 524_288, at.interval);
      write64(change, at.generation);
      write32(change, at.pulse);
      write32(order[change % order.length] ?? 0, at.mode);
      await pause(change % 5);
    }
    write64(1001, at.generation);
    write32(MODES.exact, at.mode);
    const applied = () => (readSync(file, word, 0, 8, at.applied), Number(word.readBigUInt64LE()));
    await until('the last change to be in force', () => applied() === 1001, 10_000);
    closeSync(file);
    running.child.kill('SIGUSR1');
    const done = await running.finished;
    expect({ status: done.status, stderr: done.stderr }).toEqual({ status: 0, stderr: '' });
    const ring = dumpRing(path);
    expect(ring.applied).toBe(1001);
    expect(ring.activation).toBeGreaterThan(50);
    expect(ring.totals.issued).toBeGreaterThan(1000);
    expectSound(ring);
  }, 120_000);

  it('estimates a leak of 64 MiB within four standard errors, in 20 of 20 runs', async () => {
    for (let run = 0; run < 20; run++) {
      clearRings(rings);
      const [leaks, bytes] = [16_384, 4096];
      const done = await runTraced(rings, program('leak-churn-cache'), [String(leaks), '50000', '0', String(bytes)], {
        mode: 'sampled',
        interval: 524_288,
      });
      expect(done.status).toBe(0);
      const ring = dumpRing(ringPath(rings, done.pid));
      expectSound(ring);
      const leaking = ring.sites.filter(({ estimates }) => estimates.samples > 0 && estimates.freedSamples === 0);
      const mostBytes = leaking.sort((a, b) => b.estimates.allocatedBytes - a.estimates.allocatedBytes)[0];
      const estimates = mostBytes?.estimates;
      expect(estimates?.samples).toBeGreaterThan(50);
      const error = Math.abs((estimates?.allocatedBytes ?? 0) - leaks * bytes);
      expect(error / Math.sqrt(estimates?.varianceBytes ?? 0)).toBeLessThan(4);
    }
  }, 120_000);
});
