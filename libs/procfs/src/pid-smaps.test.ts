import { readdirSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fixture, fixtureRoot } from './fixtures.oracle.js';
import { fillFromSmaps } from './pid-smaps-rollup.js';
import { parseSmaps, yarnResidentBytes, type Mapping } from './pid-smaps.js';
import { createRows, ROW } from './process-row.js';
import { splitSmaps, sumKib } from './split.oracle.js';

const captured = readdirSync(fixtureRoot('6.18'))
  .filter((name) => /^\d+$/.test(name))
  .map((pid) => {
    try {
      return { pid, smaps: fixture('6.18', `${pid}/smaps`), rollup: fixture('6.18', `${pid}/smaps_rollup`) };
    } catch {
      return undefined;
    }
  })
  .filter((found) => found !== undefined);

/** Our name of each figure and the kernel's. */
const LABELS = {
  size: 'Size',
  rss: 'Rss',
  pss: 'Pss',
  pssDirty: 'Pss_Dirty',
  sharedClean: 'Shared_Clean',
  sharedDirty: 'Shared_Dirty',
  privateClean: 'Private_Clean',
  privateDirty: 'Private_Dirty',
  referenced: 'Referenced',
  anonymous: 'Anonymous',
  anonHugePages: 'AnonHugePages',
  swap: 'Swap',
  swapPss: 'SwapPss',
  kernelPageSize: 'KernelPageSize',
  mmuPageSize: 'MMUPageSize',
  locked: 'Locked',
} as const satisfies Partial<Record<keyof Mapping, string>>;

describe('parseSmaps', () => {
  it.each(captured)('agrees with a split of every field of every mapping of pid $pid', ({ smaps }) => {
    const split = splitSmaps(smaps.toString('latin1'));
    const mappings = parseSmaps(smaps);
    expect(mappings.length).toBe(split.length);
    expect(mappings.length).toBeGreaterThan(10);
    mappings.forEach((mapping, index) => {
      const expected = split[index]!;
      expect(`${mapping.start.toString(16).padStart(8, '0')}-${mapping.end.toString(16).padStart(8, '0')}`).toBe(
        expected.range,
      );
      expect(mapping.offset).toBe(BigInt(`0x${expected.offset}`));
      expect(mapping).toMatchObject({
        permissions: expected.permissions,
        device: expected.device,
        inode: Number(expected.inode),
        path: expected.path,
        flags: expected.flags,
      });
      for (const [name, label] of Object.entries(LABELS)) {
        expect(mapping[name as keyof typeof LABELS], label).toBe(expected.figures[label]! * 1024);
      }
    });
  });

  it('reads the mapping above 2^53 that every x86-64 process has', () => {
    const mapping = parseSmaps(captured[0]!.smaps).at(-1);
    expect(mapping).toMatchObject({ path: '[vsyscall]', start: 0xffffffffff600000n, permissions: '--xp' });
  });

  it('reads 2.6.18, which has no Pss', () => {
    const mappings = parseSmaps(fixture('2.6', '1/smaps'));
    expect(mappings.map(({ path }) => path)).toEqual(['[vdso]', '/sbin/init', '']);
    expect(mappings[1]).toEqual({
      start: 0x08048000n,
      end: 0x08050000n,
      permissions: 'r-xp',
      offset: 0n,
      device: 'fd:00',
      inode: 2523267,
      path: '/sbin/init',
      size: 32 * 1024,
      rss: 28 * 1024,
      sharedClean: 0,
      sharedDirty: 0,
      privateClean: 28 * 1024,
      privateDirty: 0,
    });
  });

  it('reads paths of any characters, and is not taken in by those that look like figures', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('a', ' ', ':', 'é', '\\', '5', 'P') }), (tail) => {
        const text = `00400000-00401000 r-xs 00001000 08:01 42   /${tail}\nRss:    4 kB\nPss: 2 kB\nNovel: x\n`;
        const [mapping] = parseSmaps(Buffer.from(text));
        return mapping?.path === `/${tail}` && mapping.rss === 4096 && mapping.inode === 42;
      }),
    );
  });

  it('gives nothing for a process without an address space, and a coded error for anything else', () => {
    expect(parseSmaps(Buffer.alloc(0))).toEqual([]);
    expect(() => parseSmaps(Buffer.from('Rss: 4 kB\n'))).toThrow(expect.objectContaining({ code: 'PROCFS_FORMAT' }));
    expect(() => parseSmaps(Buffer.from('1-2 rw 0 0 0\n'))).toThrow(expect.objectContaining({ code: 'PROCFS_FORMAT' }));
  });
});

describe('fillFromSmaps', () => {
  it.each(captured)('sums the mappings of pid $pid to what the kernel rolled up', ({ smaps, rollup }) => {
    const [summed, rolled] = [createRows(), createRows()];
    expect(fillFromSmaps(smaps, smaps.length, summed, 0)).toBe(true);
    expect(fillFromSmaps(rollup, rollup.length, rolled, 0)).toBe(true);
    expect(summed[ROW.dirty]).toBe(rolled[ROW.dirty]);
    expect(summed[ROW.uss]).toBe(rolled[ROW.uss]);
    // Each mapping's Pss is rounded down to a KiB.
    const mappings = splitSmaps(smaps.toString('latin1'));
    expect(rolled[ROW.pss]! - summed[ROW.pss]!).toBeGreaterThanOrEqual(0);
    expect(rolled[ROW.pss]! - summed[ROW.pss]!).toBeLessThan(mappings.length * 1024);
    expect(summed[ROW.pss]).toBe(sumKib(mappings, 'Pss'));
    expect(summed[ROW.uss]).toBe(sumKib(mappings, 'Private_Clean') + sumKib(mappings, 'Private_Dirty'));
    expect(summed[ROW.dirty]).toBe(sumKib(mappings, 'Shared_Dirty') + sumKib(mappings, 'Private_Dirty'));
  });

  it('gives what the rollup of 5.10 says, and leaves Pss unknown on 2.6.18', () => {
    const row = createRows();
    const rollup = fixture('5.10', '812/smaps_rollup');
    expect(fillFromSmaps(rollup, rollup.length, row, 0)).toBe(true);
    expect([row[ROW.dirty], row[ROW.pss], row[ROW.uss]]).toEqual([163840 * 1024, 170123 * 1024, 168960 * 1024]);
    const old = fixture('2.6', '1/smaps');
    expect(fillFromSmaps(old, old.length, row, 0)).toBe(true);
    expect([row[ROW.dirty], row[ROW.pss], row[ROW.uss]]).toEqual([12 * 1024, Number.NaN, 36 * 1024]);
  });

  it('refuses a block without mappings, and leaves the row as it was', () => {
    const row = createRows().fill(-1);
    for (const text of ['', 'Rss: 5 kB\n', '0-1 ---p 0 0:0 0 [rollup]\n']) {
      expect(fillFromSmaps(Buffer.from(text), text.length, row, 0)).toBe(false);
    }
    expect(row.every((cell) => cell === -1)).toBe(true);
  });
});

describe('yarnResidentBytes', () => {
  const mapping = (permissions: string, kib: Partial<Record<keyof Mapping, number>>): Mapping => {
    const bytes = Object.entries(kib).map(([name, value]) => [name, value * 1024]);
    const base = { start: 0n, end: 0n, permissions, offset: 0n, device: '00:00', inode: 0, path: '' };
    return Object.assign(base, Object.fromEntries(bytes)) as Mapping;
  };

  it('counts to the KiB: the smaller of shared dirty and Pss, and all that is private', () => {
    expect(yarnResidentBytes([mapping('rw-p', { sharedDirty: 10, pss: 7, privateDirty: 3, privateClean: 2 })])).toBe(
      12 * 1024,
    );
    expect(yarnResidentBytes([mapping('rw-s', { sharedDirty: 5, pss: 7, privateDirty: 0, privateClean: 1 })])).toBe(
      6 * 1024,
    );
  });

  it('leaves out what is shared and read-only, and nothing that is like it', () => {
    const figures = { sharedDirty: 4, pss: 4, privateDirty: 4, privateClean: 4 };
    const counted = (permissions: string): number => yarnResidentBytes([mapping(permissions, figures)]);
    expect([counted('r--s'), counted('r-xs')]).toEqual([0, 0]);
    for (const permissions of ['r--p', 'r-xp', 'rw-s', 'rw-p', '---p', '--xp']) {
      expect(counted(permissions), permissions).toBe(12 * 1024);
    }
  });

  it('agrees with a sum over a split of a captured process', () => {
    for (const { smaps } of captured) {
      const expected = splitSmaps(smaps.toString('latin1'))
        .filter(({ permissions }) => !['r--s', 'r-xs'].includes(permissions))
        .reduce((sum, { figures: f }) => {
          return sum + Math.min(f['Shared_Dirty']!, f['Pss']!) + f['Private_Dirty']! + f['Private_Clean']!;
        }, 0);
      expect(yarnResidentBytes(parseSmaps(smaps))).toBe(expected * 1024);
      expect(expected).toBeGreaterThan(0);
    }
  });
});
