import { BIRTH_BINS } from '@tidemark/contracts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { birthShape, unevenness } from './birth-shape.js';
import { SITE_PROFILE } from './site-profile.js';

const { ages } = SITE_PROFILE;
const bins = (make: (bin: number) => number): number[] => Array.from({ length: BIRTH_BINS }, (_, bin) => make(bin));

describe('the shape of births', () => {
  it('of an even spread over the whole life is full, and every third has its share', () => {
    const shape = birthShape(
      bins(() => 100),
      1000,
      4200,
      4200,
    );
    expect(shape).toMatchObject({ blocks: 3200, generations: 32, head: 0, tail: 0, span: 1 });
    expect(shape.coverage).toBeCloseTo(1, 9);
    for (const third of shape.thirds) expect(third).toBeCloseTo(1, 9);
  });

  it('measures the empty stretches by hand-counted bins, and the time that passed since the last bin', () => {
    const shape = birthShape(
      bins((bin) => (bin >= 4 && bin < 12 ? 5 : 0)),
      0,
      3200,
      6400,
    );
    expect(shape.head).toBeCloseTo(400 / 6400, 12);
    expect(shape.span).toBeCloseTo(800 / 6400, 12);
    expect(shape.tail).toBeCloseTo(5200 / 6400, 12);
    expect(shape.thirds.map((third) => Math.round(third * 1e9) / 1e9)).toEqual([3, 0, 0]);
  });

  it('expects as many bins filled as balls in urns fill', () => {
    // 32 urns, 10 balls: 32·(1 − (31/32)^10) = 8.705…; here the span is all bins, and six are filled.
    const at = new Set([0, 3, 9, 17, 25, 31]);
    const shape = birthShape(
      bins((bin) => (at.has(bin) ? (bin === 9 ? 5 : 1) : 0)),
      0,
      32,
      32,
    );
    expect(shape.coverage).toBeCloseTo(6 / (32 * (1 - (31 / 32) ** 10)), 12);
  });

  it('accounts for every birth in the thirds, whatever the bins are', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(1000), { minLength: BIRTH_BINS, maxLength: BIRTH_BINS }),
        fc.double({ min: 0, max: 1e9, noNaN: true }),
        fc.double({ min: 1, max: 1e6, noNaN: true }),
        fc.double({ min: 0, max: 1e6, noNaN: true }),
        (births, firstAt, length, rest) => {
          const shape = birthShape(births, firstAt, firstAt + length, firstAt + length + rest);
          const total = births.reduce((sum, born) => sum + born, 0);
          expect(shape.blocks).toBe(total);
          const sum = shape.thirds.reduce((all, third) => all + third, 0);
          expect(sum).toBeCloseTo(total === 0 ? 0 : 3, 6);
          if (total > 0) expect(shape.head + shape.span + shape.tail).toBeCloseTo(1, 6);
        },
      ),
    );
  });
});

describe('evenness', () => {
  const judge = (births: number[], nothingFreed = true) =>
    unevenness(birthShape(births, 0, 32, 32), ages, nothingFreed);

  it.each([
    ['all along', bins(() => 10), null],
    ['all along, a few', bins((bin) => (bin % 3 === 0 ? 1 : 0)), null],
    ['in bursts', bins((bin) => (bin % 5 === 1 ? 40 : 0)), null],
    ['only at the begin', bins((bin) => (bin < 6 ? 50 : 0)), 'past'],
    ['ever more rarely', bins((bin) => Math.round(200 * Math.exp(-bin / 5))), 'past'],
    ['only lately', bins((bin) => (bin > 20 ? 50 : 0)), 'recent'],
    ['at two moments', bins((bin) => (bin === 0 || bin === 31 ? 500 : 0)), 'gaps'],
  ] as const)('%s', (_, births, expected) => {
    expect(judge([...births])).toBe(expected);
  });

  it('takes the fading of old births for churn only when something is freed', () => {
    const rising = bins((bin) => bin + 4);
    expect(judge(rising, true)).toBeNull();
    expect(judge(rising, false)).toBe('recent');
  });

  it('lets an empty end pass as chance exactly as often as its probability says', () => {
    // Eight blocks leave the first 40 % empty with probability 0.6^8 = 1.7 %; a hundred with 10^-22.
    const late = (each: number): number[] => bins((bin) => (bin >= 13 ? each : 0));
    const eight = bins((bin) => ([13, 15, 18, 20, 23, 26, 28, 31].includes(bin) ? 1 : 0));
    expect(judge(eight)).toBeNull();
    expect(judge(late(6))).toBe('recent');
  });
});
