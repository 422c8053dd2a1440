import { createProcfs, ROW } from '@tidemark/procfs';
import { describe, expect, it } from 'vitest';
import { backoffMs, createSmapsPrices, urgency } from './smaps-choice.js';
import { TrackedProcess } from './tracked-process.js';

const MIB = 1024 * 1024;
const PAGE = 4096;
const LIMIT_MS = 50;
const procfs = createProcfs();

function process(bytes: number, swap = 0): TrackedProcess {
  const facts = {
    startedAt: 0,
    program: 'p',
    commandLine: null,
    uid: 0,
    gid: 0,
    user: null,
    cgroup: null,
    service: 'p',
  };
  const files = { stat: procfs.processFile(1, 'stat'), status: procfs.processFile(1, 'status') };
  const one = new TrackedProcess({ pid: 1, start: 1, facts, ...files, now: 0 });
  one.row[ROW.vms] = 10 * bytes;
  one.row[ROW.rss] = bytes;
  one.row[ROW.swap] = swap;
  return one;
}

/** As after a reading that took `ms`. */
function read(one: TrackedProcess, at: number): void {
  Object.assign(one.smaps, { everRead: true, stale: false, readAt: at, bytes: one.row[ROW.rss]! });
}

describe('what reading smaps_rollup is expected to cost', () => {
  it('grows with the pages, and is learnt from each process and for the host', () => {
    const prices = createSmapsPrices(PAGE, LIMIT_MS);
    const [small, large, other] = [process(MIB), process(1000 * MIB), process(1000 * MIB)];
    expect(prices.estimate(small)).toBeLessThan(0.1);
    expect(prices.estimate(large)).toBeGreaterThan(5);
    const assumed = prices.estimate(other);
    // Huge pages: a hundredth of the price.
    prices.learn(large, 0.1);
    expect(prices.estimate(large)).toBeCloseTo(0.1, 5);
    expect(prices.estimate(other)).toBeLessThan(assumed);
    expect(prices.estimate(other)).toBeGreaterThan(0.1);
  });

  it('counts what is swapped out as well, since the kernel walks through it', () => {
    const prices = createSmapsPrices(PAGE, LIMIT_MS);
    expect(prices.estimate(process(MIB, 1000 * MIB))).toBeCloseTo(prices.estimate(process(1001 * MIB)), 5);
  });

  it('after an overrun is believed to halve with each pause, so that it is tried again, ever more seldom', () => {
    const prices = createSmapsPrices(PAGE, LIMIT_MS);
    const one = process(1000 * MIB);
    prices.learn(one, 80);
    expect(one.smaps.overruns).toBe(1);
    expect(prices.estimate(one)).toBeLessThan(LIMIT_MS);
    prices.learn(one, 80);
    expect(one.smaps.overruns).toBe(2);
    prices.learn(one, 20);
    expect(one.smaps.overruns).toBe(0);
    expect([0, 1, 2, 3, 20].map(backoffMs)).toEqual([0, 60_000, 120_000, 240_000, 3_600_000]);
  });

  it('far above the limit keeps a process out for as long as it is so large', () => {
    const prices = createSmapsPrices(PAGE, LIMIT_MS);
    const one = process(20_000 * MIB);
    expect(prices.estimate(one)).toBeGreaterThan(LIMIT_MS);
    prices.learn(one, 900);
    expect(prices.estimate(one)).toBeGreaterThan(LIMIT_MS);
    one.row[ROW.rss] = 100 * MIB;
    expect(prices.estimate(one)).toBeLessThan(LIMIT_MS);
  });
});

describe('whose smaps_rollup is read next', () => {
  it('is that of the large before the small, and of the growing before those that stay', () => {
    const [small, large] = [process(MIB), process(500 * MIB)];
    expect(urgency(large, 1000)).toBeGreaterThan(urgency(small, 1000));
    const [flat, growing] = [process(100 * MIB), process(100 * MIB)];
    for (const one of [flat, growing]) {
      read(one, 0);
      one.smaps.stale = true;
    }
    growing.row[ROW.rss] = 110 * MIB;
    expect(urgency(growing, 31_000)).toBeGreaterThan(urgency(flat, 31_000));
  });

  it('is at some time that of a small one, however large the others are', () => {
    const [small, large] = [process(MIB), process(1000 * MIB)];
    read(large, 200_000);
    large.row[ROW.rss] = 1020 * MIB;
    large.smaps.stale = true;
    expect(urgency(small, 100_000)).toBeGreaterThan(0);
    expect(urgency(small, 100_000_000)).toBeGreaterThan(urgency(large, 201_000));
  });

  it('is nobody’s without an address space, gone, left alone for now, or read a moment ago', () => {
    const kernelThread = process(MIB);
    kernelThread.kernelThread = true;
    const zombie = process(MIB);
    zombie.row[ROW.vms] = 0;
    const gone = process(MIB);
    gone.gone = true;
    const resting = process(MIB);
    resting.smaps.notBefore = 2000;
    const fresh = process(MIB);
    read(fresh, 999);
    for (const one of [kernelThread, zombie, gone, resting, fresh]) expect(urgency(one, 1000)).toBe(0);
    expect(urgency(resting, 2000)).toBeGreaterThan(0);
  });

  it('is that of one whose memory moved: at once when by much, else after a while; of an idle one much later', () => {
    const one = process(100 * MIB);
    read(one, 0);
    expect([1000, 100_000, 600_000].map((now) => urgency(one, now) > 0)).toEqual([false, false, true]);
    one.smaps.stale = true;
    expect([1000, 29_999, 30_000].map((now) => urgency(one, now) > 0)).toEqual([false, false, true]);
    one.row[ROW.rss] = 102 * MIB;
    expect(urgency(one, 1000)).toBeGreaterThan(0);
  });
});
