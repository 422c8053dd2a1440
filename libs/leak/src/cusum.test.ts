import { expect, test } from 'vitest';
import { createRandom } from '../scenarios/random.js';
import { cusum, incrementSpread } from './cusum.js';
import { PRODUCTION_PROFILE } from './profile.js';

const limits = { ...PRODUCTION_PROFILE.cusum, sigmaFloor: 1 };

function noisy(seed: number, level: (i: number) => number, sigma: number): Float64Array {
  const random = createRandom(seed);
  return Float64Array.from({ length: 60 }, (_, i) => level(i) + sigma * random.normal());
}

test('noise about a level rarely arms, whatever its size', () => {
  let armed = 0;
  for (let seed = 0; seed < 400; seed++)
    if (
      cusum(
        noisy(seed, () => 5000, 10 ** (seed % 4)),
        60,
        limits,
      ).armed
    )
      armed++;
  expect(armed).toBeLessThan(8);
});

test('a rise that begins late arms, and its beginning is found', () => {
  for (let seed = 0; seed < 20; seed++) {
    const { armed, onset } = cusum(
      noisy(seed, (i) => 1000 + 400 * Math.max(0, i - 40), 40),
      60,
      limits,
    );
    expect(armed).toBe(true);
    expect(onset).toBeGreaterThanOrEqual(36);
    expect(onset).toBeLessThanOrEqual(42);
  }
});

test('one jump, however large, does not arm', () => {
  expect(
    cusum(
      noisy(3, (i) => (i < 50 ? 1000 : 1e9), 40),
      60,
      limits,
    ).armed,
  ).toBe(false);
  expect(
    cusum(
      Float64Array.from({ length: 60 }, (_, i) => (i < 50 ? 0 : 1e9)),
      60,
      limits,
    ).armed,
  ).toBe(false);
});

test('a plain line arms from its first point', () => {
  const line = Float64Array.from({ length: 60 }, (_, i) => 4096 * i);
  expect(cusum(line, 60, limits)).toMatchObject({ armed: true, onset: 0 });
});

test('drift too slow for the sum is seen as rising, and noise alone hardly ever', () => {
  let drifts = 0;
  let noises = 0;
  for (let seed = 0; seed < 200; seed++) {
    const drift = cusum(
      noisy(seed, (i) => 15 * i, 100),
      60,
      limits,
    );
    if (!drift.armed && drift.rising) drifts++;
    if (
      cusum(
        noisy(seed, () => 0, 100),
        60,
        limits,
      ).rising
    )
      noises++;
  }
  expect(drifts).toBeGreaterThan(180);
  expect(noises).toBeLessThan(4);
});

test('the spread of the increments is that of normal noise, jumps or not', () => {
  const v = noisy(7, () => 0, 100);
  v[30] = 1e9;
  expect(incrementSpread(v, 60)).toBeGreaterThan(100);
  expect(incrementSpread(v, 60)).toBeLessThan(200);
});

test('windows of one point or none say nothing', () => {
  expect(cusum(new Float64Array(0), 0, limits)).toMatchObject({ armed: false, rising: false });
  expect(cusum(Float64Array.of(5), 1, limits)).toMatchObject({ armed: false, rising: false });
});
