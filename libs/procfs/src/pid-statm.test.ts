import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fixture, UNITS } from './fixtures.oracle.js';
import { fillFromStatm, parsePidStatm } from './pid-statm.js';
import { createRows, ROW } from './process-row.js';

describe('statm', () => {
  it('gives back any figures, in bytes of any page size', () => {
    const pages = fc.nat(2 ** 30);
    const figures = fc.record({
      vms: pages,
      rss: pages,
      shared: pages,
      text: pages,
      lib: pages,
      data: pages,
      dirty: pages,
    });
    fc.assert(
      fc.property(figures, fc.constantFrom(4096, 16384, 65536), (x, pageSize) => {
        const bytes = Buffer.from(`${x.vms} ${x.rss} ${x.shared} ${x.text} ${x.lib} ${x.data} ${x.dirty}\n`);
        const units = { ...UNITS, pageSize };
        const expected = Object.fromEntries(Object.entries(x).map(([name, value]) => [name, value * pageSize]));
        expect(parsePidStatm(bytes, bytes.length, units)).toEqual(expected);
        const row = createRows();
        expect(fillFromStatm(bytes, bytes.length, units, row, 0)).toBe(true);
        for (const name of ['vms', 'rss', 'shared', 'text', 'data'] as const)
          expect(row[ROW[name]]).toBe(expected[name]);
        expect([row[ROW.lib], row[ROW.dirty]]).toEqual([Number.NaN, Number.NaN]);
      }),
    );
  });

  it('tells the library and dirty pages that 2.4 still counted', () => {
    const bytes = fixture('2.4', '1/statm');
    expect(parsePidStatm(bytes, bytes.length, UNITS)).toMatchObject({
      text: 6 * 4096,
      data: 113 * 4096,
      dirty: 18 * 4096,
    });
  });

  it('refuses a block that is cut off', () => {
    const row = createRows().fill(-1);
    expect(fillFromStatm(Buffer.from('1 2 3 4'), 7, UNITS, row, 0)).toBe(false);
    expect(row.every((cell) => cell === -1)).toBe(true);
    expect(() => parsePidStatm(Buffer.from('1 2 3 4 5 6'), 11, UNITS)).toThrow(
      expect.objectContaining({ code: 'PROCFS_FORMAT' }),
    );
  });
});
