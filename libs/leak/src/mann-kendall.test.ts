import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  autocorrelationInflation,
  kendallScore,
  kendallVariance,
  mannKendall,
  residualAutocorrelation,
  residualSpread,
} from './mann-kendall.js';

const values = fc.array(fc.oneof(fc.integer({ min: 0, max: 6 }), fc.integer({ min: 0, max: 2 ** 40 })), {
  minLength: 2,
  maxLength: 72,
});

test('the score is the sum of the signs of all pairs', () => {
  fc.assert(
    fc.property(values, (list) => {
      const pairs = list.flatMap((first, i) => list.slice(i + 1).map((second) => Math.sign(second - first)));
      const sum = pairs.reduce((total, sign) => total + sign, 0);
      expect(kendallScore(Float64Array.from(list), list.length)).toBe(sum);
    }),
  );
});

test('the variance counts each group of ties once', () => {
  fc.assert(
    fc.property(values, (list) => {
      const groups = new Map<number, number>();
      for (const value of list) groups.set(value, (groups.get(value) ?? 0) + 1);
      const n = list.length;
      let sum = n * (n - 1) * (2 * n + 5);
      for (const t of groups.values()) sum -= t * (t - 1) * (2 * t + 5);
      expect(kendallVariance(Float64Array.from(list), n)).toBeCloseTo(sum / 18, 8);
    }),
  );
});

test('rising without a tie gives the largest score there is, and constancy none', () => {
  const rising = Float64Array.from({ length: 40 }, (_, i) => i * i);
  expect(mannKendall(rising, 40).s).toBe((40 * 39) / 2);
  expect(mannKendall(new Float64Array(40).fill(7), 40)).toEqual({ s: 0, variance: 0, z: 0 });
});

test('Z does not change with unit or origin', () => {
  fc.assert(
    fc.property(values, fc.integer({ min: 0, max: 1e6 }), fc.constantFrom(2, 4096), (list, shift, scale) => {
      const moved = Float64Array.from(list, (value) => (value + shift) * scale);
      expect(mannKendall(moved, list.length).z).toBe(mannKendall(Float64Array.from(list), list.length).z);
    }),
  );
});

test('neither a trend nor its bend counts as autocorrelation', () => {
  const t = Float64Array.from({ length: 60 }, (_, i) => i);
  const bent = t.map((x) => 1e9 + 3e6 * x + 4e4 * x * x);
  expect(residualAutocorrelation(t, bent, 60)).toBeLessThan(0.05);
  expect(autocorrelationInflation(t, bent, 60)).toBeLessThan(1.15);
});

test('slow waves do, up to a factor of nineteen', () => {
  const t = Float64Array.from({ length: 72 }, (_, i) => i);
  const waves = t.map((x) => Math.sin(x / 4));
  expect(residualAutocorrelation(t, waves, 72)).toBe(0.9);
  expect(autocorrelationInflation(t, waves, 72)).toBeCloseTo(19, 9);
});

test('zigzags, which argue against persistence, deflate nothing', () => {
  const t = Float64Array.from({ length: 40 }, (_, i) => i);
  expect(
    autocorrelationInflation(
      t,
      Float64Array.from(t, (x) => x % 2),
      40,
    ),
  ).toBe(1);
});

test('a twelfth of wild points does not widen the spread about a line', () => {
  const t = Float64Array.from({ length: 60 }, (_, i) => i);
  const v = t.map((x) => 9 * x + (x % 2 === 0 ? 10 : -10) + (x % 12 === 5 ? 1e9 : 0));
  expect(residualSpread(t, v, 60, 9)).toBeCloseTo(14.826, 2);
});
