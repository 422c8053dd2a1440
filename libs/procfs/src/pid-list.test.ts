import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { listPids } from './pid-list.js';

const directories: string[] = [];

afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true });
});

describe('listPids', () => {
  it('takes directories named by numbers and nothing else', () => {
    const root = mkdtempSync(join(tmpdir(), 'pid-list-'));
    directories.push(root);
    for (const name of ['1', '42', '4194304', '0', 'self', '12a', '-3', 'sys', '99999999999', '1e3']) {
      mkdirSync(join(root, name));
    }
    const pids: number[] = [7, 7, 7, 7, 7, 7];
    expect(listPids(root, pids)).toBe(3);
    expect(pids.sort((a, b) => a - b)).toEqual([1, 42, 4194304]);
  });

  it('finds this process and its parent on the live kernel, and each once', () => {
    const pids: number[] = [];
    listPids('/proc', pids);
    expect(pids).toEqual(expect.arrayContaining([process.pid, process.ppid]));
    expect(new Set(pids).size).toBe(pids.length);
  });

  it('throws a coded error that names a root that is not there', () => {
    expect(() => listPids('/nowhere/proc', [])).toThrow(
      expect.objectContaining({ code: 'PROCFS_ROOT', message: expect.stringContaining('/nowhere/proc') }),
    );
  });
});
