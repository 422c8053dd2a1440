import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { createCgroupReader, type CgroupReader } from './cgroup-reader.js';
import { fixtureRoot, fixtureSys } from './fixtures.oracle.js';
import { readHost } from './host.js';
import { createReadBuffer, createReadTally } from './kept-file.js';
import { memoryCgroup, parsePidCgroup } from './pid-cgroup.js';
import { createProcfs } from './procfs.js';

const readers: CgroupReader[] = [];
const directories: string[] = [];

afterEach(() => {
  for (const reader of readers.splice(0)) reader.close();
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true });
});

function open(version: 1 | 2, mountPoint: string) {
  const tally = createReadTally();
  const reader = createCgroupReader({
    hierarchy: { version, mountPoint, root: '/' },
    buffer: createReadBuffer(),
    tally,
  });
  readers.push(reader);
  return { reader, tally };
}

function tree(files: Record<string, string>): string {
  const root = mkdtempSync(join(tmpdir(), 'cgroup-'));
  directories.push(root);
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(root, name, '..'), { recursive: true });
    writeFileSync(join(root, name), text);
  }
  return root;
}

describe('the reader of v2 groups', () => {
  it('gives a group’s memory, limited by the slice that it is in', () => {
    const { reader } = open(2, `${fixtureSys('5.10')}/fs/cgroup`);
    expect(reader.read('/system.slice/web.service')).toEqual({
      path: '/system.slice/web.service',
      usage: 268435456,
      limit: 4294967296,
      anon: 157286400,
      file: 83886080,
      swap: 20971520,
      limitHits: 41,
      oomKills: 1,
    });
  });

  it('has nothing of the root, of a group that is not there, and of one outside the mount', () => {
    const { reader } = open(2, `${fixtureSys('5.10')}/fs/cgroup`);
    expect(['/', '/no.slice', '/../up'].map((path) => reader.read(path))).toEqual([null, null, null]);
  });

  it('opens each file once, and does not read memory.stat while the usage stays', () => {
    const { reader, tally } = open(2, `${fixtureSys('5.10')}/fs/cgroup`);
    const first = reader.read('/system.slice/web.service');
    const { opens, reads } = tally;
    expect(reader.read('/system.slice/web.service')).toEqual(first);
    expect(tally.opens).toBe(opens + 0);
    expect(tally.reads - reads).toBeLessThan(reads);
  });

  it('finds a group that was removed and made again', () => {
    const root = tree({ 'a/memory.current': '5\n', 'a/memory.stat': 'anon 3\nfile 2\n' });
    const { reader } = open(2, root);
    expect(reader.read('/a')).toEqual({ path: '/a', usage: 5, anon: 3, file: 2 });
    reader.keepOnly([]);
    rmSync(join(root, 'a'), { recursive: true });
    expect(reader.read('/a')).toBeNull();
    mkdirSync(join(root, 'a'));
    writeFileSync(join(root, 'a/memory.current'), '6\n');
    expect(reader.read('/a')).toEqual({ path: '/a', usage: 6 });
  });

  it('keeps what is wanted open, with what is above it', () => {
    const { reader, tally } = open(2, `${fixtureSys('5.10')}/fs/cgroup`);
    reader.read('/system.slice/web.service');
    reader.keepOnly(['/system.slice/web.service']);
    const { opens } = tally;
    reader.read('/system.slice/web.service');
    expect(tally.opens).toBe(opens);
    reader.keepOnly([]);
    reader.read('/system.slice/web.service');
    expect(tally.opens).toBeGreaterThan(opens);
  });
});

describe('the reader of v1 groups', () => {
  it('gives the same figures under the same names', () => {
    const root = tree({
      'job/memory.usage_in_bytes': '1000000\n',
      'job/memory.limit_in_bytes': '9223372036854771712\n',
      'job/memory.stat':
        'cache 1\nrss 2\nhierarchical_memory_limit 5000000\ntotal_cache 300000\ntotal_rss 600000\ntotal_swap 7\n',
      'job/memory.failcnt': '12\n',
      'job/memory.oom_control': 'oom_kill_disable 0\nunder_oom 0\noom_kill 3\n',
    });
    expect(open(1, root).reader.read('/job')).toEqual({
      path: '/job',
      usage: 1000000,
      limit: 5000000,
      anon: 600000,
      file: 300000,
      swap: 7,
      limitHits: 12,
      oomKills: 3,
    });
  });

  it('gives what is there when some files are not, or are nonsense', () => {
    const root = tree({ 'a/memory.usage_in_bytes': '9\n', 'a/memory.stat': 'nonsense', 'a/memory.failcnt': '' });
    const { reader } = open(1, root);
    expect(reader.read('/a')).toEqual({ path: '/a', usage: 9 });
    writeFileSync(join(root, 'a/memory.usage_in_bytes'), 'much\n');
    expect(reader.read('/a')).toBeNull();
  });

  it('agrees with the files of the captured group that the processes are in', () => {
    const procfs = createProcfs({ root: fixtureRoot('6.18'), sys: fixtureSys('6.18') });
    const hierarchy = readHost(procfs).cgroups!;
    const pids: number[] = [];
    procfs.listPids(pids);
    const path = pids
      .map((pid) => memoryCgroup(parsePidCgroup(Buffer.from(procfs.readText(`${pid}/cgroup`)!)))?.path)
      .find((found) => found && found !== '/')!;
    const reader = createCgroupReader({ hierarchy, buffer: procfs.buffer, tally: procfs.tally });
    readers.push(reader);
    const text = (name: string): string => readFileSync(`${hierarchy.mountPoint}${path}/${name}`, 'utf8');
    expect(reader.read(path)).toMatchObject({
      path,
      usage: Number(text('memory.usage_in_bytes')),
      anon: Number(/^total_rss (\d+)$/m.exec(text('memory.stat'))?.[1]),
      limitHits: Number(text('memory.failcnt')),
    });
  });
});
