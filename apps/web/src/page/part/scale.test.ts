import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { timeTicks, valueScale } from './scale.js';

const GIB = 1024 ** 3;

describe('the scale of values', () => {
  it('has round steps in the unit that fits', () => {
    expect(valueScale(3.2 * GIB, 'bytes').ticks.map(({ text }) => text)).toEqual([
      ...['0 GiB', '1 GiB', '2 GiB', '3 GiB', '4 GiB'],
    ]);
    expect(valueScale(64 * GIB, 'bytes')).toMatchObject({ top: 80 * GIB });
    expect(valueScale(12.5, 'percent').ticks.at(-1)).toEqual({ value: 15, text: '15 %' });
    expect(valueScale(0.7, 'tasks').ticks.map(({ text }) => text)).toEqual(['0.0', '0.2', '0.4', '0.6', '0.8']);
    expect(valueScale(0, 'bytes').top).toBeGreaterThan(0);
  });

  it('reaches above every value with two to seven lines, equally far apart and told apart', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1e16, noNaN: true }), (max) => {
        const { ticks, top } = valueScale(max, 'bytes');
        expect(top).toBeGreaterThanOrEqual(max * (1 - 1e-9));
        expect(ticks.length).toBeGreaterThanOrEqual(2);
        expect(ticks.length).toBeLessThanOrEqual(7);
        expect(new Set(ticks.map(({ text }) => text)).size).toBe(ticks.length);
        for (const [at, { value }] of ticks.entries()) expect(value).toBeCloseTo(at * ticks[1]!.value, 0);
      }),
    );
  });
});

describe('the ticks of time', () => {
  it('are round on the local clock', () => {
    const from = new Date(2026, 0, 31, 11, 58, 20).getTime();
    const to = new Date(2026, 0, 31, 12, 13, 20).getTime();
    expect(timeTicks(from, to, 8).map(({ text }) => text)).toEqual([
      ...['11:58', '12:00', '12:02', '12:04', '12:06', '12:08', '12:10', '12:12'].slice(1),
    ]);
    const days = timeTicks(new Date(2026, 0, 30, 18).getTime(), new Date(2026, 0, 31, 6).getTime(), 4);
    expect(days.map(({ text }) => text)).toContain('01-31');
  });

  it('lie between the two ends, never more than asked for by one', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1000, max: 90 * 86_400_000 }), fc.integer({ min: 2, max: 16 }), (length, most) => {
        const from = Date.UTC(2026, 5, 1, 3, 4, 5);
        const ticks = timeTicks(from, from + length, most);
        expect(ticks.length).toBeLessThanOrEqual(most + 1);
        for (const { value } of ticks) {
          expect(value).toBeGreaterThanOrEqual(from);
          expect(value).toBeLessThanOrEqual(from + length);
        }
      }),
    );
  });
});
