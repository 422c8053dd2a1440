import { spawnSync } from 'node:child_process';
import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { EmbeddedError } from './embedded-error.js';

interface Holder {
  pid: number;
  /** Ticks since boot, from /proc/PID/stat: tells a process from a later one with the same pid. */
  startTicks: string | null;
  bootId: string | null;
  since: string;
}

/** What can be asked of the system; replaced in tests. */
export interface LockSystem {
  /** Tries to take the kernel's lock on an open file; null when the system offers no way to. */
  lockFile(fd: number): boolean | null;
  startTicks(pid: number): string | null;
  bootId(): string | null;
}

/**
 * Takes the directory for this process by a kernel lock (flock) on a file in it: the kernel drops it with the process,
 * however that ends, so nothing is ever stale. Where no `flock` program exists, the holder written in the file counts
 * while a process with its pid, start time and boot lives.
 *
 * @param waitMs how long to wait for a holder that may be stopping.
 * @throws EmbeddedError DIRECTORY_IN_USE, naming the holder.
 */
export async function lockDirectory(
  directory: string,
  file: string,
  waitMs: number,
  system: LockSystem = linux,
): Promise<{ release(): void }> {
  const deadline = Date.now() + waitMs;
  for (;;) {
    const fd = openSync(file, 'a+', 0o600);
    const holder = readHolder(file);
    const locked = system.lockFile(fd) ?? !isAlive(holder, system);
    if (locked) {
      writeHolder(fd, system);
      return { release: () => closeSync(fd) };
    }
    closeSync(fd);
    if (Date.now() >= deadline) throw inUse(directory, holder);
    await sleep(50);
  }
}

function inUse(directory: string, holder: Holder | null): EmbeddedError {
  const who = holder === null ? 'another process' : `process ${holder.pid}, since ${holder.since}`;
  return new EmbeddedError(
    'DIRECTORY_IN_USE',
    `The data directory ${directory} is in use by ${who}: stop that one first, or choose another directory.`,
  );
}

function isAlive(holder: Holder | null, system: LockSystem): boolean {
  if (holder === null || holder.bootId !== system.bootId()) return false;
  const ticks = system.startTicks(holder.pid);
  return ticks !== null && ticks === holder.startTicks;
}

function readHolder(file: string): Holder | null {
  try {
    const value: unknown = JSON.parse(readFileSync(file, 'utf8'));
    return typeof value === 'object' && value !== null && 'pid' in value ? (value as Holder) : null;
  } catch {
    return null;
  }
}

function writeHolder(fd: number, system: LockSystem): void {
  const holder: Holder = {
    pid: process.pid,
    startTicks: system.startTicks(process.pid),
    bootId: system.bootId(),
    since: new Date().toISOString(),
  };
  ftruncateSync(fd, 0);
  writeSync(fd, `${JSON.stringify(holder)}\n`);
}

const linux: LockSystem = {
  lockFile(fd) {
    // The lock belongs to the open file, which the short-lived program shares with us: it stays when that one is gone.
    const { status, error } = spawnSync('flock', ['-n', '3'], { stdio: ['ignore', 'ignore', 'ignore', fd] });
    if (error !== undefined || status === null) return null;
    return status === 0;
  },
  startTicks(pid) {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
    } catch {
      return null;
    }
  },
  bootId() {
    try {
      return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    } catch {
      return null;
    }
  },
};
