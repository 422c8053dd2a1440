import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fixture, KERNELS } from './fixtures.oracle.js';
import { loadSection, parseLoadavg } from './loadavg.js';
import { parseUptime } from './uptime.js';

const hundredths = fc.nat(10 ** 7).map((value) => value / 100);

describe('parseLoadavg', () => {
  it.each(KERNELS)('agrees with a split of the block of %s', (kernel) => {
    const bytes = fixture(kernel, 'loadavg');
    const [one, five, fifteen, running, total, lastPid] = bytes.toString().trim().split(/[ /]/).map(Number);
    expect(parseLoadavg(bytes)).toEqual({ one, five, fifteen, running, total, lastPid });
  });

  it('gives back any loads', () => {
    const load = fc.record({
      one: hundredths,
      five: hundredths,
      fifteen: hundredths,
      running: fc.nat(),
      total: fc.nat(),
      lastPid: fc.nat(),
    });
    fc.assert(
      fc.property(load, (x) => {
        const averages = [x.one, x.five, x.fifteen].map((value) => value.toFixed(2)).join(' ');
        expect(parseLoadavg(Buffer.from(`${averages} ${x.running}/${x.total} ${x.lastPid}\n`))).toEqual(x);
      }),
    );
  });

  it('leaves the last pid out of what is sent', () => {
    expect(loadSection(parseLoadavg(fixture('5.10', 'loadavg')))).toEqual({
      one: 1.5,
      five: 0.75,
      fifteen: 12.25,
      running: 3,
      total: 1423,
    });
  });

  it('throws a coded error on anything else', () => {
    expect(() => parseLoadavg(Buffer.from('0.1 0.2'))).toThrow(expect.objectContaining({ code: 'PROCFS_FORMAT' }));
  });
});

describe('parseUptime', () => {
  it.each(KERNELS)('agrees with a split of the block of %s', (kernel) => {
    const bytes = fixture(kernel, 'uptime');
    const [up, idle] = bytes.toString().trim().split(' ').map(Number);
    expect(parseUptime(bytes)).toEqual({ up, idle });
  });

  it('gives back any times', () => {
    fc.assert(
      fc.property(hundredths, hundredths, (up, idle) => {
        expect(parseUptime(Buffer.from(`${up.toFixed(2)} ${idle.toFixed(2)}\n`))).toEqual({ up, idle });
      }),
    );
  });

  it('throws a coded error on anything else', () => {
    expect(() => parseUptime(Buffer.from('up'))).toThrow(expect.objectContaining({ code: 'PROCFS_FORMAT' }));
  });
});
