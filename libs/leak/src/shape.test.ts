import { expect, test } from 'vitest';
import { halvesRatio, measureSteps, recordShare, saturationEvidence, tailTrend } from './shape.js';

const n = 60;
const t = Float64Array.from({ length: n }, (_, i) => i);
const from = (level: (i: number) => number): Float64Array => Float64Array.from({ length: n }, (_, i) => level(i));

test('the tail of a line is as steep as the line, that of a plateau is flat, that of a parabola steeper', () => {
  expect(
    tailTrend(
      t,
      from((i) => 7 * i),
      n,
    ).slope,
  ).toBe(7);
  expect(
    tailTrend(
      t,
      from((i) => Math.min(30, i)),
      n,
    ).slope,
  ).toBe(0);
  // Pairs of a parabola have slope i + j: their median over 40…59 is 99.
  expect(
    tailTrend(
      t,
      from((i) => i * i),
      n,
    ).slope,
  ).toBeCloseTo(99, 9);
});

test('every group of a line is a new high, none of a flat or falling one, half of one that stops half-way', () => {
  expect(
    recordShare(
      from((i) => i),
      n,
    ),
  ).toBe(1);
  expect(
    recordShare(
      from(() => 5),
      n,
    ),
  ).toBe(0);
  expect(
    recordShare(
      from((i) => -i),
      n,
    ),
  ).toBe(0);
  expect(
    recordShare(
      from((i) => Math.min(i, 30)),
      n,
    ),
  ).toBeCloseTo(6 / 11, 12);
  expect(recordShare(Float64Array.of(1, 2, 3), 3)).toBe(1);
  expect(recordShare(Float64Array.of(1), 1)).toBe(0);
});

test('a wave makes new highs only in its first rise', () => {
  expect(
    recordShare(
      from((i) => Math.sin((2 * Math.PI * i) / 30)),
      n,
    ),
  ).toBeLessThan(0.3);
});

test('two jumps make all the growth of two steps, a third of six', () => {
  expect(
    measureSteps(
      from((i) => (i < 20 ? 0 : i < 40 ? 5 : 9)),
      n,
    ),
  ).toEqual({ share: 1, count: 2 });
  const six = measureSteps(
    from((i) => Math.floor(i / 9)),
    n,
  );
  expect(six.share).toBeCloseTo(1 / 3, 12);
  expect(six.count).toBe(6);
  expect(
    measureSteps(
      from((i) => -i),
      n,
    ),
  ).toEqual({ share: 0, count: 0 });
});

test('an exponential towards a plateau beats the line, a line and a parabola do not lose', () => {
  const wobble = (i: number): number => 3 * Math.sin(i * 12.9898);
  expect(
    saturationEvidence(
      t,
      from((i) => 1000 * (1 - Math.exp(-i / 15)) + wobble(i)),
      n,
      n,
    ),
  ).toBeGreaterThan(6);
  expect(
    saturationEvidence(
      t,
      from((i) => 20 * i + wobble(i)),
      n,
      n,
    ),
  ).toBeLessThan(0);
  expect(
    saturationEvidence(
      t,
      from((i) => i * i + wobble(i)),
      n,
      n,
    ),
  ).toBeLessThan(0);
});

test('an exact line, a constant and a handful of points give no evidence', () => {
  expect(
    saturationEvidence(
      t,
      from((i) => 4096 * i),
      n,
      n,
    ),
  ).toBe(0);
  expect(
    saturationEvidence(
      t,
      from(() => 4096),
      n,
      n,
    ),
  ).toBe(0);
  expect(
    saturationEvidence(
      t,
      from((i) => i),
      4,
      4,
    ),
  ).toBe(0);
});

test('the second half of a line grows as the first; what stops grows in the first, what begins late in the second', () => {
  expect(
    halvesRatio(
      from((i) => 3 * i),
      n,
    ),
  ).toBeCloseTo(1, 12);
  expect(
    halvesRatio(
      from((i) => Math.min(i, 25)),
      n,
    ),
  ).toBe(0);
  expect(
    halvesRatio(
      from((i) => Math.max(0, i - 40)),
      n,
    ),
  ).toBe(1000);
  expect(
    halvesRatio(
      from(() => 7),
      n,
    ),
  ).toBe(0);
  expect(
    halvesRatio(
      from((i) => Math.floor(Math.log2(i + 1))),
      n,
    ),
  ).toBeLessThanOrEqual(0.5);
});
