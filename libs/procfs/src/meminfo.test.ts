import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fixture, KERNELS } from './fixtures.oracle.js';
import { memorySection, parseMeminfo, type Meminfo } from './meminfo.js';
import { splitFigures } from './split.oracle.js';

const KIB = 1024;
const parse = (text: string) => parseMeminfo(Buffer.from(text));

/** Ours and the kernel's name of all fourteen of the mission, and some more. */
const LABELS = {
  active: 'Active',
  inactive: 'Inactive',
  buffers: 'Buffers',
  cached: 'Cached',
  free: 'MemFree',
  highTotal: 'HighTotal',
  highFree: 'HighFree',
  lowTotal: 'LowTotal',
  lowFree: 'LowFree',
  shmem: 'Shmem',
  swapTotal: 'SwapTotal',
  swapCached: 'SwapCached',
  swapFree: 'SwapFree',
  total: 'MemTotal',
  available: 'MemAvailable',
  memShared: 'MemShared',
  dirty: 'Dirty',
  anonymous: 'AnonPages',
  slabReclaimable: 'SReclaimable',
  committed: 'Committed_AS',
} as const satisfies Partial<Record<keyof Meminfo, string>>;

describe('parseMeminfo', () => {
  it.each(KERNELS)('agrees with a split of the block of %s, absent fields included', (kernel) => {
    const bytes = fixture(kernel, 'meminfo');
    const lines = splitFigures(bytes.toString());
    const meminfo = parseMeminfo(bytes);
    for (const [name, label] of Object.entries(LABELS)) {
      const kib = lines[label];
      expect(meminfo[name as keyof Meminfo], label).toBe(kib === undefined ? undefined : kib * KIB);
    }
  });

  it('gives back any figures in any order, among lines that it does not know', () => {
    const kib = fc.nat(2 ** 31 - 1);
    fc.assert(
      fc.property(fc.shuffledSubarray(Object.entries(LABELS)), fc.func(kib), (subset, figure) => {
        const wanted = new Map([...subset, ['total', 'MemTotal'], ['free', 'MemFree']] as [string, string][]);
        const lines = [...wanted.values()].map((label) => `${label}:  ${figure(label)} kB\nNew${label}: 7 kB\n`);
        const expected = Object.fromEntries([...wanted].map(([name, label]) => [name, figure(label) * KIB]));
        expect(parse(lines.join(''))).toEqual(expected);
      }),
    );
  });

  it('throws a coded error when the two that every kernel has are missing', () => {
    expect(() => parse('MemFree: 5 kB\n')).toThrow(expect.objectContaining({ code: 'PROCFS_FORMAT' }));
  });
});

describe('memorySection', () => {
  it('gives the nine figures of a modern kernel', () => {
    expect(memorySection(parseMeminfo(fixture('5.10', 'meminfo')))).toEqual({
      total: 8133940 * KIB,
      available: 5120432 * KIB,
      used: (8133940 - 5120432) * KIB,
      free: 513848 * KIB,
      active: 2621440 * KIB,
      inactive: 4194304 * KIB,
      buffers: 301204 * KIB,
      cached: 4402116 * KIB,
      shared: 204800 * KIB,
      swapTotal: 2097148 * KIB,
      swapFree: 1992704 * KIB,
      swapCached: 10240 * KIB,
    });
  });

  it('estimates what is available where the kernel does not, never above the total', () => {
    const old = memorySection(parseMeminfo(fixture('2.4', 'meminfo')));
    expect(old).toMatchObject({ available: (11084 + 76128 + 225328) * KIB, lowTotal: 515156 * KIB, shared: 0 });
    expect(memorySection(parseMeminfo(fixture('2.6', 'meminfo')))).not.toHaveProperty('shared');
    const odd = memorySection(parse('MemTotal: 10 kB\nMemFree: 8 kB\nCached: 8 kB\n'));
    expect([odd.available, odd.used]).toEqual([10 * KIB, 0]);
  });
});
