import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { disksSection, parseDiskstats } from './diskstats.js';
import { fixture } from './fixtures.oracle.js';
import { splitRows } from './split.oracle.js';

const parse = (text: string) => parseDiskstats(Buffer.from(text));

/** Columns of a whole disk, as Documentation/admin-guide/iostats.rst numbers them (field 1 is the fourth). */
const FIELDS = [
  'reads',
  'readMerges',
  'readSectors',
  'readTime',
  'writes',
  'writeMerges',
  'writtenSectors',
  'writeTime',
  'inFlight',
  'ioTime',
  'weightedTime',
] as const;

describe('parseDiskstats', () => {
  it.each(['2.6', '5.10', '6.18'] as const)('agrees with a split of the whole disks of %s', (kernel) => {
    const bytes = fixture(kernel, 'diskstats');
    const rows = splitRows(bytes.toString());
    const disks = parseDiskstats(bytes);
    expect(disks.map(({ name }) => name)).toEqual(rows.map((row) => row[2]));
    rows.forEach((row, index) => {
      if (row.length === 7) return;
      const disk = disks[index]!;
      expect([disk.major, disk.minor]).toEqual([Number(row[0]), Number(row[1])]);
      FIELDS.forEach((field, column) => expect(disk[field], field).toBe(Number(row[column + 3])));
      expect(disk.discards).toBe(row[14] === undefined ? undefined : Number(row[14]));
      expect(disk.discardedSectors).toBe(row[16] === undefined ? undefined : Number(row[16]));
      expect(disk.flushes).toBe(row[18] === undefined ? undefined : Number(row[18]));
    });
  });

  it('reads partitions of four figures', () => {
    expect(parseDiskstats(fixture('2.6', 'diskstats'))[2]).toEqual({
      major: 8,
      minor: 1,
      name: 'sda1',
      reads: 220558,
      readSectors: 8020034,
      writes: 2290461,
      writtenSectors: 18351928,
    });
  });

  it('gives back any disks of any number of columns that a kernel has had', () => {
    const columns = fc
      .constantFrom(11, 15, 17, 19)
      .chain((length) => fc.array(fc.nat(), { minLength: length, maxLength: length }));
    fc.assert(
      fc.property(fc.array(columns, { minLength: 1 }), (rows) => {
        const disks = parse(rows.map((row, index) => `   8   ${index} sd${index} ${row.join(' ')}\n`).join(''));
        expect(disks.map((disk) => FIELDS.map((field) => disk[field]))).toEqual(rows.map((row) => row.slice(0, 11)));
      }),
    );
  });

  it('passes over a line of a number of columns that none has had, and refuses a block of nothing else', () => {
    expect(parse('8 0 sda 1 2 3 4 5 6 7 8 9 10 11\n8 1 sda1 1 2\n').map(({ name }) => name)).toEqual(['sda']);
    expect(() => parse('8 1 sda1 1 2\n')).toThrow(expect.objectContaining({ code: 'PROCFS_FORMAT' }));
    expect(parse('')).toEqual([]);
  });
});

describe('disksSection', () => {
  it('sends the devices that were ever used, and of them what the wire has', () => {
    expect(disksSection(parseDiskstats(fixture('5.10', 'diskstats')))).toEqual([
      {
        name: 'nvme0n1',
        reads: 1823764,
        readSectors: 98123456,
        writes: 4123456,
        writtenSectors: 312345678,
        inFlight: 1,
        ioTime: 3012345,
      },
      { name: 'nvme0n1p1', reads: 120, readSectors: 9216, writes: 0, writtenSectors: 0, inFlight: 0, ioTime: 48 },
      {
        name: 'dm-0',
        reads: 1900000,
        readSectors: 98100000,
        writes: 6100000,
        writtenSectors: 312300000,
        inFlight: 0,
        ioTime: 3100000,
      },
    ]);
    const old = disksSection(parseDiskstats(fixture('2.6', 'diskstats')));
    expect(old.map(({ name }) => name)).toEqual(['sda', 'sda1', 'cciss/c0d0']);
    expect(old[1]).not.toHaveProperty('ioTime');
  });
});
