import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TraceError } from '../errors.js';
import { makeRunDirectory } from './run-directory.js';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync('/dev/shm/tidemark-test-');
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('a run directory', () => {
  it('is of this user alone, in the first folder on tmpfs', () => {
    const made = makeRunDirectory(['/proc', '/no/such/folder', folder]);
    expect(made.startsWith(folder)).toBe(true);
    expect(statSync(made).mode & 0o777).toBe(0o700);
    expect(makeRunDirectory([folder])).not.toBe(made);
  });

  it('is refused with the folders that were tried when none is on tmpfs', () => {
    expect(() => makeRunDirectory(['/proc', '/no/such/folder'])).toThrow(TraceError);
    expect(() => makeRunDirectory(['/proc', '/no/such/folder'])).toThrow('/proc (not tmpfs), /no/such/folder (ENOENT)');
  });

  it('of a maker that was killed is removed by the next, unless a process in it still runs', () => {
    const { pid } = spawnSync('/bin/true');
    const [dead, used, other] = [`tidemark-trace-${pid}-aaaaaa`, `tidemark-trace-${pid}-bbbbbb`, `else-${pid}-c`];
    for (const name of [dead, used, other]) mkdirSync(join(folder, name));
    writeFileSync(join(folder, dead, `${pid}.ring`), '');
    writeFileSync(join(folder, used, `${process.pid}.ring`), '');
    const mine = makeRunDirectory([folder]);
    expect([dead, used, other].map((name) => existsSync(join(folder, name)))).toEqual([false, true, true]);
    makeRunDirectory([folder]);
    expect(existsSync(mine)).toBe(true);
  });
});
