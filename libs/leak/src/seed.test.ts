import { expect, test } from 'vitest';
import { createSeries, leakStatus, observe, PRODUCTION_PROFILE, seedSeries, type SeriesMinima } from './index.js';
import { get, R } from './registers.js';
import { blockAt, liveRings } from './ring.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const MIB = 1024 * 1024;
const START = Date.UTC(2025, 0, 6);
const origin = { startedAt: START, service: 'shop' };

/** Rollups of a level, as history makes them: the least of each minute and hour, at its beginning. */
function rollups(level: (age: number) => number, hours: number, minutes: number): SeriesMinima {
  const hour = Array.from({ length: hours }, (_, i) => ({ at: START + i * HOUR, bytes: level(i * HOUR) }));
  const minute = Array.from({ length: minutes }, (_, i) => {
    const age = hours * HOUR - (minutes - i) * MINUTE;
    return { at: START + age, bytes: level(age) };
  });
  return { hour, minute };
}

const leak = (age: number): number => 500 * MIB + (120 * MIB * age) / HOUR;

test('seeded from history, a series stands where the observed one stands', () => {
  const seen = createSeries(PRODUCTION_PROFILE, origin);
  for (let age = 0; age < 40 * HOUR; age += MINUTE) observe(seen, { at: START + age, bytes: leak(age), limit: null });
  const seeded = seedSeries(PRODUCTION_PROFILE, origin, rollups(leak, 40, 24 * 60));
  expect(liveRings(seeded)).toBe(4);
  for (const ring of [0, 1, 2]) {
    const { block, capacity } = PRODUCTION_PROFILE.rings[ring]!;
    const newest = Math.floor((START + 40 * HOUR - MINUTE) / block);
    for (let past = newest - capacity + 1; past < newest; past++) {
      if (past * block < START) continue;
      const wanted = blockAt(seen, ring, past);
      // The observed minute also holds the last value of the minute before it; an hour's rollup does not.
      expect(Math.abs(blockAt(seeded, ring, past) - wanted)).toBeLessThanOrEqual(2.01 * MIB);
    }
  }
  expect(leakStatus(seen).state).toBe('SUSPECTED');
  expect(leakStatus(seeded).state).toBe('SUSPECTED');
  expect(leakStatus(seeded).growth!.bytesPerHour).toBeCloseTo(leakStatus(seen).growth!.bytesPerHour, -6);
});

test('a slow leak is known again from hours alone, at once after the first readings', () => {
  const series = seedSeries(PRODUCTION_PROFILE, origin, rollups(leak, 14 * 24, 0));
  const end = START + 14 * 24 * HOUR;
  const told = [];
  for (let i = 0; i < 7 * 60; i++) {
    const one = observe(series, { at: end + i * MINUTE, bytes: leak(14 * 24 * HOUR + i * MINUTE), limit: null });
    if (one) told.push(one.to);
  }
  expect(told).toContain('SUSPECTED');
});

test('a flat past seeds no verdict', () => {
  const series = seedSeries(
    PRODUCTION_PROFILE,
    origin,
    rollups(() => 2048 * MIB, 72, 600),
  );
  expect(leakStatus(series)).toMatchObject({ state: 'STABLE', openedAt: null, imminent: false });
});

test('points in any order, doubled or absurd, seed the same series', () => {
  const clean = rollups(leak, 30, 120);
  const wild = [
    { at: NaN, bytes: 5 },
    { at: START, bytes: -1 },
    { at: START + HOUR, bytes: Infinity },
  ];
  const messy = {
    hour: [...clean.hour].reverse().concat(clean.hour.slice(3, 5), wild),
    minute: [...clean.minute].reverse().concat(wild),
  };
  const seeded = seedSeries(PRODUCTION_PROFILE, origin, messy);
  expect(leakStatus(seeded)).toEqual(leakStatus(seedSeries(PRODUCTION_PROFILE, origin, clean)));
});

test('without any past it is a new series', () => {
  const series = seedSeries(PRODUCTION_PROFILE, origin, { minute: [], hour: [] });
  expect(get(series, R.at)).toBeNaN();
  expect(leakStatus(series).state).toBe('LEARNING');
});
