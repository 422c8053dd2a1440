import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fixture } from './fixtures.oracle.js';
import { parsePressure, pressureSection } from './pressure.js';

const parse = (text: string) => parsePressure(Buffer.from(text));

describe('parsePressure', () => {
  it.each(['memory', 'cpu', 'io'])('agrees with a split of the %s blocks', (name) => {
    for (const kernel of ['5.10', '6.18'] as const) {
      const bytes = fixture(kernel, `pressure/${name}`);
      const lines = [...bytes.toString().matchAll(/^(\w+) avg10=(.+) avg60=(.+) avg300=(.+) total=(.+)$/gm)];
      const expected = lines.map(([, kind, avg10, avg60, avg300, total]) => [
        kind,
        { avg10: Number(avg10), avg60: Number(avg60), avg300: Number(avg300), total: Number(total) },
      ]);
      expect(expected.length).toBeGreaterThan(0);
      expect(parsePressure(bytes)).toEqual(Object.fromEntries(expected));
    }
  });

  it('gives back any pressure', () => {
    const percent = fc.nat(10_000).map((value) => value / 100);
    const line = fc.record({ avg10: percent, avg60: percent, avg300: percent, total: fc.maxSafeNat() });
    fc.assert(
      fc.property(line, line, (some, full) => {
        const text = Object.entries({ some, full }).map(
          ([kind, x]) =>
            `${kind} avg10=${x.avg10.toFixed(2)} avg60=${x.avg60.toFixed(2)} avg300=${x.avg300.toFixed(2)} total=${x.total}\n`,
        );
        expect(parse(text.join(''))).toEqual({ some, full });
      }),
    );
  });

  it('has no "full" of CPUs before 5.13, and a section only with "some"', () => {
    const cpu = parsePressure(fixture('5.10', 'pressure/cpu'));
    expect(Object.keys(cpu)).toEqual(['some']);
    expect(pressureSection(cpu)).toEqual({ some: { avg10: 12, avg60: 3, avg300: 1, total: 9007199254740991 } });
    expect(pressureSection(parse('full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n'))).toBeUndefined();
  });

  it('throws a coded error on anything else', () => {
    for (const text of ['', 'most avg10=0.0\n', 'some avg10=x avg60=0 avg300=0 total=0\n', 'some avg10=1.00\n']) {
      expect(() => parse(text), text).toThrow(expect.objectContaining({ code: 'PROCFS_FORMAT' }));
    }
  });
});
