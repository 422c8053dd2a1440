import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  formatBytes,
  formatBytesShort,
  formatCount,
  formatGrowth,
  formatSeconds,
  formatShare,
  formatTime,
  UNKNOWN,
} from './figures.js';

const KIB = 1024;
const UNIT: Readonly<Record<string, number>> = {
  B: 1,
  KiB: KIB,
  MiB: KIB ** 2,
  GiB: KIB ** 3,
  TiB: KIB ** 4,
  PiB: KIB ** 5,
};

describe('formatBytes', () => {
  it.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.00 KiB'],
    [1536, '1.50 KiB'],
    [10 * KIB, '10.0 KiB'],
    [100 * KIB, '100 KiB'],
    [1024 * KIB - 1, '1.00 MiB'],
    [12.5 * KIB ** 2, '12.5 MiB'],
    [1023 * KIB ** 3, '1023 GiB'],
    [-5 * KIB ** 2, '-5.00 MiB'],
    [Number.MAX_SAFE_INTEGER, '8.00 PiB'],
  ])('of %d is %s', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });

  it('says that it does not know, never 0', () => {
    for (const nothing of [null, undefined, NaN, Infinity]) expect(formatBytes(nothing)).toBe(UNKNOWN);
  });

  it('is right to half a percent, and never reads 1024 of a unit', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 52 }), (bytes) => {
        const [figure = '', unit = ''] = formatBytes(bytes).split(' ');
        expect(Number(figure)).toBeLessThan(1024);
        const read = Number(figure) * (UNIT[unit] ?? NaN);
        expect(Math.abs(read - bytes)).toBeLessThanOrEqual(bytes * 0.0051);
      }),
    );
  });
});

describe('formatBytesShort', () => {
  it.each([
    [0, '0'],
    [512, '512B'],
    [2048, '2.00K'],
    [512 * KIB ** 2, '512M'],
    [1.25 * KIB ** 3, '1.25G'],
    [null, UNKNOWN],
  ])('of %s is %s', (bytes, text) => {
    expect(formatBytesShort(bytes)).toBe(text);
  });

  it('takes at most five columns, so that tables keep their shape', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }), (bytes) => {
        expect(formatBytesShort(bytes).length).toBeLessThanOrEqual(5);
      }),
    );
  });
});

describe('formatGrowth', () => {
  it.each([
    [0, '0'],
    [500, '0'],
    [12.5 * KIB ** 2, '+12.5M'],
    [-3 * KIB ** 2, '-3.00M'],
    [null, UNKNOWN],
  ])('of %s is %s', (growth, text) => {
    expect(formatGrowth(growth)).toBe(text);
  });
});

describe('formatSeconds', () => {
  it.each([
    [0, '< 1 s'],
    [45.9, '45 s'],
    [60, '1 min'],
    [200, '3 min 20 s'],
    [7200, '2 h'],
    [7261, '2 h 1 min'],
    [2 * 86_400 + 60, '2 d'],
    [12 * 86_400 + 4 * 3600 + 59, '12 d 4 h'],
    [1e12, '> 1000 d'],
    [null, UNKNOWN],
  ])('of %s is %s', (seconds, text) => {
    expect(formatSeconds(seconds)).toBe(text);
  });

  it('never says more than has passed, nor less than by its smaller unit', () => {
    const worth: Readonly<Record<string, number>> = { d: 86_400, h: 3600, min: 60, s: 1 };
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 900 * 86_400 }), (seconds) => {
        const words = formatSeconds(seconds).split(' ');
        let said = 0;
        for (let at = 0; at < words.length; at += 2) said += Number(words[at]) * (worth[words[at + 1] ?? ''] ?? NaN);
        expect(said).toBeLessThanOrEqual(seconds);
        expect(seconds - said).toBeLessThan(
          words.length === 4 ? (worth[words[3] ?? ''] ?? 0) : (worth[words[1] ?? ''] ?? 0),
        );
      }),
    );
  });
});

describe('formatShare, formatCount and formatTime', () => {
  it('give percents with one digit where it matters', () => {
    expect(formatShare(1, 3)).toBe('33 %');
    expect(formatShare(1, 24)).toBe('4.2 %');
    expect(formatShare(1, 0)).toBe(UNKNOWN);
    expect(formatShare(null, 3)).toBe(UNKNOWN);
  });

  it('set thousands apart', () => {
    expect(formatCount(1234567)).toBe('1 234 567');
    expect(formatCount(12)).toBe('12');
    expect(formatCount(null)).toBe(UNKNOWN);
  });

  it('show local time, and that a date is none', () => {
    const date = new Date(2026, 0, 31, 4, 5, 6);
    expect(formatTime(date.toISOString())).toBe('2026-01-31 04:05:06');
    expect(formatTime('not a date')).toBe(UNKNOWN);
    expect(formatTime(null)).toBe(UNKNOWN);
  });
});
