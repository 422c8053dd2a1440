import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { fixtureRoot, UNITS } from './fixtures.oracle.js';
import { readProcessFacts, startedAt } from './process-facts.js';
import { createProcfs } from './procfs.js';

const facts = (kernel: '2.4' | '2.6' | '5.10', pid: number) =>
  readProcessFacts(createProcfs({ root: fixtureRoot(kernel) }), pid);

describe('readProcessFacts', () => {
  it('tells a service of 5.10', () => {
    expect(facts('5.10', 812)).toEqual({
      program: 'web',
      name: 'web',
      commandLine: '/usr/bin/web --port 8080',
      uid: 33,
      gid: 33,
      cgroup: '/system.slice/web.service',
      unitCgroup: '/system.slice/web.service',
    });
  });

  it('tells a kernel thread and a zombie, which have neither executable nor arguments', () => {
    expect(facts('5.10', 2)).toMatchObject({ program: 'kthreadd', commandLine: null, cgroup: '/' });
    expect(facts('5.10', 900)).toMatchObject({ program: 'web worker', commandLine: null, uid: 33 });
  });

  it('tells a process of a kernel without control groups', () => {
    expect(facts('2.6', 3021)).toEqual({
      program: 'a) (b c',
      name: 'a) (b c',
      commandLine: '/usr/sbin/a) (b c --lots',
      uid: 500,
      gid: 100,
      cgroup: null,
      unitCgroup: null,
    });
  });

  it('takes the program from the executable, not from what a process calls itself', () => {
    const procfs = createProcfs({ root: fixtureRoot('6.18') });
    const pids: number[] = [];
    procfs.listPids(pids);
    const found = pids.map((pid) => readProcessFacts(procfs, pid));
    expect(found).toContainEqual(expect.objectContaining({ program: 'sleep', name: 'a) (b c' }));
    expect(found).toContainEqual(expect.objectContaining({ program: 'sleep', name: 'x\ny\\z' }));
  });

  it('says nothing of a process that is gone, and closes what it opened', () => {
    const procfs = createProcfs();
    expect(readProcessFacts(procfs, 2 ** 30)).toBeUndefined();
    expect(procfs.tally.opens).toBe(1);
  });

  it('tells this process as Node knows it, its command line cut where it was asked to', () => {
    const procfs = createProcfs();
    const found = readProcessFacts(procfs, process.pid);
    expect(found).toMatchObject({ program: 'node', uid: process.getuid?.(), gid: process.getgid?.() });
    const cut = readProcessFacts(procfs, process.pid, { commandLineBytes: 5 });
    expect(cut?.commandLine).toBe(found?.commandLine?.slice(0, 5));
  });

  it('reads a command line of a megabyte without taking it all', async () => {
    const child = spawn('/bin/sh', ['-c', 'read wait', 'x'.repeat(100_000), 'y'.repeat(100_000)], {
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    try {
      await once(child, 'spawn');
      const procfs = createProcfs();
      const found = readProcessFacts(procfs, child.pid!, { commandLineBytes: 60_000 });
      expect(found?.commandLine?.length).toBe(60_000);
      expect(procfs.tally.bytes).toBeLessThan(70_000);
    } finally {
      child.kill('SIGKILL');
    }
  });
});

describe('startedAt', () => {
  it('adds ticks to the time of boot', () => {
    expect(startedAt(12_345, 1_000_000, UNITS.clockTicks)).toBe(1_000_000 + 123_450);
  });
});
