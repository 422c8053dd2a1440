#!/usr/bin/env node
// Captures a small, scrubbed /proc tree of the running kernel as a fixture of libs/procfs.
//
//   node tools/capture-proc.mjs [--out libs/procfs/testdata] [--pid N]...
//
// It starts a few specimens of its own (a sleeper, names with parentheses and a newline, a zombie), reads them, pid 1,
// the first kernel thread and the pids asked for, and writes OUT/<major.minor>/{proc,sys}. What could tell of the host
// is replaced: names and arguments of processes that are not its own, the host name, the boot id, paths outside the
// usual system directories, control group names, memory addresses, inodes.
import { spawn } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { endianness, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { setTimeout as delay } from 'node:timers/promises';
import { createScrubber } from './capture-proc/scrub.mjs';

const SYSTEM_FILES = [
  'meminfo',
  'loadavg',
  'stat',
  'vmstat',
  'uptime',
  'net/dev',
  'diskstats',
  'pressure/memory',
  'pressure/cpu',
  'pressure/io',
];
const PROCESS_FILES = ['stat', 'statm', 'status', 'smaps', 'smaps_rollup', 'cmdline', 'cgroup'];
const CGROUP_FILES = {
  1: [
    'memory.usage_in_bytes',
    'memory.limit_in_bytes',
    'memory.max_usage_in_bytes',
    'memory.failcnt',
    'memory.stat',
    'memory.oom_control',
  ],
  2: [
    'cgroup.controllers',
    'memory.current',
    'memory.max',
    'memory.high',
    'memory.peak',
    'memory.swap.current',
    'memory.swap.max',
    'memory.stat',
    'memory.events',
    'memory.pressure',
  ],
};

/** Bytes of a file; undefined when it is not there or not to be read, as it is for kernel threads. */
function read(path) {
  try {
    return readFileSync(path);
  } catch {
    return undefined;
  }
}

function write(path, content) {
  if (content === undefined) return;
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
}

/** Programs with the names that parsers get wrong, and one that never reaps its child. */
function startSpecimens(directory) {
  const sleep = ['/usr/bin/sleep', '/bin/sleep'].find((path) => read(path));
  const start = (name) => {
    const program = join(directory, name);
    copyFileSync(sleep, program);
    return spawn(program, ['3600'], { stdio: 'ignore', argv0: 'sleep' });
  };
  const plain = spawn(sleep, ['3600'], { stdio: 'ignore' });
  const parent = spawn('/bin/sh', ['-c', 'sleep 0 & exec sleep 3600'], { stdio: 'ignore' });
  return [plain, start('a) (b c'), start('x\ny\\z'), parent];
}

function zombieOf(parent) {
  for (const name of readdirSync('/proc')) {
    const stat = /^\d+$/.test(name) && read(`/proc/${name}/stat`)?.toString('latin1');
    if (!stat) continue;
    const [state, ppid] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (state === 'Z' && Number(ppid) === parent) return Number(name);
  }
  return undefined;
}

/** AT_PAGESZ and AT_CLKTCK alone: the rest are addresses. */
function scrubAuxv(bytes) {
  if (endianness() !== 'LE' || process.arch === 'arm') return undefined;
  const kept = [];
  for (let at = 0; at + 16 <= bytes.length; at += 16) {
    if ([0n, 6n, 17n].includes(bytes.readBigUInt64LE(at))) kept.push(bytes.subarray(at, at + 16));
  }
  return Buffer.concat(kept);
}

function captureProcess(out, pid, own, scrubber) {
  for (const name of PROCESS_FILES) {
    const bytes = read(`/proc/${pid}/${name}`);
    if (bytes !== undefined) write(join(out, 'proc', String(pid), name), scrubber.processFile(name, bytes, own, pid));
  }
  if (!own) return;
  try {
    const path = readlinkSync(`/proc/${pid}/exe`);
    symlinkSync(path.startsWith('/usr/bin/') ? path : '/usr/bin/sleep', join(out, 'proc', String(pid), 'exe'));
  } catch {
    // A zombie has no executable any more.
  }
}

/** The memory files of the groups that the captured processes are in, below the mount point that mountinfo names. */
function captureCgroups(out, scrubber) {
  const mounts = read('/proc/self/mountinfo')
    .toString()
    .split('\n')
    .map((line) => line.split(' '));
  const v1 = mounts.find((words) => words.at(-3) === 'cgroup' && words.at(-1).split(',').includes('memory'));
  const mount = v1 ?? mounts.find((words) => words.at(-3) === 'cgroup2');
  if (!mount?.[4]?.startsWith('/sys/')) return;
  for (const [path, scrubbed] of scrubber.cgroups(v1 ? 'memory' : '')) {
    for (const name of CGROUP_FILES[v1 ? 1 : 2]) {
      write(join(out, mount[4], scrubbed, name), read(join(mount[4], path, name)));
    }
  }
}

function captureSystem(out, scrubber) {
  for (const name of SYSTEM_FILES) write(join(out, 'proc', name), read(`/proc/${name}`));
  write(join(out, 'proc/self/mountinfo'), scrubber.mountinfo(read('/proc/self/mountinfo')));
  write(join(out, 'proc/self/auxv'), scrubAuxv(read('/proc/self/auxv')));
  write(join(out, 'proc/sys/kernel/hostname'), 'host\n');
  write(join(out, 'proc/sys/kernel/osrelease'), `${release()}\n`);
  write(join(out, 'proc/sys/kernel/random/boot_id'), '00000000-0000-4000-8000-000000000000\n');
}

/** `6.18.44` of `6.18.44-anything`. */
function release() {
  return /^\d+\.\d+(\.\d+)?/.exec(read('/proc/sys/kernel/osrelease').toString())[0];
}

async function main() {
  const { values } = parseArgs({
    options: {
      out: { type: 'string', default: 'libs/procfs/testdata' },
      pid: { type: 'string', multiple: true, default: [] },
    },
  });
  const out = join(values.out, release().split('.').slice(0, 2).join('.'));
  const directory = mkdtempSync(join(tmpdir(), 'capture-proc-'));
  const specimens = startSpecimens(directory);
  try {
    await delay(500);
    const zombie = zombieOf(specimens.at(-1).pid);
    if (zombie === undefined) throw new Error('the specimen of a zombie did not become one');
    const own = [...specimens.map(({ pid }) => pid), zombie];
    rmSync(out, { recursive: true, force: true });
    const scrubber = createScrubber(directory);
    for (const pid of own) captureProcess(out, pid, true, scrubber);
    for (const pid of [1, 2, ...values.pid.map(Number)]) captureProcess(out, pid, false, scrubber);
    captureSystem(out, scrubber);
    captureCgroups(out, scrubber);
    process.stdout.write(`${out}: ${own.length + 2 + values.pid.length} processes\n`);
  } finally {
    for (const specimen of specimens) specimen.kill();
    rmSync(directory, { recursive: true, force: true });
  }
}

await main();
