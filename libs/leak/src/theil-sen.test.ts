import fc from 'fast-check';
import { expect, test } from 'vitest';
import { kendallVariance } from './mann-kendall.js';
import { theilSen } from './theil-sen.js';

/** The definition, by sorting every pair's slope. */
function naive(t: readonly number[], v: readonly number[]): number {
  const slopes: number[] = [];
  for (let i = 0; i < t.length; i++) {
    for (let j = i + 1; j < t.length; j++) if (t[j]! > t[i]!) slopes.push((v[j]! - v[i]!) / (t[j]! - t[i]!));
  }
  slopes.sort((a, b) => a - b);
  const half = slopes.length >>> 1;
  return slopes.length % 2 === 1 ? slopes[half]! : (slopes[half - 1]! + slopes[half]!) / 2;
}

const series = fc
  .array(fc.tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 0, max: 2 ** 31 })), {
    minLength: 2,
    maxLength: 72,
  })
  .map((steps) => {
    let at = 0;
    return { t: steps.map(([dt]) => (at += dt)), v: steps.map(([, value]) => value) };
  });

const fit = (t: readonly number[], v: readonly number[]): ReturnType<typeof theilSen> => {
  const values = Float64Array.from(v);
  return theilSen(Float64Array.from(t), values, v.length, kendallVariance(values, v.length));
};

test('the slope is the median over all pairs, and lies within its interval', () => {
  fc.assert(
    fc.property(series, ({ t, v }) => {
      const { slope, low, high } = fit(t, v);
      expect(slope).toBe(naive(t, v));
      expect(low <= slope && slope <= high).toBe(true);
    }),
  );
});

test('moving a series changes nothing, scaling it scales slope and interval', () => {
  fc.assert(
    fc.property(series, fc.integer({ min: -1e6, max: 1e6 }), fc.constantFrom(2, 8, 1024), ({ t, v }, shift, scale) => {
      const plain = fit(t, v);
      expect(
        fit(
          t,
          v.map((x) => x + shift),
        ),
      ).toEqual(plain);
      const scaled = fit(
        t,
        v.map((x) => x * scale),
      );
      expect(scaled).toEqual({ slope: plain.slope * scale, low: plain.low * scale, high: plain.high * scale });
    }),
  );
});

test('turning a series upside down mirrors it', () => {
  const t = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
  const v = [3, 9, 4, 12, 15, 11, 19, 24, 20, 28, 31, 27, 36];
  const up = fit(t, v);
  const down = fit(
    t,
    v.map((x) => -x),
  );
  expect(down.slope).toBeCloseTo(-up.slope, 12);
  expect(down.low).toBeCloseTo(-up.high, 0);
  expect(down.high).toBeCloseTo(-up.low, 0);
});

test('a quarter of wild points does not move the slope of a line', () => {
  const t = Array.from({ length: 60 }, (_, i) => i);
  const v = t.map((i) => (i % 4 === 1 ? 1e12 * (i % 8 === 1 ? 1 : -1) : 5 * i));
  expect(fit(t, v).slope).toBeCloseTo(5, 9);
});

test('without a pair there is no slope', () => {
  expect(theilSen(Float64Array.of(1), Float64Array.of(5), 1, 0).slope).toBeNaN();
  expect(theilSen(Float64Array.of(1, 1), Float64Array.of(5, 6), 2, 1).slope).toBeNaN();
});
