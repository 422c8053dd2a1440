import { LEAK_STATES } from '@tidemark/contracts';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  closeSeries,
  createSeries,
  DEMO_PROFILE,
  leakStatus,
  observe,
  PRODUCTION_PROFILE,
  type LeakStatus,
  type Series,
  type SeriesInput,
  type Transition,
} from './index.js';
import { get, R } from './registers.js';
import { blockAt, liveRings } from './ring.js';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const MIB = 1024 * 1024;
const START = Date.UTC(2025, 0, 6);
const origin = { startedAt: START, service: 'shop' };

function feed(
  series: Series,
  from: number,
  to: number,
  step: number,
  bytes: (age: number) => number,
  limit: number | null = null,
): Transition[] {
  const told: Transition[] = [];
  for (let age = from; age < to; age += step) {
    const transition = observe(series, { at: START + age, bytes: bytes(age), limit });
    if (transition) told.push(transition);
  }
  return told;
}

const leak = (age: number): number => 200 * MIB + (300 * MIB * age) / HOUR;
const walk = (told: readonly Transition[]): string[] => told.map(({ to }) => to);

test('a leak walks from learning over growing and suspected to confirmed, and names one opening', () => {
  const series = createSeries(PRODUCTION_PROFILE, origin);
  const told = feed(series, 0, 60 * HOUR, MINUTE, leak, 64 * 1024 * MIB);
  expect(walk(told)).toEqual(['STABLE', 'GROWING', 'SUSPECTED', 'CONFIRMED']);
  const [, growing, suspected, confirmed] = told;
  expect(suspected!.openedAt).toBe(growing!.at);
  expect(confirmed!.openedAt).toBe(growing!.at);
  expect(suspected!.growth!.bytesPerHour).toBeCloseTo(300 * MIB, -3);
  expect(suspected!.secondsToExhaustion).toBeGreaterThan(3600);
  expect(suspected!.evidence).toMatchObject({ collections: 0, stepShare: expect.any(Number) });
  expect(suspected!.evidence.growthBytes).toBeGreaterThan(50 * MIB);
  expect(suspected!.evidence.z).toBeGreaterThan(3);
  expect(confirmed!.confidence).toBeGreaterThan(suspected!.confidence);
  const status: LeakStatus = leakStatus(series);
  expect(status).toMatchObject({ state: 'CONFIRMED', since: confirmed!.at, openedAt: growing!.at });
});

test('each transition begins where the last one ended, at a later time', () => {
  const series = createSeries(DEMO_PROFILE, origin);
  const told = feed(series, 0, 20 * MINUTE, SECOND, (age) => (age % (5 * MINUTE)) * 1000 + 50 * MIB);
  expect(told.length).toBeGreaterThan(2);
  for (let i = 1; i < told.length; i++) {
    expect(told[i]!.from).toBe(told[i - 1]!.to);
    expect(told[i]!.at).toBeGreaterThan(told[i - 1]!.at);
  }
});

test('a suspicion is cleared when the growth ends, and a second leak opens anew', () => {
  const series = createSeries(DEMO_PROFILE, origin);
  const level = (age: number): number => 50 * MIB + MIB * Math.min(age / SECOND, 120);
  const told = feed(series, 0, 6 * MINUTE, SECOND, level);
  expect(walk(told)).toContain('SUSPECTED');
  expect(walk(told).at(-1)).toBe('CLEARED');
  expect(leakStatus(series)).toMatchObject({ state: 'CLEARED', openedAt: null });
  const again = feed(series, 6 * MINUTE, 10 * MINUTE, SECOND, (age) => 170 * MIB + (MIB * (age - 6 * MINUTE)) / SECOND);
  const reopened = again.find(({ to }) => to === 'SUSPECTED');
  expect(reopened).toBeDefined();
  expect(reopened!.openedAt).toBeGreaterThan(START + 6 * MINUTE);
});

test('giving half of the growth back clears a suspicion', () => {
  const series = createSeries(DEMO_PROFILE, origin);
  feed(series, 0, 2 * MINUTE, SECOND, (age) => 500 * MIB + (MIB * age) / SECOND);
  expect(leakStatus(series).state).toBe('SUSPECTED');
  const told = feed(series, 2 * MINUTE, 2.5 * MINUTE, SECOND, () => 510 * MIB);
  expect(walk(told)).toEqual(['CLEARED']);
});

test('what no process can be is ignored and counted, and nothing else is lost', () => {
  const series = createSeries(PRODUCTION_PROFILE, origin);
  const twin = createSeries(PRODUCTION_PROFILE, origin);
  const absurd = [NaN, Infinity, -Infinity, -1, 2 ** 61];
  for (let age = 0; age < 3 * HOUR; age += MINUTE) {
    const input = { at: START + age, bytes: leak(age), limit: null };
    observe(twin, input);
    observe(series, input);
    for (const bytes of absurd) expect(observe(series, { at: START + age + 1, bytes, limit: null })).toBeNull();
    for (const at of [NaN, -1, 1e300]) expect(observe(series, { at, bytes: 5, limit: null })).toBeNull();
  }
  expect(leakStatus(series)).toEqual(leakStatus(twin));
  expect(get(series, R.ignored)).toBe(180 * 8);
});

test.each([NaN, -5, 0, Infinity, 2 ** 61, null])('a limit of %s is none', (limit) => {
  const series = createSeries(DEMO_PROFILE, origin);
  const told = feed(series, 0, 2 * MINUTE, SECOND, (age) => 50 * MIB + (MIB * age) / SECOND, limit);
  expect(walk(told)).toContain('SUSPECTED');
  for (const one of told) expect(one).toMatchObject({ limit: null, secondsToExhaustion: null, imminent: false });
});

test('readings out of order and doubled readings change nothing', () => {
  const series = createSeries(PRODUCTION_PROFILE, origin);
  const twin = createSeries(PRODUCTION_PROFILE, origin);
  for (let age = 0; age < 4 * HOUR; age += MINUTE) {
    const input = { at: START + age, bytes: leak(age), limit: null };
    observe(twin, input);
    observe(series, input);
    observe(series, input);
    observe(series, { at: START + age - 90 * SECOND, bytes: 9e12, limit: null });
  }
  expect(leakStatus(series)).toEqual(leakStatus(twin));
});

test('missing samples freeze a state and its clocks: a gap neither confirms nor clears', () => {
  const series = createSeries(PRODUCTION_PROFILE, origin);
  feed(series, 0, 20 * HOUR, MINUTE, leak, 64 * 1024 * MIB);
  expect(leakStatus(series).state).toBe('SUSPECTED');
  const clock = get(series, R.clock);
  const told = feed(series, 50 * HOUR, 50 * HOUR + 5 * MINUTE, MINUTE, () => leak(20 * HOUR), 64 * 1024 * MIB);
  expect(told).toEqual([]);
  expect(get(series, R.clock) - clock).toBeLessThan(6 * MINUTE);
});

test('a jump of the clock by hours is a gap, not growth', () => {
  const series = createSeries(PRODUCTION_PROFILE, origin);
  feed(series, 0, 2 * HOUR, MINUTE, () => 500 * MIB);
  const told = feed(series, 9 * HOUR, 11 * HOUR, MINUTE, () => 900 * MIB);
  expect(told).toEqual([]);
  expect(leakStatus(series).state).toBe('STABLE');
});

test('one stray time stamp of the far future costs one reading', () => {
  const series = createSeries(PRODUCTION_PROFILE, origin);
  feed(series, 0, 2 * HOUR, MINUTE, leak);
  observe(series, { at: START + 1000 * HOUR, bytes: 1, limit: null });
  const twin = createSeries(PRODUCTION_PROFILE, origin);
  feed(series, 2 * HOUR, 6 * HOUR, MINUTE, leak);
  feed(twin, 0, 6 * HOUR, MINUTE, leak);
  expect(get(series, R.ignored)).toBe(1);
  expect(leakStatus(series)).toEqual(leakStatus(twin));
});

test('a clock that was set back is followed after half an hour, without a new verdict from it', () => {
  const series = createSeries(PRODUCTION_PROFILE, origin);
  feed(series, 0, 5 * HOUR, MINUTE, leak);
  expect(leakStatus(series).state).toBe('SUSPECTED');
  const back = 3 * HOUR;
  const told = feed(series, 5 * HOUR - back, 7 * HOUR - back, MINUTE, (age) => leak(age + back));
  expect(get(series, R.at)).toBe(START + 7 * HOUR - back - MINUTE);
  expect(told).toEqual([]);
  expect(leakStatus(series).state).toBe('SUSPECTED');
});

test('readings once an hour are enough for the coarse rings', () => {
  const series = createSeries(PRODUCTION_PROFILE, origin);
  const told = feed(series, 0, 60 * HOUR, HOUR, leak);
  expect(walk(told)).toEqual(['STABLE', 'SUSPECTED', 'CONFIRMED']);
});

test('a sparse stream of changes with a keyframe a minute fills the rings as the dense one does', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer({ min: 1, max: 400 }), fc.integer({ min: 0, max: 5000 })), { maxLength: 60 }),
      (runs) => {
        const dense = createSeries(PRODUCTION_PROFILE, origin);
        const sparse = createSeries(PRODUCTION_PROFILE, origin);
        let at = START + 17 * SECOND;
        let told = -Infinity;
        for (const [seconds, pages] of runs) {
          for (let i = 0; i < seconds; i++, at += SECOND) {
            const input: SeriesInput = { at, bytes: pages * 4096, limit: null };
            observe(dense, input);
            if (i > 0 && at - told < MINUTE) continue;
            observe(sparse, input);
            told = at;
          }
        }
        expect(liveRings(sparse)).toBe(liveRings(dense));
        const last = get(sparse, R.at);
        for (const [ring, { block, capacity }] of PRODUCTION_PROFILE.rings.slice(0, liveRings(dense)).entries()) {
          const open = Math.floor(last / block);
          for (let past = open - capacity; past < open; past++) {
            expect(blockAt(sparse, ring, past)).toEqual(blockAt(dense, ring, past));
          }
        }
      },
    ),
    { numRuns: 40 },
  );
});

test('IMMINENT is told for the last minutes whatever the shape, and taken back', () => {
  const series = createSeries(PRODUCTION_PROFILE, origin);
  const limit = 1024 * MIB;
  const level = (age: number): number =>
    age < HOUR ? 300 * MIB : Math.min(980 * MIB, 300 * MIB + (30 * MIB * (age - HOUR)) / MINUTE);
  const told = feed(series, 0, 3 * HOUR, 10 * SECOND, level, limit);
  const raised = told.find(({ imminent, imminentBefore }) => imminent && !imminentBefore);
  expect(raised).toBeDefined();
  expect(raised!.secondsToExhaustion === null || raised!.secondsToExhaustion < 20 * 60).toBe(true);
  expect(raised!.at - START).toBeLessThan(HOUR + 23 * MINUTE);
  expect(told.some(({ imminent, imminentBefore }) => !imminent && imminentBefore)).toBe(true);
  expect(leakStatus(series).imminent).toBe(false);
});

test('a flat process a hair below its limit is not imminent', () => {
  const series = createSeries(PRODUCTION_PROFILE, origin);
  const told = feed(series, 0, 6 * HOUR, 10 * SECOND, (age) => 1000 * MIB + 4096 * ((age / SECOND) % 7), 1001 * MIB);
  expect(told.filter(({ imminent }) => imminent)).toEqual([]);
});

test('the end of a suspected process clears it, that of another tells nothing', () => {
  const leaking = createSeries(DEMO_PROFILE, origin);
  feed(leaking, 0, 2 * MINUTE, SECOND, (age) => 50 * MIB + (MIB * age) / SECOND);
  const end = closeSeries(leaking, START + 2 * MINUTE, 'oom');
  expect(end).toMatchObject({ from: 'SUSPECTED', to: 'CLEARED', at: START + 2 * MINUTE });
  const quiet = createSeries(DEMO_PROFILE, origin);
  feed(quiet, 0, 2 * MINUTE, SECOND, () => 50 * MIB);
  expect(closeSeries(quiet, START + 2 * MINUTE, 'exit')).toBeNull();
  expect(closeSeries(createSeries(DEMO_PROFILE, origin), START, 'exit')).toBeNull();
});

test('the growth of a quiet process can be asked for', () => {
  const series = createSeries(PRODUCTION_PROFILE, origin);
  feed(series, 0, 2 * HOUR, MINUTE, (age) => 100 * MIB + (2 * MIB * age) / HOUR);
  const { state, growth } = leakStatus(series);
  expect(state).toBe('STABLE');
  expect(growth!.bytesPerHour).toBeCloseTo(2 * MIB, -3);
  expect(leakStatus(createSeries(PRODUCTION_PROFILE, origin))).toMatchObject({ growth: null, openedAt: null });
});

test('a process that lived long before it was watched is judged as soon as there is enough to judge', () => {
  const series = createSeries(PRODUCTION_PROFILE, { startedAt: START - 100 * HOUR, service: 'old' });
  const told = feed(series, 0, HOUR, MINUTE, () => 100 * MIB);
  expect(told).toHaveLength(1);
  expect(told[0]).toMatchObject({ from: 'LEARNING', to: 'STABLE' });
  expect(told[0]!.at - START).toBeLessThanOrEqual(14 * MINUTE);
});

test.each([NaN, Infinity, -1, START + HOUR])('a start of %s is taken as the first reading', (startedAt) => {
  const series = createSeries(PRODUCTION_PROFILE, { startedAt, service: 'x' });
  observe(series, { at: START, bytes: 5, limit: null });
  expect(get(series, R.startedAt)).toBe(START);
});

test('any finite readings in any order are taken without an exception, and leave a valid status', () => {
  const time = fc.oneof(
    fc.integer({ min: 0, max: 3000 }).map((minutes) => START + minutes * MINUTE),
    fc.double({ min: 0, max: 8.64e15, noNaN: true }),
    fc.double({ noDefaultInfinity: true, noNaN: true }),
  );
  const size = fc.oneof(fc.integer({ min: 0, max: 2 ** 31 }), fc.double({ noDefaultInfinity: true, noNaN: true }));
  const input = fc.record({ at: time, bytes: size, limit: fc.option(size) });
  fc.assert(
    fc.property(
      fc.constantFrom(PRODUCTION_PROFILE, DEMO_PROFILE),
      fc.array(input, { maxLength: 200 }),
      (profile, list) => {
        const series = createSeries(profile, origin);
        for (const one of list) observe(series, one);
        const status = leakStatus(series);
        expect(LEAK_STATES).toContain(status.state);
        expect(status.confidence).toBeGreaterThanOrEqual(0);
        expect(status.confidence).toBeLessThanOrEqual(1);
        for (const value of Object.values(status.growth ?? {})) expect(Number.isFinite(value)).toBe(true);
      },
    ),
  );
});

test('what a series decides does not depend on the time of the epoch it lives in', () => {
  const shift = 4 * 86_400_000;
  const level = (age: number): number => leak(age) + 4096 * ((age / MINUTE) % 11);
  const here = feed(createSeries(PRODUCTION_PROFILE, origin), 0, 30 * HOUR, MINUTE, level);
  const there = createSeries(PRODUCTION_PROFILE, { ...origin, startedAt: START + shift });
  const told: Transition[] = [];
  for (let age = 0; age < 30 * HOUR; age += MINUTE) {
    const one = observe(there, { at: START + shift + age, bytes: level(age), limit: null });
    if (one) told.push(one);
  }
  expect(told.map(({ at, to }) => [at - shift, to])).toEqual(here.map(({ at, to }) => [at, to]));
});
