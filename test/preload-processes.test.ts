import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
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
} from './support/preload.js';

const reason = whyNot('processes of traced programs', ['gcc', 'g++', 'make', 'sh']);

describe.skipIf(reason)('the preload library in programs that make processes and threads', () => {
  let rings: string;
  beforeAll(() => {
    buildPreload();
    rings = ringDirectory();
  }, 300_000);
  beforeEach(() => clearRings(rings));
  afterAll(() => rings && rmSync(rings, { recursive: true, force: true }));

  async function make(how: string, count: number, env: Record<string, string> = {}) {
    const done = await runTraced(rings, program('processes'), [how, String(count)], { timeoutMs: 200_000, env });
    expect({ status: done.status, signal: done.signal, stderr: done.stderr }).toEqual({
      status: 0,
      signal: null,
      stderr: '',
    });
    const ring = dumpRing(ringPath(rings, done.pid));
    expect(ring.pid).toBe(done.pid);
    expectSound(ring);
    return { done, ring, lines: jsonLines<Case>(done.stdout) };
  }

  it('lives through a storm of 10,000 forks without a call of a child in the parent’s counts', async () => {
    const { lines } = await make('fork', 10_000);
    expect(lines[0]?.seen).toEqual(lines[0]?.expected);
    expect(lines[0]?.expected.allocations).toBe(200_000);
  }, 240_000);

  it.each([
    ['vfork', 1000],
    ['spawn', 300],
    ['clone', 1000],
  ])(
    'keeps the counts of a parent whose children came by %s apart from theirs',
    async (how, count) => {
      const { lines } = await make(how, count);
      expect(lines[0]?.seen).toEqual(lines[0]?.expected);
    },
    240_000,
  );

  it('gives each child that is followed a file of its own, which tells of that child alone', async () => {
    const { done } = await make('fork', 40, { TIDEMARK_FOLLOW: '1' });
    const others = readdirSync(rings).filter((file) => file.endsWith('.ring') && file !== `${done.pid}.ring`);
    expect(others.length).toBe(40);
    for (const file of others) {
      const ring = dumpRing(join(rings, file), { live: true });
      expect(`${ring.pid}.ring`).toBe(file);
      expect(ring.parent).toBe(done.pid);
      expectSound(ring);
      // Each child takes 20 blocks and gives back 19; nothing of what the parent holds is in its file.
      expect(ring.totals.allocations).toBeGreaterThanOrEqual(20);
      expect(ring.totals.allocations).toBeLessThan(60);
      expect((ring.live ?? []).filter(({ size }) => size === 30 + 19 * 11).length).toBe(1);
    }
  }, 120_000);

  it.each([
    ['threads', 2000],
    ['crowd', 600],
  ])(
    'counts what %s do, however many come and go',
    async (how, count) => {
      const { lines, ring } = await make(how, count);
      const [creation, one] = lines as unknown as [{ creation: number; runtime: number }, Case];
      expect(one.expected.allocations).toBe(count * 20);
      // What the C library takes for a thread is in the counts too: never more than when threads were made before.
      expect(creation.runtime).toBeGreaterThanOrEqual(0);
      expect(creation.runtime).toBeLessThanOrEqual(creation.creation);
      expect(one.seen.allocations - creation.runtime).toBe(one.expected.allocations);
      expect(one.dropped).toBe(0);
      expect(one.unmatched).toBe(0);
      expect(ring.totals.failed).toBe(0);
    },
    240_000,
  );

  it('follows a chain of programs that replace each other', async () => {
    const chain = 'a=$(printf x%.0s 1 2 3); exec sh -c "exec $0 200 2000"';
    const done = await runTraced(rings, '/bin/sh', ['-c', chain, program('leak-churn-cache')]);
    expect(done.status).toBe(0);
    const ring = dumpRing(ringPath(rings, done.pid), { live: true });
    expect({ pid: ring.pid, program: ring.program, image: ring.image }).toEqual({
      pid: done.pid,
      program: 'leak-churn-cache',
      image: 2,
    });
    expectSound(ring);
    const own = JSON.parse(done.stdout) as { leaked: [string, number][] };
    const alive = new Map((ring.live ?? []).map((one) => [one.address, one.size]));
    for (const [address, size] of own.leaked) expect(alive.get(address)).toBe(size);
  });
});
