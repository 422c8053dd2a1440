import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { kendallZ, mannKendall, residualAutocorrelation } from './mann-kendall.js';
import { regionalKendall } from './regional-kendall.js';
import { saturationEvidence } from './shape.js';
import { theilSen } from './theil-sen.js';

const count = z.number();
const oracle = z
  .object({
    cases: z.array(
      z.object({
        name: z.string(),
        ...{ t: z.array(count), v: z.array(count), score: count, variance: count, z: count },
        ...{ slope: count, low: count, high: count, autocorrelation: count, saturation: count },
      }),
    ),
    regional: z.object({ names: z.array(z.string()), score: count, variance: count, z: count }),
  })
  .parse(JSON.parse(readFileSync(new URL('../testdata/trend-oracle.json', import.meta.url), 'utf8')));

test.each(oracle.cases)('Kendall’s score, variance and Z of $name are those of pyMannKendall', (golden) => {
  const { s, variance, z: z1 } = mannKendall(Float64Array.from(golden.v), golden.v.length);
  expect(s).toBe(golden.score);
  expect(variance).toBeCloseTo(golden.variance, 8);
  expect(z1).toBeCloseTo(golden.z, 10);
});

test.each(oracle.cases)('the Theil–Sen slope and interval of $name are those of scipy', (golden) => {
  const { slope, low, high } = theilSen(
    Float64Array.from(golden.t),
    Float64Array.from(golden.v),
    golden.v.length,
    golden.variance,
  );
  expect(slope).toBeCloseTo(golden.slope, 9);
  expect(low).toBeCloseTo(golden.low, 9);
  expect(high).toBeCloseTo(golden.high, 9);
});

test.each(oracle.cases)(
  'residual autocorrelation and plateau evidence of $name are those of least squares',
  (golden) => {
    const t = Float64Array.from(golden.t);
    const v = Float64Array.from(golden.v);
    expect(residualAutocorrelation(t, v, v.length)).toBeCloseTo(golden.autocorrelation, 9);
    expect(saturationEvidence(t, v, v.length, v.length / 2)).toBeCloseTo(golden.saturation, 6);
  },
);

test('the regional test over several series is that of pyMannKendall', () => {
  const stretches = oracle.cases
    .filter(({ name }) => oracle.regional.names.includes(name))
    .map((golden) => {
      const { s, variance } = mannKendall(Float64Array.from(golden.v), golden.v.length);
      return { score: s, variance, slope: golden.slope, weight: 1 };
    });
  expect(stretches).toHaveLength(oracle.regional.names.length);
  const sum = stretches.reduce((total, one) => total + one.score, 0);
  expect(sum).toBe(oracle.regional.score);
  expect(regionalKendall(stretches).z).toBeCloseTo(oracle.regional.z, 9);
  expect(kendallZ(oracle.regional.score, oracle.regional.variance)).toBeCloseTo(oracle.regional.z, 9);
});
