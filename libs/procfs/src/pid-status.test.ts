import { readdirSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fixture, fixtureRoot, KERNELS, UNITS, type Kernel } from './fixtures.oracle.js';
import { parsePidStatm } from './pid-statm.js';
import { fillFromStatus, parsePidStatus } from './pid-status.js';
import { createRows, ROW, ROW_LENGTH } from './process-row.js';
import { splitFigures } from './split.oracle.js';

function fill(bytes: Buffer, length = bytes.length) {
  const row = createRows(3).fill(-1);
  const good = fillFromStatus(bytes, length, row, ROW_LENGTH);
  return { good, row, at: (name: keyof typeof ROW) => row[ROW_LENGTH + ROW[name]] };
}

function pids(kernel: Kernel): string[] {
  return readdirSync(fixtureRoot(kernel)).filter((name) => /^\d+$/.test(name));
}

const blocks = KERNELS.flatMap((kernel) =>
  pids(kernel).map((pid) => ({ kernel, pid, bytes: fixture(kernel, `${pid}/status`) })),
);
const living = blocks.filter(({ bytes }) => bytes.includes('VmSize'));
const without = blocks.filter(({ bytes }) => !bytes.includes('VmSize'));

describe('fillFromStatus', () => {
  it.each(living)('agrees with a split of the block of $kernel, pid $pid', ({ bytes }) => {
    const lines = splitFigures(bytes.toString('latin1'));
    const kib = (label: string): number => (lines[label] ?? Number.NaN) * 1024;
    const { good, at } = fill(bytes);
    expect(good).toBe(true);
    expect(at('vms')).toBe(kib('VmSize'));
    expect(at('rss')).toBe(kib('VmRSS'));
    expect(at('text')).toBe(kib('VmExe'));
    expect(at('data')).toBe(kib('VmData') + kib('VmStk'));
    expect(at('lib')).toBe(kib('VmLib'));
    expect(at('rssAnon')).toBe(kib('RssAnon'));
    expect(at('rssFile')).toBe(kib('RssFile'));
    expect(at('rssShmem')).toBe(kib('RssShmem'));
    expect(at('shared')).toBe(kib('RssFile') + kib('RssShmem'));
    expect(at('swap')).toBe(kib('VmSwap'));
    expect(at('pss')).toBe(-1);
  });

  it('gives the figures that statm gives', () => {
    for (const { bytes, pid } of living.filter(({ kernel }) => kernel === '6.18')) {
      const block = fixture('6.18', `${pid}/statm`);
      const statm = parsePidStatm(block, block.length, UNITS);
      const { at } = fill(bytes);
      expect({ vms: at('vms'), shared: at('shared'), data: at('data') }).toEqual({
        vms: statm.vms,
        shared: statm.shared,
        data: statm.data,
      });
    }
  });

  it.each(without)('knows that $kernel, pid $pid has no memory: zeros, not unknowns', ({ bytes, kernel, pid }) => {
    const { good, at } = fill(bytes);
    expect(good).toBe(true);
    for (const name of ['rss', 'rssAnon', 'swap', 'dirty', 'pss', 'uss', 'shared', 'lib'] as const) {
      expect(at(name)).toBe(0);
    }
    const statm = fixture(kernel, `${pid}/statm`);
    expect(Object.values(parsePidStatm(statm, statm.length, UNITS)).every((value) => value === 0)).toBe(true);
  });

  it('has a zombie and a kernel thread among the fixtures', () => {
    const states = without.map(({ bytes }) => parsePidStatus(bytes).state);
    expect(states).toContain('Z');
    expect(without.map(({ bytes }) => parsePidStatus(bytes).name)).toContain('kthreadd');
  });

  it('refuses a block that ends before the line after the memory lines, and leaves the row as it was', () => {
    const bytes = fixture('6.18', '1/status');
    const enough = bytes.indexOf('Threads:') + 'Threads:'.length;
    for (let length = 0; length < enough; length++) {
      const { good, row } = fill(bytes, length);
      expect(good).toBe(false);
      expect(row.every((cell) => cell === -1)).toBe(true);
    }
    expect(fill(bytes, enough).good).toBe(true);
  });

  it('is not taken in by a name that looks like a field', () => {
    const { at } = fill(Buffer.from('Name:\tVmRSS:\t 9 kB\nState:\tS\nVmSize:\t 8 kB\nVmRSS:\t 4 kB\nThreads:\t1\n'));
    expect(at('rss')).toBe(4096);
  });
});

describe('parsePidStatus', () => {
  it('gives every field of a process of 5.10', () => {
    const KIB = 1024;
    expect(parsePidStatus(fixture('5.10', '812/status'))).toEqual({
      name: 'web',
      state: 'S',
      tgid: 812,
      pid: 812,
      ppid: 1,
      uid: [33, 33, 33, 33],
      gid: [33, 33, 33, 33],
      namespacePids: [812, 7],
      threads: 17,
      vmPeak: 2097152 * KIB,
      vmSize: 1048576 * KIB,
      vmLocked: 4 * KIB,
      vmPinned: 8 * KIB,
      vmHighWater: 262144 * KIB,
      vmRss: 204800 * KIB,
      rssAnon: 153600 * KIB,
      rssFile: 40960 * KIB,
      rssShmem: 10240 * KIB,
      vmData: 307200 * KIB,
      vmStack: 132 * KIB,
      vmExecutable: 2048 * KIB,
      vmLibraries: 8192 * KIB,
      vmPageTables: 768 * KIB,
      vmSwap: 20480 * KIB,
      hugetlb: 4096 * KIB,
      voluntarySwitches: 150,
      involuntarySwitches: 545,
    });
  });

  it('gives what 2.6 and 2.4 have, and no more', () => {
    const old = parsePidStatus(fixture('2.6', '3021/status'));
    expect(old).toMatchObject({ name: 'a) (b c', state: 'R', uid: [500, 501, 502, 503], gid: [100, 101, 102, 103] });
    expect(old).not.toHaveProperty('rssAnon');
    expect(old).not.toHaveProperty('vmSwap');
    const older = parsePidStatus(fixture('2.4', '1/status'));
    expect(older).toMatchObject({ vmSize: 1372 * 1024, vmLibraries: 1296 * 1024 });
    expect(older).not.toHaveProperty('threads');
  });

  it('undoes the escapes of any name', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('\\', 'n', '\n', ' ', '(', ':', 'é'), minLength: 1 }), (name) => {
        const escaped = name.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
        const text = `Name:\t${escaped}\nState:\tS (sleeping)\nPid:\t3\nPPid:\t1\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\n`;
        const status = parsePidStatus(Buffer.from(text));
        return status.name === name && status.uid[3] === 4 && status.gid[0] === 5;
      }),
    );
  });

  it('gives the captured names as their stat files have them', () => {
    const names = pids('6.18').map((pid) => parsePidStatus(fixture('6.18', `${pid}/status`)).name);
    expect(names).toEqual(expect.arrayContaining(['a) (b c', 'x\ny\\z', 'sleep', 'kthreadd']));
  });
});
