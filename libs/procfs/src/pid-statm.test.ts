import { spawn } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fixture, UNITS } from './fixtures.oracle.js';
import { fillFromStatm, parsePidStatm } from './pid-statm.js';
import { fillFromStatus } from './pid-status.js';
import { createProcfs } from './procfs.js';
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
        expect(row[ROW.rssAnon]).toBe(x.rss < x.shared ? Number.NaN : expected['rss']! - expected['shared']!);
        expect([row[ROW.lib], row[ROW.dirty]]).toEqual([Number.NaN, Number.NaN]);
      }),
    );
  });

  it('knows the anonymous pages of a process at rest as its status does', async () => {
    const child = spawn('sleep', ['600'], { stdio: 'ignore' });
    try {
      const procfs = createProcfs();
      const [statm, status] = [procfs.processFile(child.pid!, 'statm'), procfs.processFile(child.pid!, 'status')];
      await expect
        .poll(
          () => {
            const [old, young] = [createRows(), createRows()];
            statm.read();
            fillFromStatm(procfs.buffer.bytes, statm.length, procfs.units, old, 0);
            status.read();
            fillFromStatus(procfs.buffer.bytes, status.length, young, 0);
            const names = ['rssAnon', 'shared', 'rss'] as const;
            return young[ROW.rssAnon]! > 0 && names.every((name) => old[ROW[name]] === young[ROW[name]]);
          },
          { timeout: 20_000 },
        )
        .toBe(true);
      statm.close();
      status.close();
    } finally {
      child.kill('SIGKILL');
    }
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
