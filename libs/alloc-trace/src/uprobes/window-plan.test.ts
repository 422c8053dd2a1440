import { describe, expect, it } from 'vitest';
import { blockLedger, emptySums, type Site } from './block-ledger.js';
import { observeLedger } from './observation.js';
import { startOfProbe } from './probe-start.js';
import { chargedCost, costOf, MEASURED_COSTS, planWindow } from './window-plan.js';

const limits = { share: 0.05, hostShare: 0.25, shortest: 0.1, followShare: 0.25 };
const SECOND = 1e9;

function newSite(id: number): Site {
  return {
    id,
    stack: { frames: [], truncated: false },
    firstAt: 0,
    sums: emptySums(),
    open: { count: 0, bytes: 0, squares: 0 },
    oldFrees: 0,
  };
}

function observe(ledger: ReturnType<typeof blockLedger>, sites: Site[], now: number): ReturnType<typeof observeLedger> {
  return observeLedger({
    ledger,
    sites,
    now,
    epochOf: (time) => time / 1e6,
    watchedShare: 0.1,
    lost: 0,
    ended: false,
    survivorsPerSite: 32,
    maxSurvivors: 1000,
  });
}

describe('a plan', () => {
  it('watches without a pause what costs less than the budget', () => {
    expect(planWindow({ all: 0.049, frees: 0.02 }, limits)).toEqual({ length: Infinity, follow: 'always' });
  });

  it('spends two seconds of the budget on a window, and watches frees for as long as they can be had', () => {
    expect(planWindow({ all: 0.2, frees: 0.02 }, limits)).toEqual({ length: 0.5, follow: 'always' });
    expect(planWindow({ all: 0.4, frees: 0.2 }, limits)).toEqual({ length: 0.25, follow: 'survival' });
    expect(planWindow({ all: 8, frees: 3 }, limits)).toEqual({ length: 0.1, follow: 'none' });
  });

  it('charges the process, or the others by their own measure when they pay more', () => {
    expect(chargedCost(0.05, 0.1, limits)).toBe(0.05);
    expect(chargedCost(0.01, 0.25, limits)).toBe(0.05);
    const hits = { enter: 1e6, leave: 1e6, drop: 1e6 };
    const { enter, leave, drop, word } = MEASURED_COSTS;
    expect(costOf(hits, MEASURED_COSTS, 100)).toBeCloseTo(enter + leave + drop + 100 * word, 9);
  });
});

describe('a ledger of windows', () => {
  it('estimates without bias what allocates at a constant rate, within four standard errors', () => {
    const ledger = blockLedger(0, 1e6);
    const site = newSite(0);
    let truth = 0;
    // One block every millisecond, kept; windows of 100 ms each second, the first of them at once.
    for (let tick = 0; tick < 60_000; tick++) {
      const time = tick * 1e6;
      if (tick % 1000 === 900 || tick === 0) ledger.openWindow(time);
      ledger.allocated(time, 4096 + tick * 64, 50, site);
      truth += 1;
      if (tick % 1000 === 999 || tick === 99) ledger.closeWindow(time + 1e6);
    }
    const { totals } = observe(ledger, [site], 60 * SECOND);
    expect(totals.allocations).toBeCloseTo(truth, 3);
    expect(totals.liveBytes).toBeCloseTo(truth * 50, 1);
    expect(totals.standardError!.liveBytes).toBeGreaterThan(0);
    expect(totals.standardError!.liveBytes).toBeLessThan(truth * 50 * 0.1);
    expect(totals.issued).toBe(totals.recorded + totals.cancelled + totals.dropped);
  });

  it('takes for a survivor what was watched for the survival time, and else what did not show up again', () => {
    const ledger = blockLedger(0, 100);
    const site = newSite(0);
    ledger.beginCoverage(0);
    ledger.openWindow(0);
    ledger.allocated(1, 0x1000, 10, site);
    ledger.allocated(3 * SECOND, 0x2000, 10, site);
    ledger.closeWindow(5.5 * SECOND);
    ledger.endCoverage(5.5 * SECOND);
    const alive = (now: number): number[] =>
      [...ledger.blocks.values()].filter((block) => ledger.isSurvivor(block, now)).map(({ address }) => address);
    expect(alive(4 * SECOND)).toEqual([]);
    expect(alive(20 * SECOND)).toEqual([0x1000]);
    for (let window = 0; window < 5; window++) {
      ledger.openWindow((20 + window) * SECOND);
      ledger.closeWindow((20.5 + window) * SECOND);
    }
    expect(alive(30 * SECOND)).toEqual([0x1000, 0x2000]);
    ledger.openWindow(31 * SECOND);
    ledger.allocated(31 * SECOND, 0x1000, 7, site);
    expect(ledger.counts.unseen).toBe(1);
    expect(alive(32 * SECOND)).toEqual([0x2000]);
  });

  it('counts a free that is taken back as none, and a block without room as dropped', () => {
    const ledger = blockLedger(0, 1);
    const site = newSite(0);
    ledger.openWindow(0);
    ledger.allocated(1, 0x1000, 10, site);
    ledger.allocated(2, 0x2000, 10, site);
    const undo = ledger.released(3, 0x1000);
    expect(ledger.blocks.size).toBe(0);
    undo!();
    const { totals } = observe(ledger, [site], 10);
    expect(totals).toMatchObject({ issued: 2, recorded: 1, cancelled: 0, dropped: 1, liveCount: 1 });
    expect(ledger.released(4, 0x9999)).toBeNull();
  });
});

describe('the place of a probe', () => {
  it('is a push that nothing but harmless code comes before', () => {
    const free = [0x48, 0x85, 0xff, 0x0f, 0x84, 0xbf, 0, 0, 0, 0x55];
    expect(startOfProbe(Uint8Array.from(free), 'release')).toBe(9);
    expect(startOfProbe(Uint8Array.from(free), 'move')).toBeNull();
    expect(
      startOfProbe(Uint8Array.from([0xf3, 0x0f, 0x1e, 0xfa, 0x48, 0x85, 0xff, 0x74, 9, 0x41, 0x54]), 'release'),
    ).toBe(9);
    expect(startOfProbe(Uint8Array.from([0xf3, 0x0f, 0x1e, 0xfa, 0x41, 0x57]), 'allocate')).toBe(4);
    expect(startOfProbe(Uint8Array.from([0x41, 0x54, 0x55]), 'allocate')).toBe(0);
    expect(startOfProbe(Uint8Array.from([0x48, 0x89, 0xf8]), 'allocate')).toBeNull();
    expect(startOfProbe(new Uint8Array(), 'release')).toBeNull();
  });
});
