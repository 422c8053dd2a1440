import { expect, test } from 'vitest';
import { countCollections, lowerEnvelope } from './envelope.js';

function windowOf(values: readonly number[]): Parameters<typeof lowerEnvelope>[0] {
  return {
    n: values.length,
    t: Float64Array.from(values, (_, i) => i),
    v: Float64Array.from(values),
  };
}

test('each fall of a sawtooth is one collection', () => {
  const saw = Float64Array.from({ length: 60 }, (_, i) => 1000 + 100 * (i % 5));
  expect(countCollections(saw, 60)).toBe(11);
});

test('a slow collection counts once, and falls below a twentieth not at all', () => {
  expect(countCollections(Float64Array.of(100, 90, 80, 70, 80, 90, 100, 90, 70), 9)).toBe(2);
  expect(countCollections(Float64Array.of(1000, 1000, 960, 1000, 960, 1000), 6)).toBe(0);
  expect(countCollections(Float64Array.of(0, 0, 0), 3)).toBe(0);
});

test('the envelope of a sawtooth on a rising floor is the floor', () => {
  const floor = (i: number): number => 1000 + 10 * i;
  const window = windowOf(Array.from({ length: 60 }, (_, i) => floor(i) + 300 * ((i % 4) / 3)));
  const { merged, cycles } = lowerEnvelope(window);
  expect(cycles).toBeGreaterThanOrEqual(14);
  expect(window.n).toBe(Math.floor(60 / merged));
  for (let i = 0; i < window.n; i++) expect(window.v[i]).toBe(floor(window.t[i]!));
});

test('what does not collect stays as it is', () => {
  const values = Array.from({ length: 60 }, (_, i) => 1000 + i);
  const window = windowOf(values);
  expect(lowerEnvelope(window)).toEqual({ cycles: 0, merged: 1 });
  expect([...window.v]).toEqual(values);
});
