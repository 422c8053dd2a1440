import type { Disk } from '@tidemark/contracts';
import { ByteScanner, utf8 } from './byte-scanner.js';
import { malformed } from './errors.js';

/**
 * One line of `/proc/diskstats` (since 2.6): counters since boot. Sectors are 512 bytes whatever the device's own,
 * times are milliseconds summed over requests. `inFlight` alone is a state, not a counter.
 */
export interface DiskStats extends Disk {
  /** Columns 1 and 2. */
  major: number;
  minor: number;
  /** Column 3. */
  name: string;
  /** Column 4: reads that completed. */
  reads: number;
  /** Column 5: reads merged into another. Absent for partitions before 2.6.25. */
  readMerges?: number;
  /** Column 6. */
  readSectors: number;
  /** Column 7. */
  readTime?: number;
  /** Column 8: writes that completed. */
  writes: number;
  /** Column 9. */
  writeMerges?: number;
  /** Column 10. */
  writtenSectors: number;
  /** Column 11. */
  writeTime?: number;
  /** Column 12: requests that the device has now. */
  inFlight?: number;
  /** Column 13: time in which the device had any. */
  ioTime?: number;
  /** Column 14: that time, each moment counted once per request. */
  weightedTime?: number;
  /** Columns 15 and 17 (since 4.18): discards that completed, sectors discarded. */
  discards?: number;
  discardedSectors?: number;
  /** Column 19 (since 5.5): flushes that completed. */
  flushes?: number;
}

/** Columns from the fourth on; null is read and dropped. */
const WHOLE = [
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
  'discards',
  null,
  'discardedSectors',
  null,
  'flushes',
] as const;

/** Partitions of 2.6.0 to 2.6.24 have these four alone. */
const PARTITION = ['reads', 'readSectors', 'writes', 'writtenSectors'] as const;

/** Fewer than the eleven of 2.6 cannot be a whole disk. */
const WHOLE_COLUMNS = 11;

const scanner = new ByteScanner();
const values = new Float64Array(WHOLE.length);

export function parseDiskstats(bytes: Uint8Array, length: number = bytes.length): DiskStats[] {
  scanner.reset(bytes, length);
  const disks: DiskStats[] = [];
  while (!scanner.done) {
    const disk = diskLine(bytes);
    if (disk) disks.push(disk);
    scanner.nextLine();
  }
  if (disks.length === 0 && length > 0) malformed('diskstats', 'lines "major minor name figures"', bytes, 0, length);
  return disks;
}

function diskLine(bytes: Uint8Array): DiskStats | undefined {
  const major = scanner.number();
  const minor = scanner.number();
  scanner.skipBlanks();
  const from = scanner.at;
  scanner.skipWord();
  const to = scanner.at;
  const count = figures();
  const columns = count >= WHOLE_COLUMNS ? WHOLE : count === PARTITION.length ? PARTITION : undefined;
  if (columns === undefined || Number.isNaN(major + minor)) return undefined;
  const disk = { major, minor, name: utf8(bytes, from, to) } as DiskStats;
  for (let column = 0; column < columns.length && column < count; column++) {
    const name = columns[column];
    if (name) disk[name] = values[column]!;
  }
  return disk;
}

function figures(): number {
  let count = 0;
  while (count < values.length) {
    const value = scanner.number();
    if (Number.isNaN(value)) break;
    values[count++] = value;
  }
  return count;
}

/** The node's disks section: devices that did any I/O since boot, so not the idle loop and ram devices. */
export function disksSection(disks: readonly DiskStats[]): Disk[] {
  const used: Disk[] = [];
  for (const { name, reads, readSectors, writes, writtenSectors, inFlight, ioTime } of disks) {
    if (reads === 0 && writes === 0) continue;
    const disk: Disk = { name, reads, readSectors, writes, writtenSectors };
    if (inFlight !== undefined) disk.inFlight = inFlight;
    if (ioTime !== undefined) disk.ioTime = ioTime;
    used.push(disk);
  }
  return used;
}
