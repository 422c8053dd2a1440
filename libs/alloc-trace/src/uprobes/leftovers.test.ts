import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { afterEach, describe, expect, it } from 'vitest';
import { writeKernel } from './kernel-file.js';
import { removeLeftovers, sweepStaleProbes } from './leftovers.js';
import { namesFor, ownerOf, startOf, thisOwner } from './probe-names.js';
import {
  buildTarget,
  builtLibrary,
  groupsOf,
  instancesOf,
  startTarget,
  until,
  whyNotHere,
  type TestTarget,
} from './probe-target.oracle.js';
import { openTracefs } from './tracefs.js';

const reason = await whyNotHere();
const here = reason === null;
const root = here ? (await openTracefs()).root : '';
const library = builtLibrary();

const targets: TestTarget[] = [];
afterEach(async () => {
  for (const target of targets.splice(0)) await target.kill();
});

/** A collector of its own that traces until it is killed. */
async function collector(pid: number): Promise<{ pid: number; kill(): void }> {
  const script = `
    const { openUprobeTrace } = await import(${JSON.stringify(library)});
    const trace = await openUprobeTrace({ pid: ${pid}, mode: 'SAMPLED' });
    setInterval(async () => { const { totals } = await trace.observe(); if (totals.issued > 0) console.log('traces'); }, 100);
  `;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  for await (const line of createInterface({ input: child.stdout })) if (line === 'traces') break;
  return { pid: child.pid!, kill: () => void child.kill('SIGKILL') };
}

function guardOf(instance: string): number {
  for (const name of readdirSync('/proc').filter((one) => /^\d+$/.test(one))) {
    try {
      const words = readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0');
      if (words.includes('tidemark-guard') && words.includes(instance)) return Number(name);
    } catch {
      // It ended while it was looked at.
    }
  }
  throw new Error(`no guard of ${instance}`);
}

describe.skipIf(!here || library === null)('a collector that is killed', { timeout: 120_000 }, () => {
  it('leaves no probe and no instance, and its target goes on', async () => {
    const target = await startTarget(buildTarget(), 'serve');
    targets.push(target);
    const tracer = await collector(target.pid);
    expect(instancesOf(root, target.pid)).toHaveLength(1);
    expect(groupsOf(root, tracer.pid)).toHaveLength(1);
    tracer.kill();
    await until(() => instancesOf(root, target.pid).length === 0 && groupsOf(root, tracer.pid).length === 0);
    expect(startOf(target.pid)?.state).toMatch(/[SR]/);
  });

  it('together with its guard is swept up after by the next one, which leaves the living alone', async () => {
    const target = await startTarget(buildTarget(), 'serve');
    targets.push(target);
    const dead = await collector(target.pid);
    const [instance] = instancesOf(root, target.pid);
    const living = await collector(target.pid);
    process.kill(guardOf(instance!), 'SIGKILL');
    dead.kill();
    await until(() => startOf(dead.pid) === null || startOf(dead.pid)?.state === 'Z');
    // Traces of other tests sweep too: what counts is that it is gone.
    await sweepStaleProbes(root);
    await until(() => groupsOf(root, dead.pid).length === 0);
    expect(instancesOf(root, target.pid)).not.toContain(instance);
    expect(instancesOf(root, target.pid)).toHaveLength(1);
    expect(groupsOf(root, living.pid)).toHaveLength(1);
    living.kill();
    await until(() => instancesOf(root, target.pid).length === 0 && groupsOf(root, living.pid).length === 0);
  });
});

describe.skipIf(!here)('sweeping', { timeout: 60_000 }, () => {
  it('touches no instance and no probe of others', async () => {
    const other = `other-${process.pid}`;
    mkdirSync(`${root}/instances/${other}`);
    const group = `other_${process.pid}`;
    await writeKernel(`${root}/uprobe_events`, `p:${group}/one /bin/sh:0x1000\n`, true);
    try {
      await sweepStaleProbes(root);
      expect(readdirSync(`${root}/instances`)).toContain(other);
      expect(readFileSync(`${root}/uprobe_events`, 'utf8')).toContain(`:${group}/one `);
    } finally {
      await removeLeftovers(root, other, group);
    }
    expect(readFileSync(`${root}/uprobe_events`, 'utf8')).not.toContain(group);
  });

  it('knows a pid that was used again by its start time', async () => {
    const before = namesFor({ ...thisOwner(), startTicks: thisOwner().startTicks - 1 }, 1);
    const elsewhere = namesFor({ ...thisOwner(), namespace: 1, startTicks: 1 }, 1);
    for (const { instance } of [before, elsewhere]) mkdirSync(`${root}/instances/${instance}`);
    try {
      const removed = await sweepStaleProbes(root);
      const left = readdirSync(`${root}/instances`);
      expect(left).not.toContain(before.instance);
      expect(left).toContain(elsewhere.instance);
      expect(removed).not.toContain(elsewhere.instance);
    } finally {
      await removeLeftovers(root, before.instance, null);
      await removeLeftovers(root, elsewhere.instance, null);
    }
  });
});

describe('names', () => {
  it('say whose they are, within what the kernel takes', () => {
    const owner = { namespace: 4_294_967_295, pid: 4_194_304, startTicks: 1e15 };
    const names = namesFor(owner, 4_194_304, '0123abcd');
    expect(ownerOf(names.group)).toEqual({ ...owner, tag: '0123abcd' });
    expect(ownerOf(names.instance)).toEqual({ ...owner, tag: '0123abcd' });
    expect(names.group.length).toBeLessThan(64);
    expect(names.group).toMatch(/^[a-z_][a-z0-9_]*$/);
    for (const name of ['tidemark', 'tidemark_1_2_3', 'other_1_2_3_0123abcd', 'tidemark_1_2_3_0123abcd_x']) {
      expect(ownerOf(name)).toBeNull();
    }
  });
});
