import { basename } from 'node:path';
import type { ReadOutcome } from './kept-file.js';
import { parseOr, type Parse } from './parsed-files.js';
import { parseCmdline } from './pid-cmdline.js';
import { memoryCgroup, parsePidCgroup, unitCgroup } from './pid-cgroup.js';
import { parsePidStatus, type PidStatus } from './pid-status.js';
import type { ProcessFile, Procfs } from './procfs.js';

/** What seldom changes while a process lives. Null: not there, or not ours to read. */
export interface ProcessFacts {
  /** Base name of `/proc/[pid]/exe`; the command name where that cannot be read. */
  program: string;
  /** The command name, `Name` of status. */
  name: string;
  /** `/proc/[pid]/cmdline`, arguments joined by blanks, not redacted. Null for kernel threads. */
  commandLine: string | null;
  /** Real user and group, of status. */
  uid: number | null;
  gid: number | null;
  /** Path in the hierarchy that accounts memory, of `/proc/[pid]/cgroup`. */
  cgroup: string | null;
  /** Path in the hierarchy that systemd names its units in (v1 `name=systemd`, else v2, else that of memory). */
  unitCgroup: string | null;
}

export interface FactsLimits {
  /** Bytes of command line that are kept; the rest is cut off. */
  commandLineBytes: number;
}

const DELETED = ' (deleted)';

/**
 * Opens and closes four files of the process, so call it once per process (and seldom after, for a changed title, user
 * or group). Between two of them the pid may have passed to another process: read `stat` before and after on a kept
 * file, and use the facts only if it did not answer "gone" in between.
 *
 * Undefined when the process is gone, or hidden altogether.
 */
export function readProcessFacts(
  procfs: Procfs,
  pid: number,
  limits: FactsLimits = { commandLineBytes: 4096 },
): ProcessFacts | undefined {
  const status = readOnce(procfs, pid, 'status', parsePidStatus);
  if (status.outcome === 'gone' || status.outcome === 'denied') return undefined;
  const cmdline = readOnce(procfs, pid, 'cmdline', parseCmdline, limits.commandLineBytes);
  const cgroup = readOnce(procfs, pid, 'cgroup', parsePidCgroup);
  const memory = (cgroup.value && memoryCgroup(cgroup.value)?.path) ?? null;
  const name = status.value?.name ?? '';
  return {
    program: programName(procfs.readLink(`${pid}/exe`)) ?? (name || `pid ${pid}`),
    name,
    commandLine: cmdline.value?.text ?? null,
    uid: real(status.value?.uid),
    gid: real(status.value?.gid),
    cgroup: memory,
    unitCgroup: (cgroup.value && unitCgroup(cgroup.value)) ?? memory,
  };
}

function real(ids: PidStatus['uid'] | undefined): number | null {
  return ids ? ids[0] : null;
}

function programName(path: string | undefined): string | undefined {
  if (path === undefined) return undefined;
  return basename(path.endsWith(DELETED) ? path.slice(0, -DELETED.length) : path) || undefined;
}

function readOnce<T>(
  procfs: Procfs,
  pid: number,
  name: ProcessFile,
  parse: Parse<T>,
  cutAt = Number.POSITIVE_INFINITY,
): { outcome: ReadOutcome; value?: T | undefined } {
  const file = procfs.processFile(pid, name, { cutAt });
  const outcome = file.read();
  file.close();
  if (outcome !== 'changed') return { outcome };
  return { outcome, value: parseOr(() => parse(procfs.buffer.bytes, file.length)) };
}

/** When a process started, epoch milliseconds: `start` is field 22 of its stat, `bootedAt` epoch milliseconds. */
export function startedAt(start: number, bootedAt: number, clockTicks: number): number {
  return Math.round(bootedAt + (start * 1000) / clockTicks);
}
