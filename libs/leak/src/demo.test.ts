import { expect, test } from 'vitest';
import { createRandom, type Random } from '../scenarios/random.js';
import { createSeries, DEMO_PROFILE, observe, type Transition } from './index.js';

const SECOND = 1000;
const MIB = 1024 * 1024;
const START = Date.UTC(2025, 0, 6) + 4321;
const SEEDS = Array.from({ length: 12 }, (_, i) => i + 1);

/** A process as a collector on a laptop sees it: once a second, not quite on time. */
function watch(seconds: number, random: Random, level: (second: number) => number, limit: number | null): Transition[] {
  const series = createSeries(DEMO_PROFILE, { startedAt: START, service: 'demo' });
  const told: Transition[] = [];
  for (let second = 0; second < seconds; second++) {
    const at = START + second * SECOND + Math.round(random.uniform(-80, 80));
    const one = observe(series, { at, bytes: Math.max(0, Math.round(level(second))), limit });
    if (one) told.push(one);
  }
  return told;
}

const suspicions = (told: readonly Transition[]): Transition[] =>
  told.filter(({ to }) => to === 'SUSPECTED' || to === 'CONFIRMED');

test.each(SEEDS)('a shell that leaks a mebibyte a second is suspected within 45 to 75 seconds (seed %i)', (seed) => {
  const random = createRandom(seed);
  const limit = random.pick([null, 4096 * MIB, 64 * 1024 * MIB]);
  const told = watch(180, random, (second) => (4 + second + random.uniform(0, 0.9)) * MIB, limit);
  const first = suspicions(told)[0];
  expect(first).toBeDefined();
  expect(first!.at - START).toBeGreaterThanOrEqual(45 * SECOND);
  expect(first!.at - START).toBeLessThanOrEqual(75 * SECOND);
  expect(first!.growth!.bytesPerHour / 3600 / MIB).toBeCloseTo(1, 1);
});

test.each(SEEDS)('a leak that begins later is suspected within 100 seconds of its beginning (seed %i)', (seed) => {
  const random = createRandom(seed);
  const onset = Math.round(random.uniform(30, 200));
  const told = watch(
    onset + 100,
    random,
    (s) => (30 + Math.max(0, s - onset) + random.uniform(0, 2)) * MIB,
    8192 * MIB,
  );
  expect(suspicions(told)).not.toEqual([]);
  expect(suspicions(told)[0]!.at).toBeGreaterThan(START + onset * SECOND);
});

test.each(SEEDS)('two gibibytes taken in the first seconds and then held are never suspected (seed %i)', (seed) => {
  const random = createRandom(seed);
  const seconds = random.uniform(0.5, 15);
  const told = watch(
    900,
    random,
    (second) => 2048 * MIB * Math.min(1, (second + 1) / seconds) + random.uniform(0, 64) * 4096,
    16_384 * MIB,
  );
  expect(suspicions(told)).toEqual([]);
});

test.each(SEEDS)('a start-up that levels off within half a minute is never suspected (seed %i)', (seed) => {
  const random = createRandom(seed);
  const plateau = random.uniform(60, 600) * MIB;
  const tau = random.uniform(2, 10);
  const told = watch(
    600,
    random,
    (second) => 20 * MIB + plateau * (1 - Math.exp(-second / tau)) + random.normal() * 0.01 * plateau,
    8192 * MIB,
  );
  expect(suspicions(told)).toEqual([]);
});

test.each(SEEDS)('a collected heap with a flat floor is never suspected (seed %i)', (seed) => {
  const random = createRandom(seed);
  const period = random.logUniform(3, 60);
  const garbage = random.uniform(20, 200) * MIB;
  const told = watch(
    900,
    random,
    (second) => 60 * MIB + (garbage * (second % period)) / period + random.normal() * MIB,
    8192 * MIB,
  );
  expect(suspicions(told)).toEqual([]);
});

test('a leak whose shell is told only when it changes is suspected all the same', () => {
  const series = createSeries(DEMO_PROFILE, { startedAt: START, service: 'demo' });
  const told: Transition[] = [];
  for (let second = 0; second < 120; second += 7) {
    const one = observe(series, { at: START + second * SECOND, bytes: (10 + second) * MIB, limit: null });
    if (one) told.push(one);
  }
  expect(suspicions(told)).toHaveLength(1);
});
