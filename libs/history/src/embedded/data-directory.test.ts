import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makePipes, openDataDirectory } from './data-directory.js';
import { lockDirectory, type LockSystem } from './directory-lock.js';

let root = '';
beforeEach(() => (root = mkdtempSync(join(tmpdir(), 'tidemark-directory-'))));
afterEach(() => rmSync(root, { recursive: true, force: true }));

const open = (engineVersion = '26.7.3') =>
  openDataDirectory({ directory: join(root, 'd'), engineVersion, lockWaitMs: 0 });

describe('a data directory', () => {
  it('is made for its owner alone, with passwords that stay', async () => {
    const first = await open();
    expect(statSync(join(root, 'd')).mode & 0o777).toBe(0o700);
    expect(statSync(join(root, 'd', 'users.json')).mode & 0o777).toBe(0o600);
    expect(first.users.admin.password.length).toBeGreaterThanOrEqual(32);
    expect(first.users.admin.password).not.toBe(first.users.reader.password);
    writeFileSync(join(first.run, 'left over'), 'x');
    first.release();
    const second = await open();
    expect(second.users).toEqual(first.users);
    expect(() => statSync(join(second.run, 'left over'))).toThrow();
    second.release();
  });

  it('has one holder at a time, who is named', async () => {
    const holder = await open();
    await expect(open()).rejects.toMatchObject({
      code: 'DIRECTORY_IN_USE',
      message: expect.stringContaining(`in use by process ${process.pid}, since 20`) as string,
    });
    holder.release();
    (await open()).release();
  });

  it('of another engine release is refused in one line, of another patch of it taken', async () => {
    (await open('26.7.3')).release();
    for (const version of ['26.8.1', '26.6.9', '27.7.3']) {
      const error = await open(version).catch((reason: unknown) => reason);
      expect(error).toMatchObject({ code: 'DIRECTORY_OF_OTHER_VERSION' });
      expect(String(error)).toMatch(/engine 26\.7\.3.*needs layout 1, engine 2\d\.\d/);
      expect(String(error)).not.toContain('\n');
    }
    (await open('26.7.9')).release();
    expect(readFileSync(join(root, 'd', 'VERSION'), 'utf8')).toContain('26.7.9');
    writeFileSync(join(root, 'd', 'VERSION'), 'tidemark-history 2\nengine 26.7.3\n');
    await expect(open()).rejects.toMatchObject({ code: 'DIRECTORY_OF_OTHER_VERSION' });
  });

  it('that somebody else made is left alone', async () => {
    mkdirSync(join(root, 'd', 'data'), { recursive: true });
    await expect(open()).rejects.toMatchObject({ code: 'DIRECTORY_NOT_OURS' });
  });

  it('that cannot be made is named with the reason', async () => {
    writeFileSync(join(root, 'd'), 'a file');
    await expect(open()).rejects.toMatchObject({
      code: 'DIRECTORY_UNUSABLE',
      message: expect.stringContaining(root) as string,
    });
  });

  it('with unreadable passwords says which file to remove', async () => {
    (await open()).release();
    writeFileSync(join(root, 'd', 'users.json'), '{"admin":1}');
    await expect(open()).rejects.toMatchObject({
      code: 'DIRECTORY_UNUSABLE',
      message: expect.stringContaining('users.json') as string,
    });
  });

  it('offers named pipes', async () => {
    const directory = await open();
    const names = makePipes(directory.run, 3);
    expect(names.map((name) => statSync(join(directory.run, name)).isFIFO())).toEqual([true, true, true]);
    directory.release();
  });
});

describe('the lock where there is no flock program', () => {
  const processes = new Map<number, string>();
  const system: LockSystem = {
    lockFile: () => null,
    startTicks: (pid) => processes.get(pid) ?? null,
    bootId: () => 'this boot',
  };
  const lock = () => lockDirectory(root, join(root, 'lock'), 0, system);
  const heldBy = (holder: object) => writeFileSync(join(root, 'lock'), JSON.stringify({ since: 'then', ...holder }));

  beforeEach(() => {
    processes.clear();
    processes.set(process.pid, '100');
  });

  it('holds against a living process', async () => {
    processes.set(4242, '77');
    heldBy({ pid: 4242, startTicks: '77', bootId: 'this boot' });
    await expect(lock()).rejects.toMatchObject({
      code: 'DIRECTORY_IN_USE',
      message: expect.stringContaining('process 4242') as string,
    });
  });

  it.each([
    ['is dead', { pid: 4243, startTicks: '77', bootId: 'this boot' }],
    ['had the pid that another one has now', { pid: 4242, startTicks: '76', bootId: 'this boot' }],
    ['ran before the machine was started', { pid: 4242, startTicks: '77', bootId: 'last boot' }],
  ])('is taken over from a process that %s', async (_, holder) => {
    processes.set(4242, '77');
    heldBy(holder);
    (await lock()).release();
    expect(JSON.parse(readFileSync(join(root, 'lock'), 'utf8'))).toMatchObject({ pid: process.pid, startTicks: '100' });
  });

  it('is taken over when the file says nothing', async () => {
    writeFileSync(join(root, 'lock'), 'garbage');
    (await lock()).release();
  });
});
