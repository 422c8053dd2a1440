import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createProcfs } from '@tidemark/procfs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Check } from './check.js';
import { kernelChecks } from './kernel-checks.js';
import { processChecks } from './process-checks.js';
import { nodeVersion, serviceChecks, type ServiceNeeds } from './service-checks.js';
import { traceChecks } from './trace-checks.js';

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'tidemark-doctor-'));
});

afterEach(() => {
  rmSync(root, { recursive: true });
});

/** A proc file system of a well-equipped host, with these files in place of its own; undefined leaves one out. */
function captured(over: Record<string, string | undefined> = {}): ReturnType<typeof createProcfs> {
  const files: Record<string, string | undefined> = {
    stat: 'cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1 2 3 4 5 6 7 8 9 10\nctxt 1\nbtime 1700000000\nprocesses 3\n',
    meminfo:
      'MemTotal: 8388608 kB\nMemFree: 4194304 kB\nMemAvailable: 6291456 kB\nSwapTotal: 2097152 kB\nSwapFree: 1048576 kB\n',
    'pressure/memory':
      'some avg10=0.00 avg60=0.00 avg300=0.00 total=0\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n',
    'sys/kernel/osrelease': '6.1.0-13-amd64\n',
    'sys/kernel/hostname': 'host\n',
    'self/mountinfo': '22 27 0:21 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n23 27 0:22 / /proc rw - proc proc rw\n',
    'self/limits':
      'Limit                     Soft Limit           Hard Limit           Units     \nMax open files            1024                 4096                 files     \n',
    'self/status': 'Name:\tx\nCapEff:\t0000000000000000\n',
    filesystems: 'nodev\ttracefs\n',
    'sys-root/fs/cgroup/cgroup.controllers': 'cpu memory pids\n',
    'sys-root/kernel/tracing/uprobe_events': '',
    '1/stat': '1 (init) S 0 1 1 0 -1 4194560 1 1 1 1 1 1 1 1 20 0 1 0 1 1 1\n',
    '1/smaps_rollup': '00400000-7fff rollup\nRss: 4 kB\n',
    [`${process.pid}/smaps_rollup`]: '00400000-7fff rollup\nRss: 4 kB\n',
    ...over,
  };
  for (const [name, content] of Object.entries(files)) {
    if (content === undefined) continue;
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), content);
  }
  mkdirSync(join(root, 'self/ns'), { recursive: true });
  symlinkSync(over['namespace'] ?? 'pid:[4026531836]', join(root, 'self/ns/pid'));
  return createProcfs({ root, sys: join(root, 'sys-root') });
}

function named(checks: readonly Check[], name: string): Check {
  const check = checks.find((one) => one.name === name);
  if (!check) throw new Error(`no check ${name} among ${checks.map((one) => one.name).join(', ')}`);
  return check;
}

describe('the kernel checks', () => {
  it('find nothing wrong with a well-equipped host', () => {
    const checks = kernelChecks(captured());
    expect(checks.filter(({ status }) => status !== 'ok')).toEqual([]);
    expect(named(checks, 'memory').detail).toBe('6.00 GiB of 8.00 GiB available');
    expect(named(checks, 'swap').detail).toBe('1.00 GiB of 2.00 GiB used');
    expect(named(checks, 'cgroup').detail).toContain('version 2');
  });

  it('call for a proc file system where there is none', () => {
    const checks = kernelChecks(createProcfs({ root: join(root, 'nowhere') }));
    expect(checks).toHaveLength(1);
    expect(checks[0]).toMatchObject({ name: 'proc', status: 'missing' });
  });

  it.each([
    ['3.10.0-1160.el7.x86_64', 'limited', 'smaps_rollup (4.14)'],
    ['4.18.0-553.el8', 'limited', 'pressure (4.20)'],
    ['4.20.0', 'ok', 'Linux 4.20.0'],
    ['10.1.0', 'ok', 'Linux 10.1.0'],
    ['not a version', 'limited', 'cannot be read'],
  ])('judge kernel %s as %s', (release, status, text) => {
    const check = named(kernelChecks(captured({ 'sys/kernel/osrelease': release })), 'kernel');
    expect(check.status).toBe(status);
    expect(check.detail).toContain(text);
  });

  it('say what is not known where a file is not there, and what to do', () => {
    const checks = kernelChecks(
      captured({
        'pressure/memory': undefined,
        'self/mountinfo': '',
        'sys-root/kernel/tracing/uprobe_events': undefined,
      }),
    );
    expect(named(checks, 'pressure')).toMatchObject({ status: 'limited', advice: 'boot with psi=1' });
    expect(named(checks, 'cgroup').status).toBe('limited');
    expect(named(checks, 'uprobes').advice).toContain('mount -t tracefs');
  });

  it('see that version 2 of control groups has no memory controller', () => {
    const checks = kernelChecks(captured({ 'sys-root/fs/cgroup/cgroup.controllers': 'cpu pids\n' }));
    expect(named(checks, 'cgroup').detail).toContain('without its memory controller');
  });

  it('see that memory is short', () => {
    const meminfo = 'MemTotal: 524288 kB\nMemFree: 1024 kB\nMemAvailable: 102400 kB\n';
    const checks = kernelChecks(captured({ meminfo }));
    expect(named(checks, 'memory')).toMatchObject({ status: 'limited' });
    expect(named(checks, 'swap').status).toBe('limited');
  });

  it('agree with uname on this host', () => {
    const kernel = named(kernelChecks(createProcfs()), 'kernel');
    expect(kernel.detail).toContain(execFileSync('uname', ['-r'], { encoding: 'utf8' }).trim());
  });
});

describe('the process checks', () => {
  it('find nothing wrong with a well-equipped host', () => {
    expect(processChecks(captured()).filter(({ status }) => status !== 'ok')).toEqual([]);
  });

  it('tell a container from a host', () => {
    const check = named(processChecks(captured({ namespace: 'pid:[4026532201]' })), 'namespace');
    expect(check).toMatchObject({ status: 'limited' });
    expect(check.advice).toContain('--pid=host');
  });

  it('tell that processes are hidden', () => {
    const hidden = '23 27 0:22 / PROC rw - proc proc rw,hidepid=invisible\n'.replace('PROC', root);
    const check = named(processChecks(captured({ 'self/mountinfo': hidden, '1/stat': undefined })), 'processes');
    expect(check).toMatchObject({ status: 'limited' });
    expect(check.detail).toContain('hidepid=invisible');
  });

  it('tell that the kernel has no smaps_rollup', () => {
    const check = named(processChecks(captured({ [`${process.pid}/smaps_rollup`]: undefined })), 'smaps_rollup');
    expect(check.detail).toContain('before 4.14');
  });

  it('tell that too few files may be open for so many processes', () => {
    const pids = Object.fromEntries(Array.from({ length: 300 }, (_, index) => [`${1000 + index}/comm`, 'x\n']));
    const check = named(processChecks(captured(pids)), 'open files');
    expect(check).toMatchObject({ status: 'limited' });
    expect(check.advice).toMatch(/^raise it: ulimit -n \d+$/);
  });

  it('count the processes that this host shows', () => {
    const count = Number(
      /^([\d ]+) processes/.exec(named(processChecks(createProcfs()), 'processes').detail)?.[1]?.replace(/ /g, ''),
    );
    const oracle = execFileSync('ps', ['-e', '--no-headers', '-o', 'pid'], { encoding: 'utf8' })
      .trim()
      .split('\n').length;
    // Processes come and go between the two.
    expect(Math.abs(count - oracle)).toBeLessThan(50);
  });
});

describe('the trace checks', () => {
  it('tell that the tracing library was not built', () => {
    const check = named(traceChecks({ path: '', library: join(root, 'no.so') }), 'tracing library');
    expect(check).toMatchObject({ status: 'limited', advice: 'install gcc and make, then run npm run setup' });
  });

  it('find the best symbolizer of the path', () => {
    mkdirSync(join(root, 'tools'));
    for (const program of ['addr2line', 'llvm-symbolizer-14']) {
      writeFileSync(join(root, 'tools', program), '');
      chmodSync(join(root, 'tools', program), 0o755);
    }
    const check = named(traceChecks({ path: `/nowhere:${join(root, 'tools')}` }), 'symbols');
    expect(check).toMatchObject({ status: 'ok', detail: 'functions, files and lines by llvm-symbolizer-14' });
    expect(named(traceChecks({ path: '/nowhere' }), 'symbols').status).toBe('limited');
  });
});

describe('the service checks', () => {
  let server: Server | undefined;

  afterEach(async () => {
    if (server) await new Promise((resolve) => server?.close(resolve));
    server = undefined;
  });

  async function taken(body: string): Promise<number> {
    server = createServer((_, response) => response.end(body));
    await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
    return (server.address() as AddressInfo).port;
  }

  const check = (over: Partial<ServiceNeeds>): Promise<Check[]> =>
    serviceChecks({ apiPort: 0, historyPort: 0, dataDirectory: root, path: '', ...over });

  it('load the engine of the embedded history', async () => {
    expect(named(await check({}), 'history')).toMatchObject({ status: 'ok' });
  });

  it('name a port that another program has', async () => {
    const port = await taken('hello');
    expect(named(await check({ apiPort: port }), 'API port')).toMatchObject({
      status: 'limited',
      detail: `127.0.0.1:${port} is taken by another program`,
      advice: 'stop it, or take another: tidemark up --port N',
    });
  });

  it('know a Tidemark that has the port', async () => {
    const port = await taken('{"live":true,"ready":true,"parts":{}}');
    expect(named(await check({ apiPort: port }), 'API port').status).toBe('ok');
  });

  it('look at the nearest directory that is there', async () => {
    const disk = named(await check({ dataDirectory: join(root, 'a/b/c') }), 'disk');
    expect(disk.detail).toContain(join(root, 'a/b/c'));
    expect(disk.status).not.toBe('missing');
  });

  it('call a place missing that cannot be written', async () => {
    writeFileSync(join(root, 'file'), '');
    const disk = named(await check({ dataDirectory: join(root, 'file/below') }), 'disk');
    expect(disk).toMatchObject({ status: 'missing' });
    expect(disk.advice).toContain('--data');
  });

  it('find programs by the path, and do not want those that later parts need', async () => {
    mkdirSync(join(root, 'bin'));
    writeFileSync(join(root, 'bin/docker'), '');
    chmodSync(join(root, 'bin/docker'), 0o755);
    const checks = await check({ path: `${join(root, 'bin')}:/nowhere` });
    expect(named(checks, 'docker')).toMatchObject({ status: 'ok', detail: join(root, 'bin/docker') });
    expect(named(checks, 'java')).toMatchObject({ status: 'ok' });
    expect(named(checks, 'java').detail).toContain('not installed');
  });

  it.each([
    ['18.20.0', 'missing'],
    ['20.18.3', 'missing'],
    ['20.19.0', 'ok'],
    ['24.1.0', 'ok'],
  ])('judge Node %s as %s', (version, status) => {
    expect(nodeVersion(version).status).toBe(status);
  });
});
