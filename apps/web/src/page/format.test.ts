import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { absolute, bytes, count, counted, duration, percent, rate, relative, visible } from './format.js';

const KIB = 1024;

describe('bytes', () => {
  it.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.0 KiB'],
    [1536, '1.5 KiB'],
    [KIB ** 2 - 1, '1.0 MiB'],
    [1023.94 * KIB, '1023.9 KiB'],
    [3.5 * KIB ** 3, '3.5 GiB'],
    ['18446744073709551615', '16.0 EiB'],
    [-2048, '-2.0 KiB'],
    [null, '–'],
    [undefined, '–'],
    ['no number', '–'],
  ])('of %s are %s', (value, text) => {
    expect(bytes(value)).toBe(text);
  });

  it('are told to within half of the last digit, and never as 1024 of a unit', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }), (value) => {
        const [number, unit] = bytes(value).split(' ');
        const size = KIB ** ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'].indexOf(unit!);
        expect(Number(number)).toBeLessThan(1024);
        expect(Math.abs(Number(number) * size - value)).toBeLessThanOrEqual(size * 0.0501);
      }),
    );
  });
});

describe('other figures', () => {
  it('show what is unknown as a dash, never as 0', () => {
    expect([rate(null), percent(undefined), count(null), duration(null)]).toEqual(['–', '–', '–', '–']);
  });

  it('carry their unit', () => {
    expect(rate(3.5 * KIB ** 3)).toBe('+3.5 GiB/h');
    expect(rate(-KIB)).toBe('−1.0 KiB/h');
    expect(rate(0.2)).toBe('0 B/h');
    expect(percent(12.345)).toBe('12.3 %');
    expect(count(1_234_567)).toBe('1\u202f234\u202f567');
    expect([counted(1, 'node'), counted(20, 'node'), counted(2, 'process', 'processes')]).toEqual([
      '1 node',
      '20 nodes',
      '2 processes',
    ]);
  });

  it.each([
    [0, '0 s'],
    [59.9, '59 s'],
    [60, '1 min'],
    [3600, '1 h'],
    [6 * 3600 + 24 * 60, '6 h 24 min'],
    [86_400, '1 d'],
    [3 * 86_400 + 4 * 3600, '3 d 4 h'],
    [200 * 86_400 + 3600, '200 d'],
    [1e12, 'more than a year'],
    [-5, '0 s'],
  ])('tell %d seconds as %s', (seconds, text) => {
    expect(duration(seconds)).toBe(text);
  });
});

describe('times', () => {
  const now = Date.UTC(2026, 0, 31, 12);

  it('are relative in one unit, to both sides', () => {
    const ago = (seconds: number) => relative(now - seconds * 1000, now);
    expect([ago(0), ago(1), ago(12), ago(150), ago(3600 * 3.5), ago(86_400 * 2.5), ago(-90)]).toEqual([
      ...['now', 'now', '12 s ago', '2 min ago', '3 h ago', '2 d ago', 'in 1 min'],
    ]);
  });

  it('are absolute with the offset of the local clock', () => {
    const text = absolute(now);
    const [, date, time, sign, hours, minutes] = /^(\S+) (\S+) UTC([+−])(\d\d):(\d\d)$/.exec(text)!;
    const offset = (Number(hours) * 60 + Number(minutes)) * (sign === '−' ? -1 : 1);
    expect(Date.parse(`${date}T${time}Z`) - offset * 60_000).toBe(now);
  });
});

describe('text of hosts', () => {
  it('shows what would turn, hide or break the text beside it', () => {
    expect(visible('a\u202egpj.exe\u0000\u200b\n')).toBe('a\\u{202e}gpj.exe\\u{0}\\u{200b}\\u{a}');
    expect(visible('lone \ud800 half')).toBe('lone \\u{d800} half');
  });

  it('leaves what can be read as it is', () => {
    for (const text of ['postgres: writer', '<img src=x>', 'naïve 進程 🦊']) expect(visible(text)).toBe(text);
  });
});
