import { BIRTH_BINS, type SiteFigures } from '@tidemark/contracts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createSiteLedger, reviveSiteLedger, SITE_PROFILE, type SiteLedger } from '../index.js';

const T0 = Date.UTC(2025, 0, 6);
const SECOND = 1000;

function figures(site: number, given: Partial<SiteFigures> & { births: number[] }): SiteFigures {
  const live = given.births.reduce((sum, born) => sum + born, 0);
  return {
    ...{ site, allocations: live, frees: 0, allocatedBytes: live * 64, freedBytes: 0, liveCount: live },
    ...{ liveBytes: live * 64, oldFrees: 0, liveSamples: live, liveVariance: 0, firstAt: T0 },
    ...given,
  };
}

const bins = (make: (bin: number) => number): number[] => Array.from({ length: BIRTH_BINS }, (_, bin) => make(bin));

/** A site that leaks one block of 64 bytes a second from T0 on, at `seconds`. */
function steady(site: number, seconds: number): SiteFigures {
  const births = bins(() => 0);
  for (let i = 0; i < seconds; i++) births[Math.min(BIRTH_BINS - 1, Math.floor((i / seconds) * BIRTH_BINS))]!++;
  return figures(site, { births });
}

function run(ledger: SiteLedger, from: number, to: number, sites: (second: number) => SiteFigures[]): void {
  for (let second = from; second <= to; second++) {
    const at = T0 + second * SECOND;
    ledger.observe({ at, ended: false, birthsUntil: at, mode: 'EXACT', sites: sites(second) });
  }
}

describe('a program that leaks at A, churns at B and holds a cache at C, judged once at its end', () => {
  // Figures that such a loop of 30 µs leaves: A keeps all, B the last few, C was filled in the first tenth.
  const length = 0.03;
  const sites = [
    figures(1, { births: bins(() => 31) }),
    figures(2, { births: bins((bin) => (bin === 31 ? 8 : 0)), allocations: 1000, frees: 992 }),
    figures(3, { births: bins((bin) => (bin < 3 ? 33 : 0)) }),
    figures(4, { births: bins((bin) => (bin === 0 ? 1 : 0)), liveBytes: 72_704 }),
  ];
  const ledger = createSiteLedger();
  ledger.observe({ at: T0 + length, ended: true, birthsUntil: T0 + length, mode: 'EXACT', sites });

  it('names A only', () => {
    expect([1, 2, 3, 4].map((site) => ledger.verdict(site).state)).toEqual(['CONFIRMED', 'STABLE', 'STABLE', 'STABLE']);
  });

  it('says why in a sentence', () => {
    expect(ledger.verdict(1).message).toBe(
      '992 blocks (62.0 KiB) are alive, and those that live were born all along (32 ages over 0.030 ms).',
    );
    expect(ledger.verdict(2).message).toMatch(/^8 blocks .* born lately: older ones were freed\.$/);
    expect(ledger.verdict(3).message).toMatch(/it has stopped allocating/);
    expect(ledger.verdict(4).message).toMatch(/^1 block \(71\.0 KiB\) is alive, too few/);
  });

  it('gives no growth per hour of a program that ran for a blink', () => {
    expect(ledger.verdict(1).bytesPerHour).toBeNull();
  });
});

describe('a site of a running process', () => {
  it('is LEARNING first, SUSPECTED within a minute and CONFIRMED once it has grown for ten', () => {
    const ledger = createSiteLedger();
    const states: string[] = [];
    for (let second = 1; second <= 700; second++) {
      run(ledger, second, second, (now) => [steady(1, now)]);
      const { state } = ledger.verdict(1);
      if (states.at(-1)?.split(' ')[0] !== state) states.push(`${state} ${second}`);
    }
    expect(states.map((entry) => entry.split(' ')[0])).toEqual(['LEARNING', 'SUSPECTED', 'CONFIRMED']);
    expect(Number(states[1]?.split(' ')[1])).toBeLessThanOrEqual(60);
    expect(Number(states[2]?.split(' ')[1])).toBeGreaterThanOrEqual(600);
    const { bytesPerHour, low, high, confidence } = ledger.verdict(1);
    // The oracle: 64 bytes a second.
    expect(bytesPerHour).toBeCloseTo(64 * 3600, -2);
    expect(low!).toBeLessThanOrEqual(bytesPerHour!);
    expect(high!).toBeGreaterThanOrEqual(bytesPerHour!);
    expect(confidence).toBeGreaterThanOrEqual(0.9);
  });

  it('is CLEARED when what it held was freed, and not named again by what is left', () => {
    const ledger = createSiteLedger();
    run(ledger, 1, 700, (now) => [steady(1, now)]);
    expect(ledger.verdict(1).state).toBe('CONFIRMED');
    const freed = figures(1, {
      births: bins((bin) => (bin === 31 ? 10 : 0)),
      frees: 690,
      allocations: 700,
      oldFrees: 690,
    });
    run(ledger, 701, 1000, () => [freed]);
    expect(ledger.verdict(1).state).toBe('CLEARED');
    expect(ledger.verdict(1).oldFreeRate).toBeGreaterThan(0.9);
  });

  it('settles when it stops growing, though it is left out of the readings from then on', () => {
    const ledger = createSiteLedger();
    run(ledger, 1, 300, (now) => [steady(1, now)]);
    expect(ledger.verdict(1).state).toBe('SUSPECTED');
    for (let second = 301; second <= 1200; second++) {
      run(ledger, second, second, () => []);
      ledger.verdict(1);
    }
    expect(['CLEARED', 'SATURATING', 'STABLE']).toContain(ledger.verdict(1).state);
  });

  it('keeps a suspicion through a single reading without evidence', () => {
    const ledger = createSiteLedger();
    run(ledger, 1, 100, (now) => [steady(1, now)]);
    const odd = figures(1, { births: bins((bin) => (bin > 25 ? 20 : 0)), allocations: 400, frees: 280 });
    run(ledger, 101, 101, () => [odd]);
    expect(ledger.verdict(1).state).toBe('SUSPECTED');
  });

  it('judged by samples needs a few of them, and says how far the slope may be off', () => {
    const ledger = createSiteLedger();
    const at = T0 + 600 * SECOND;
    const sampled = (site: number, births: number[]): SiteFigures => {
      const samples = births.reduce((sum, born) => sum + born, 0);
      const size = 524_288;
      return figures(site, {
        births,
        liveBytes: samples * size,
        liveVariance: samples * size ** 2,
        liveSamples: samples,
      });
    };
    const sites = [
      sampled(
        1,
        bins((bin) => (bin % 2 ? 1 : 0)),
      ),
      sampled(
        2,
        bins((bin) => (bin % 16 === 5 ? 1 : 0)),
      ),
    ];
    ledger.observe({ at, ended: false, birthsUntil: at, mode: 'SAMPLED', sites });
    expect(ledger.verdict(1).state).toBe('SUSPECTED');
    expect(ledger.verdict(2).state).toBe('STABLE');
    const { bytesPerHour, low, high } = ledger.verdict(1);
    expect(bytesPerHour).toBeCloseTo(16 * 524_288 * 6, 0);
    // Two standard errors of 16 samples that come by themselves, each itself an estimate: ±1.96·√(16 + 16) of 16.
    expect((high! - low!) / 2 / bytesPerHour!).toBeCloseTo((1.96 * Math.sqrt(32)) / 16, 6);
  });
});

describe('a ledger', () => {
  it('goes on after a snapshot as if it had never stopped', () => {
    const [whole, first] = [createSiteLedger(), createSiteLedger()];
    const both = (now: number): SiteFigures[] => [
      steady(1, now),
      figures(2, { births: bins((bin) => (bin < 2 ? 9 : 0)) }),
    ];
    run(whole, 1, 900, both);
    run(first, 1, 400, both);
    const revived = reviveSiteLedger(JSON.parse(JSON.stringify(first.snapshot())));
    run(revived, 401, 900, both);
    for (const site of [1, 2]) expect(revived.verdict(site)).toEqual(whole.verdict(site));
    expect(revived.snapshot()).toEqual(whole.snapshot());
  });

  it('refuses a snapshot that does not fit, naming what to do', () => {
    const ledger = createSiteLedger();
    run(ledger, 1, 3, (now) => [steady(1, now)]);
    const snapshot = ledger.snapshot();
    expect(() => reviveSiteLedger({ ...snapshot, v: 9 })).toThrow(/version 9 is not 1; begin anew/);
    expect(() => reviveSiteLedger({ ...snapshot, profile: 'other' })).toThrow(/made under profile other/);
    expect(() => reviveSiteLedger({ ...snapshot, sites: [{ ...snapshot.sites[0]!, births: [1] }] })).toThrow(/damaged/);
  });

  it('keeps about a kilobyte of a site, however long the trace', () => {
    const ledger = createSiteLedger();
    run(ledger, 1, 5000, (now) => [steady(1, Math.min(now, 1000))]);
    const [site] = ledger.snapshot().sites;
    const bytes = Buffer.from(site!.points, 'base64').length + site!.births.length * 4 + site!.n.length * 8;
    expect(bytes).toBeLessThanOrEqual(1024);
  });

  it('keeps no more sites than its profile says, the largest', () => {
    const ledger = createSiteLedger({ ...SITE_PROFILE, sites: 64 });
    const sites = Array.from({ length: 100 }, (_, i) => figures(i + 2, { births: bins(() => 1), liveBytes: i }));
    ledger.observe({ at: T0 + 1, ended: false, birthsUntil: T0 + 1, mode: 'EXACT', sites });
    expect(ledger.size).toBeLessThanOrEqual(64);
    expect(ledger.verdict(101).message).not.toMatch(/Nothing was heard/);
    expect(ledger.verdict(2).message).toMatch(/Nothing was heard/);
    ledger.forget(101);
    expect(ledger.verdict(101).message).toMatch(/Nothing was heard/);
  });

  it('passes over a reading that is not newer than the last', () => {
    const ledger = createSiteLedger();
    run(ledger, 1, 60, (now) => [steady(1, now)]);
    const before = ledger.snapshot();
    run(ledger, 30, 59, (now) => [steady(1, now + 500)]);
    ledger.observe({ at: NaN, ended: false, birthsUntil: 0, mode: 'EXACT', sites: [steady(1, 900)] });
    expect(ledger.snapshot()).toEqual(before);
  });

  it('never throws, and gives numbers that are numbers, whatever the figures are', () => {
    const odd = fc.oneof(fc.double(), fc.constantFrom(NaN, Infinity, -Infinity, -1, 0, 1e300), fc.nat(1000));
    const site = fc.record({
      ...{ site: fc.nat(3), allocations: odd, frees: odd, allocatedBytes: odd, freedBytes: odd, liveCount: odd },
      ...{ liveBytes: odd, oldFrees: odd, liveSamples: odd, liveVariance: odd, firstAt: odd },
      births: fc.array(odd, { maxLength: 40 }),
    });
    const reading = fc.record({
      ...{ at: odd, ended: fc.boolean(), birthsUntil: odd, mode: fc.constantFrom('EXACT', 'SAMPLED', 'DORMANT') },
      sites: fc.array(site, { maxLength: 4 }),
    });
    fc.assert(
      fc.property(fc.array(reading, { maxLength: 30 }), (readings) => {
        const ledger = createSiteLedger();
        for (const one of readings) ledger.observe(one as Parameters<SiteLedger['observe']>[0]);
        for (let i = 0; i < 4; i++) {
          const { bytesPerHour, confidence, evidence } = ledger.verdict(i);
          expect(Number.isNaN(bytesPerHour)).toBe(false);
          expect(confidence).toBeGreaterThanOrEqual(0);
          expect(confidence).toBeLessThanOrEqual(1);
          expect(Object.values(evidence).every((value) => value === null || Number.isFinite(value))).toBe(true);
        }
      }),
    );
  });
});
