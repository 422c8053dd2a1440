import fc from 'fast-check';
import { expect, test } from 'vitest';
import { medianInPlace, medianOf, selectRank } from './order-statistics.js';

const values = fc.array(fc.oneof(fc.double({ noNaN: true }), fc.integer({ min: -3, max: 3 })), {
  minLength: 1,
  maxLength: 300,
});

const ordered = (list: readonly number[]): number[] => [...list].map((x) => x + 0).sort((a, b) => a - b);

test('any rank is what sorting puts there, with smaller ones before and larger ones after', () => {
  fc.assert(
    fc.property(values, fc.nat(), (list, seed) => {
      const k = seed % list.length;
      const a = Float64Array.from(list);
      const value = selectRank(a, k, 0, a.length);
      expect(value === ordered(list)[k]).toBe(true);
      for (let i = 0; i < a.length; i++) {
        if (i < k) expect(a[i]! <= value).toBe(true);
        if (i > k) expect(a[i]! >= value).toBe(true);
      }
    }),
  );
});

test('a rank within a part leaves the rest of the array alone', () => {
  const a = Float64Array.of(9, 5, 4, 3, 2, 1, 0);
  expect(selectRank(a, 3, 2, 5)).toBe(3);
  expect([a[0], a[1], a[5], a[6]]).toEqual([9, 5, 1, 0]);
});

test('the median is the middle of the sorted values, or the mean of the two middle ones', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: -1e9, max: 1e9 }), { minLength: 1, maxLength: 200 }), (list) => {
      const sorted = ordered(list);
      const half = sorted.length >>> 1;
      const wanted = sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
      expect(medianInPlace(Float64Array.from(list), list.length)).toBe(wanted);
    }),
  );
});

test('the median of a part neither moves nor needs the rest', () => {
  const v = Float64Array.of(100, 7, 1, 4, -100);
  expect(medianOf(v, 1, 4)).toBe(4);
  expect([...v]).toEqual([100, 7, 1, 4, -100]);
  expect(medianOf(v, 2, 2)).toBeNaN();
});
