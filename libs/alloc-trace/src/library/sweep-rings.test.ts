import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createRingWriter } from '../ring/ring-writer.oracle.js';
import { watchProcess } from './process-watch.js';
import { sweepRings, sweepRunDirectories } from './sweep-rings.js';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync('/dev/shm/tidemark-test-');
});
afterEach(() => rmSync(folder, { recursive: true }));

function ring(name: string, pid: number, startTime: number): void {
  createRingWriter(join(folder, name), { pid, startTime }).close();
}

describe('sweeping a run directory', () => {
  it('removes files of processes that are gone, and no others', () => {
    const self = watchProcess('/proc', process.pid);
    self.close();
    ring(`${process.pid}.ring`, process.pid, self.startTime);
    ring('7.ring', process.pid, self.startTime + 1);
    writeFileSync(join(folder, '.8.ring.new'), '');
    writeFileSync(join(folder, 'notes.txt'), 'mine');
    expect(sweepRings(folder)).toEqual([]);
    const later = (): number => Date.now() + 120_000;
    expect(sweepRings(folder, { now: later }).sort()).toEqual(['.8.ring.new', '7.ring']);
    expect(existsSync(join(folder, `${process.pid}.ring`))).toBe(true);
    expect(existsSync(join(folder, 'notes.txt'))).toBe(true);
  });

  it('leaves what a process wrote lately, and does not mind a folder that is not there', () => {
    ring('7.ring', 1, 12_345);
    const old = new Date(Date.now() - 3_600_000);
    utimesSync(join(folder, '7.ring'), old, old);
    // The change of the inode itself is new.
    expect(sweepRings(folder)).toEqual([]);
    expect(sweepRings(join(folder, 'nowhere'))).toEqual([]);
  });

  it('looks into the run directories of all users, and follows no link', () => {
    for (const user of ['tidemark.0', 'tidemark.1000', 'other.1000', 'elsewhere']) mkdirSync(join(folder, user));
    symlinkSync(join(folder, 'elsewhere'), join(folder, 'tidemark.7'));
    for (const place of ['tidemark.0/7.ring', 'tidemark.1000/8.ring', 'other.1000/9.ring', 'elsewhere/9.ring']) {
      writeFileSync(join(folder, place), '');
    }
    expect(sweepRunDirectories(folder, { now: () => Date.now() + 120_000 }).sort()).toEqual([
      join(folder, 'tidemark.0/7.ring'),
      join(folder, 'tidemark.1000/8.ring'),
    ]);
    expect(existsSync(join(folder, 'elsewhere/9.ring'))).toBe(true);
  });
});
