import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkSampleChunk, SYSTEM_SECTIONS, type SystemSample, toNodeId } from '@tidemark/contracts';
import { afterEach, describe, expect, it } from 'vitest';
import { fixture, fixtureRoot, KERNELS, type Kernel } from './fixtures.oracle.js';
import { parseMeminfo } from './meminfo.js';
import { createProcfs } from './procfs.js';
import { createSystemReader, type SystemReader } from './system-reader.js';

const cleanups: (() => void)[] = [];

afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

function open(root: string): SystemReader {
  const reader = createSystemReader(createProcfs({ root }));
  cleanups.push(() => reader.close());
  return reader;
}

function copyOf(kernel: Kernel): string {
  const root = mkdtempSync(join(tmpdir(), 'system-'));
  cleanups.push(() => rmSync(root, { recursive: true, force: true }));
  cpSync(fixtureRoot(kernel), root, { recursive: true, verbatimSymlinks: true });
  return root;
}

function sampleOf(reader: SystemReader): SystemSample {
  const sections = {
    memory: reader.memory(),
    load: reader.load(),
    pressure: reader.pressure(),
    uptime: reader.uptime(),
    ...reader.stat(),
    interfaces: reader.interfaces(),
    disks: reader.disks(),
  };
  return Object.fromEntries(Object.entries(sections).filter(([, section]) => section !== undefined));
}

describe('createSystemReader', () => {
  it.each(KERNELS)('gives sections of %s that a sample chunk takes', (kernel) => {
    const system = sampleOf(open(fixtureRoot(kernel)));
    const identity = { pid: [], start: [] };
    const facts = { startedAt: [], program: [], commandLine: [], uid: [], gid: [], user: [], cgroup: [], service: [] };
    const chunk = { v: 1, node: toNodeId('n'), boot: 'b', run: 'r', seq: 0, at: 1, keyframe: true, part: 0, parts: 1 };
    const whole = { ...chunk, procs: identity, facts: { ...identity, ...facts }, exits: identity, system };
    expect(checkSampleChunk(JSON.parse(JSON.stringify(whole))).system).toEqual(system);
    const missing = SYSTEM_SECTIONS.filter((section) => !(section in system) && section !== 'cgroups');
    expect(missing).toEqual(kernel === '5.10' || kernel === '6.18' ? [] : ['pressure']);
  });

  it('gives a section once, and again only when its kernel file has changed', () => {
    const root = copyOf('5.10');
    const reader = open(root);
    sampleOf(reader);
    expect(sampleOf(reader)).toEqual({});
    writeFileSync(join(root, 'meminfo'), fixture('2.6', 'meminfo'));
    writeFileSync(join(root, 'vmstat'), 'pgfault 1\noom_kill 3\n');
    expect(sampleOf(reader)).toEqual({
      memory: expect.objectContaining({ total: parseMeminfo(fixture('2.6', 'meminfo')).total }),
      counters: expect.objectContaining({ oomKills: 3, bootTime: 1700000000 }),
    });
  });

  it('does not send the load again because a process was made', () => {
    const root = copyOf('5.10');
    const reader = open(root);
    expect(reader.load()).toBeDefined();
    writeFileSync(join(root, 'loadavg'), '1.50 0.75 12.25 3/1423 900124\n');
    expect(reader.load()).toBeUndefined();
    writeFileSync(join(root, 'loadavg'), '1.50 0.75 12.25 4/1423 900124\n');
    expect(reader.load()).toMatchObject({ running: 4 });
  });

  it('gives everything again after being told to forget', () => {
    for (const kernel of KERNELS) {
      const reader = open(fixtureRoot(kernel));
      const first = sampleOf(reader);
      expect(sampleOf(reader)).toEqual({});
      reader.forget();
      expect(sampleOf(reader)).toEqual(first);
    }
  });

  it('says why a source is silent, and speaks again when it is well', () => {
    const root = copyOf('5.10');
    rmSync(join(root, 'vmstat'));
    writeFileSync(join(root, 'meminfo'), 'nonsense');
    const reader = open(root);
    const sample = sampleOf(reader);
    expect(Object.keys(sample)).toEqual(expect.arrayContaining(['counters', 'cpus', 'load']));
    expect(sample).not.toHaveProperty('memory');
    expect([...reader.problems]).toEqual([
      ['meminfo', expect.stringContaining('wanted lines MemTotal and MemFree')],
      ['vmstat', 'this kernel has no such file'],
    ]);
    writeFileSync(join(root, 'meminfo'), fixture('5.10', 'meminfo'));
    expect(reader.memory()).toBeDefined();
    expect([...reader.problems.keys()]).toEqual(['vmstat']);
  });

  it('takes the disks of 2.4 from its stat', () => {
    expect(sampleOf(open(fixtureRoot('2.4'))).disks?.map(({ name }) => name)).toEqual(['2,0', '3,0']);
  });
});
