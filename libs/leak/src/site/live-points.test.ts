import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addPoint, carryPoints, createLivePoints, POINTS, readPoints, type LivePoints } from './live-points.js';
import { siteTrend } from './site-trend.js';

function read(points: LivePoints): { hours: number[]; bytes: number[]; blocks: number[] } {
  const out = { hours: new Float64Array(POINTS), bytes: new Float64Array(POINTS), blocks: new Float64Array(POINTS) };
  const n = readPoints(points, out);
  return { hours: [...out.hours.slice(0, n)], bytes: [...out.bytes.slice(0, n)], blocks: [...out.blocks.slice(0, n)] };
}

describe('points of the live figures', () => {
  it('keep the whole life in a bounded number of blocks, of each the least', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(1_000_000), { minLength: 1, maxLength: 600 }), (values) => {
        const points = createLivePoints(1e12, 1000);
        values.forEach((value, i) => addPoint(points, 1e12 + i * 1000, value, value));
        const { hours, bytes } = read(points);
        expect(points.count).toBeLessThanOrEqual(POINTS);
        const per = points.step / 1000;
        const expected = Array.from({ length: Math.ceil(values.length / per) }, (_, block) =>
          Math.min(...values.slice(block * per, (block + 1) * per)),
        );
        expect(bytes).toEqual(expected.map(Math.fround));
        expect([...hours].sort((a, b) => a - b)).toEqual(hours);
      }),
    );
  });

  it('hold what did not change, so that a jump is a step and not a slope', () => {
    const points = createLivePoints(0, 1000);
    addPoint(points, 0, 100, 1);
    carryPoints(points, 3_600_000);
    addPoint(points, 3_600_000, 1e9, 1000);
    const { bytes } = read(points);
    expect(bytes.length).toBeGreaterThan(20);
    expect(bytes.slice(0, -1).every((value) => value === 100)).toBe(true);
    expect(siteTrend(points)!.slope).toBe(0);
  });
});

describe('the trend', () => {
  it('of a straight line is its slope, all of it certain', () => {
    const points = createLivePoints(0, 1000);
    for (let i = 0; i <= 300; i++) addPoint(points, i * 1000, 5000 + i * 256, 10 + i);
    const trend = siteTrend(points)!;
    expect(trend.slope).toBeCloseTo(256 * 3600, -1);
    expect(trend.low).toBeCloseTo(256 * 3600, -1);
    expect(trend.high).toBeCloseTo(256 * 3600, -1);
    expect(trend.tail).toBeCloseTo(1, 3);
    expect(trend.fall).toBe(0);
    expect(trend.z).toBeGreaterThan(7);
  });

  it('of a curve that saturates ends flat: the slope at the end over the mean one, in closed form', () => {
    const [tau, length] = [60, 300];
    const points = createLivePoints(0, 1000);
    for (let i = 0; i <= length; i++)
      addPoint(points, i * 1000, 1e6 * -Math.expm1(-i / tau), 1e6 * -Math.expm1(-i / tau));
    // (1 − e^−L/τ − (1 − e^−2L/3τ)) / (1/3) over 1 − e^−L/τ; Theil–Sen's median slope is below the mean one.
    const mean = (3 * (Math.exp((-2 * length) / 3 / tau) - Math.exp(-length / tau))) / -Math.expm1(-length / tau);
    const { tail } = siteTrend(points)!;
    expect(mean).toBeCloseTo(0.0876, 3);
    expect(tail).toBeGreaterThan(mean * 0.8);
    expect(tail).toBeLessThan(mean * 3);
  });

  it('of a queue that fills and drains falls back', () => {
    const points = createLivePoints(0, 1000);
    for (let i = 0; i <= 300; i++) addPoint(points, i * 1000, 1, 500 + 500 * Math.sin(i / 20));
    expect(siteTrend(points)!.fall).toBeGreaterThan(0.9);
  });
});
