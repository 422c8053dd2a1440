import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fixture, KERNELS, UNITS } from './fixtures.oracle.js';
import { splitRows } from './split.oracle.js';
import { countersSection, parseSystemStat } from './stat.js';
import { parseVmstat } from './vmstat.js';

const parse = (bytes: Buffer) => parseSystemStat(bytes, bytes.length, UNITS);
const TIMES = ['user', 'nice', 'system', 'idle', 'iowait', 'irq', 'softirq', 'steal'] as const;

describe('parseSystemStat', () => {
  it.each(KERNELS)('agrees with a split of the block of %s', (kernel) => {
    const bytes = fixture(kernel, 'stat');
    const rows = splitRows(bytes.toString());
    const stat = parse(bytes);
    const cpus = rows.filter(([label]) => label?.startsWith('cpu'));
    expect(stat.cpus).toEqual(
      cpus.map(([name, ...ticks]) => ({
        name,
        ...Object.fromEntries(TIMES.slice(0, ticks.length).map((time, column) => [time, Number(ticks[column]) * 10])),
      })),
    );
    const first = (label: string): number | undefined => {
      const row = rows.find(([found]) => found === label);
      return row && Number(row[1]);
    };
    expect(stat.interrupts).toBe(first('intr'));
    expect(stat.contextSwitches).toBe(first('ctxt'));
    expect(stat.bootTime).toBe(first('btime'));
    expect(stat.processes).toBe(first('processes'));
    expect(stat.running).toBe(first('procs_running'));
    expect(stat.blocked).toBe(first('procs_blocked'));
  });

  it('reads the pages, swaps and disks that 2.4 has here, a wrapped 32-bit counter among them', () => {
    expect(parse(fixture('2.4', 'stat'))).toMatchObject({
      pagedIn: 5741,
      pagedOut: 1808,
      swappedIn: 7,
      swappedOut: 3,
      disks: [
        { name: '2,0', reads: 30, readSectors: 5764, writes: 1, writtenSectors: 2 },
        { name: '3,0', reads: 1700, readSectors: 72000, writes: 118, writtenSectors: 4294967290 },
      ],
    });
    expect(parse(fixture('5.10', 'stat')).disks).toBeUndefined();
  });

  it('reads 256 CPUs, gaps of unplugged ones included', () => {
    const cpu = fc.tuple(...TIMES.map(() => fc.nat(2 ** 40)), fc.nat(9), fc.nat(9));
    fc.assert(
      fc.property(fc.array(cpu, { minLength: 256, maxLength: 256 }), (cpus) => {
        const online = cpus.map((ticks, index) => ({ index: index * 2, ticks }));
        const lines = online.map(({ index, ticks }) => `cpu${index} ${ticks.join(' ')}\n`);
        const text = `cpu  ${cpus[0]!.join(' ')}\n${lines.join('')}intr 5 ${'0 '.repeat(2000)}\nctxt 9\n`;
        const stat = parse(Buffer.from(text));
        expect(stat.cpus.length).toBe(257);
        expect(stat.contextSwitches).toBe(9);
        expect(stat.cpus.at(-1)).toEqual({
          name: 'cpu510',
          ...Object.fromEntries(TIMES.map((time, column) => [time, cpus[255]![column]! * 10])),
        });
      }),
      { numRuns: 5 },
    );
  });

  it('rounds what a double cannot hold, and goes on', () => {
    const stat = parse(fixture('5.10', 'stat'));
    expect([stat.interrupts, stat.contextSwitches, stat.bootTime]).toEqual([9007199254740992, 2 ** 64, 1700000000]);
  });

  it('gives what stands before a cut', () => {
    const bytes = fixture('6.18', 'stat');
    const stat = parseSystemStat(bytes, bytes.indexOf('intr'), UNITS);
    expect(stat.cpus.length).toBeGreaterThan(1);
    expect(stat.interrupts).toBeUndefined();
    expect(() => parseSystemStat(bytes, 3, UNITS)).toThrow(expect.objectContaining({ code: 'PROCFS_FORMAT' }));
  });
});

describe('countersSection', () => {
  it('joins stat with vmstat', () => {
    const section = countersSection(parse(fixture('5.10', 'stat')), parseVmstat(fixture('5.10', 'vmstat')));
    expect(section).toEqual({
      bootTime: 1700000000,
      contextSwitches: 2 ** 64,
      interrupts: 9007199254740992,
      processes: 4711000,
      pagedIn: 81234567,
      pagedOut: 212345678,
      swappedIn: 2560,
      swappedOut: 28671,
      oomKills: 2,
    });
  });

  it('takes all from stat on 2.4', () => {
    expect(countersSection(parse(fixture('2.4', 'stat')), undefined)).toEqual({
      bootTime: 1062191376,
      contextSwitches: 1990473,
      interrupts: 1462898,
      processes: 2915,
      pagedIn: 5741,
      pagedOut: 1808,
      swappedIn: 7,
      swappedOut: 3,
    });
  });
});
