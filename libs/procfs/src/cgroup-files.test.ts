import { readFileSync, readdirSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cgroupDirectory, memoryHierarchy } from './cgroup-hierarchy.js';
import { parseCgroupMemoryEvents } from './cgroup-memory-events.js';
import { parseCgroupMemoryStat } from './cgroup-memory-stat.js';
import { parseCgroupNumber } from './cgroup-number.js';
import { parseCgroupOomControl } from './cgroup-oom-control.js';
import { fixture, fixtureSys } from './fixtures.oracle.js';
import { parseMountinfo } from './mountinfo.js';
import { splitFigures } from './split.oracle.js';

const bytes = (text: string): Buffer => Buffer.from(text);
const web = (name: string): Buffer => readFileSync(`${fixtureSys('5.10')}/fs/cgroup/system.slice/web.service/${name}`);
const v1 = (name: string): Buffer => readFileSync(`${fixtureSys('6.18')}/fs/cgroup/memory/${name}`);
const malformed = expect.objectContaining({ code: 'PROCFS_FORMAT' });

describe('parseCgroupNumber', () => {
  it('gives back any size below 2^62', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 62n - 513n }), (value) => {
        return parseCgroupNumber(bytes(`${value}\n`)) === Number(value);
      }),
    );
  });

  it('knows every way to say "no limit"', () => {
    for (const text of ['max\n', '9223372036854771712\n', '9223372036854775807\n', '9223372036854710272\n']) {
      expect(parseCgroupNumber(bytes(text)), text).toBeUndefined();
    }
    expect(parseCgroupNumber(v1('memory.limit_in_bytes'))).toBeUndefined();
    expect(parseCgroupNumber(v1('memory.usage_in_bytes'))).toBe(Number(v1('memory.usage_in_bytes').toString()));
  });

  it('throws a coded error on anything else', () => {
    expect(() => parseCgroupNumber(bytes(''))).toThrow(malformed);
    expect(() => parseCgroupNumber(bytes('-1'))).toThrow(malformed);
  });
});

describe('parseCgroupMemoryStat', () => {
  it('gives v1 its totals, groups below included, as a split of the captured block does', () => {
    const lines = splitFigures(v1('memory.stat').toString());
    expect(parseCgroupMemoryStat(1, v1('memory.stat'))).toEqual({
      anon: lines['total_rss'],
      file: lines['total_cache'],
      shmem: lines['total_shmem'],
      ...(lines['total_swap'] === undefined ? {} : { swap: lines['total_swap'] }),
      activeAnon: lines['total_active_anon'],
      inactiveAnon: lines['total_inactive_anon'],
      activeFile: lines['total_active_file'],
      inactiveFile: lines['total_inactive_file'],
    });
    const limited = bytes('total_rss 5\nhierarchical_memory_limit 1048576\n');
    expect(parseCgroupMemoryStat(1, limited)).toEqual({ anon: 5, hierarchicalLimit: 1048576 });
  });

  it('reads v2', () => {
    expect(parseCgroupMemoryStat(2, web('memory.stat'))).toEqual({
      anon: 157286400,
      file: 83886080,
      shmem: 10485760,
      slab: 8000000,
      activeAnon: 7286400,
      inactiveAnon: 150000000,
      activeFile: 23886080,
      inactiveFile: 60000000,
    });
    expect(() => parseCgroupMemoryStat(2, v1('memory.stat'))).toThrow(malformed);
    expect(() => parseCgroupMemoryStat(1, web('memory.stat'))).toThrow(malformed);
  });
});

describe('the event files', () => {
  it('are read in both versions', () => {
    expect(parseCgroupMemoryEvents(web('memory.events'))).toEqual({ low: 0, high: 3, max: 41, oom: 2, oomKills: 1 });
    expect(parseCgroupOomControl(v1('memory.oom_control'))).toEqual({ killDisabled: 0, underOom: 0, oomKills: 0 });
    expect(parseCgroupOomControl(bytes('oom_kill_disable 1\nunder_oom 1\n'))).toEqual({ killDisabled: 1, underOom: 1 });
    expect(() => parseCgroupMemoryEvents(bytes('low 1\n'))).toThrow(malformed);
    expect(() => parseCgroupOomControl(bytes('max 1\n'))).toThrow(malformed);
  });
});

describe('memoryHierarchy', () => {
  const mounts = (lines: string[]) => parseMountinfo(bytes(lines.map((line) => `1 1 0:1 ${line}\n`).join('')));
  const V2 = '/ /sys/fs/cgroup rw - cgroup2 cgroup2 rw';
  const UNIFIED = '/ /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw';
  const V1 = '/ /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory';

  it('prefers the v1 memory controller on a hybrid host, which the captured one is', () => {
    expect(memoryHierarchy(mounts([V1, UNIFIED]))).toMatchObject({ version: 1, mountPoint: '/sys/fs/cgroup/memory' });
    expect(memoryHierarchy(parseMountinfo(fixture('6.18', 'self/mountinfo')), '/x')).toEqual({
      version: 1,
      mountPoint: '/x/fs/cgroup/memory',
      root: '/',
    });
  });

  it('takes v2 where that is all, and nothing where there is nothing', () => {
    expect(memoryHierarchy(mounts([V2]))).toEqual({ version: 2, mountPoint: '/sys/fs/cgroup', root: '/' });
    expect(memoryHierarchy(mounts(['/ /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu']))).toBeNull();
    expect(memoryHierarchy(mounts(['/ /cgroup rw - cgroup cgroup rw,memory,cpu']), '/x')?.mountPoint).toBe('/cgroup');
  });

  it('finds the directory of a group, also through the bind mount that a container has', () => {
    const whole = { version: 2, mountPoint: '/m', root: '/' } as const;
    const bound = { version: 2, mountPoint: '/m', root: '/docker/ab' } as const;
    expect(['/', '/a/b', '/../x'].map((path) => cgroupDirectory(whole, path))).toEqual(['/m', '/m/a/b', null]);
    expect(['/docker/ab', '/docker/ab/c', '/docker/abc', '/'].map((path) => cgroupDirectory(bound, path))).toEqual([
      '/m',
      '/m/c',
      null,
      null,
    ]);
  });

  it('is what the files of the captured tree lie below', () => {
    expect(readdirSync(`${fixtureSys('6.18')}/fs/cgroup/memory`)).toContain('memory.stat');
  });
});
