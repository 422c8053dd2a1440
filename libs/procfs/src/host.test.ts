import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { fixtureRoot, fixtureSys, type Kernel } from './fixtures.oracle.js';
import { readHost } from './host.js';
import { createProcfs } from './procfs.js';

const directories: string[] = [];

afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true });
});

const hostOf = (kernel: Kernel) => readHost(createProcfs({ root: fixtureRoot(kernel), sys: fixtureSys(kernel) }));

describe('readHost', () => {
  it('tells the facts of a host of today', () => {
    expect(hostOf('5.10')).toMatchObject({
      bootId: '11111111-2222-4333-8444-555555555555',
      hostname: 'web-1',
      kernel: '5.10.0-26-amd64',
      cpus: 3,
      bootedAt: 1700000000000,
      cgroups: { version: 2, root: '/' },
    });
  });

  it('names in a line each what an old kernel cannot tell', () => {
    const { limitations, cgroups, kernel } = hostOf('2.4');
    expect([kernel, cgroups]).toEqual(['2.4.20-8', null]);
    expect(limitations.join('\n')).toMatch(/smaps_rollup.*4\.14/);
    expect(limitations.join('\n')).toMatch(/memory pressure/);
    expect(limitations.join('\n')).toMatch(/control groups/);
  });

  it('says that a v2 hierarchy does not account memory', () => {
    const host = readHost(createProcfs({ root: fixtureRoot('5.10'), sys: '/nowhere' }));
    expect(host.limitations.join('\n')).toMatch(/control groups.*memory controller/);
    expect(hostOf('5.10').limitations.join('\n')).not.toMatch(/control groups/);
  });

  it('agrees with the operating system about this host', () => {
    const host = readHost(createProcfs());
    expect(host.hostname).toBe(hostname());
    expect(host.kernel).toBe(release());
    expect(host.bootId).toMatch(/^[0-9a-f-]{36}$/);
    expect(host.bootedAt).toBeLessThan(Date.now());
  });

  it('goes by the boot time where the kernel has no boot id', () => {
    const root = mkdtempSync(join(tmpdir(), 'host-'));
    directories.push(root);
    writeFileSync(join(root, 'stat'), 'cpu 1 2 3 4\ncpu0 1 2 3 4\nbtime 1234\n');
    expect(readHost(createProcfs({ root }))).toMatchObject({
      bootId: 'btime-1234',
      hostname: '',
      cpus: 1,
      cgroups: null,
    });
  });

  it('says how many processes may not be looked into when it runs as somebody else', () => {
    const root = process.geteuid?.() === 0;
    try {
      if (root) process.seteuid?.(65_534);
      expect(readHost(createProcfs()).limitations.join('\n')).toMatch(/pss, uss and dirty: [1-9]\d* of \d+ processes/);
    } finally {
      if (root) process.seteuid?.(0);
    }
  });

  it('throws a coded error that names the file when the root is no proc file system', () => {
    const root = mkdtempSync(join(tmpdir(), 'host-'));
    directories.push(root);
    const foreign = expect.objectContaining({ code: 'PROCFS_ROOT', message: expect.stringContaining(`${root}/stat`) });
    expect(() => readHost(createProcfs({ root }))).toThrow(foreign);
    writeFileSync(join(root, 'stat'), 'hello');
    expect(() => readHost(createProcfs({ root }))).toThrow(foreign);
  });
});
