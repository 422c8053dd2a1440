import { spawn } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import { expect, it } from 'vitest';
import { createProcessLookup, readBoot } from './process-lookup.js';

it('a process is known by its start, its program and its command line, without secrets', async () => {
  const args = ['-e', 'setTimeout(() => {}, 60_000)', '--', '--password', 'hunter2', 'TOKEN=xyz'];
  const child = spawn(process.execPath, args, { stdio: 'ignore' });
  try {
    await new Promise((resolve) => child.once('spawn', resolve));
    const stat = readFileSync(`/proc/${child.pid}/stat`, 'utf8');
    const found = createProcessLookup().find(child.pid!)!;
    expect(found).toMatchObject({
      pid: child.pid,
      start: Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]),
      program: basename(readlinkSync(`/proc/${child.pid}/exe`)),
    });
    expect(found.commandLine).toMatch(/--password \*\*\* TOKEN=\*\*\*$/);
    expect(found.commandLine).not.toMatch(/hunter2|xyz/);
  } finally {
    child.kill('SIGKILL');
  }
});

it('anonymous memory is what the kernel says of it, and unknown of a process that is not there', () => {
  const lookup = createProcessLookup();
  const kernel = (): number => {
    const status = readFileSync('/proc/self/status', 'utf8');
    const kib = ['RssAnon', 'VmSwap'].map((name) => Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)![1]));
    return kib.reduce((sum, value) => sum + value * 1024, 0);
  };
  const [before, found, after] = [kernel(), lookup.anonymousBytes(process.pid)!, kernel()];
  const slack = 16 * 1024 * 1024;
  expect(found).toBeGreaterThan(Math.min(before, after) - slack);
  expect(found).toBeLessThan(Math.max(before, after) + slack);
  expect(lookup.anonymousBytes(2 ** 22 + 1)).toBeNull();
  expect(lookup.find(2 ** 22 + 1)).toBeUndefined();
});

it('the boot is the one that the kernel names', () => {
  expect(readBoot()).toBe(readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim());
});
