import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { TraceError } from '../errors.js';

/** A process by more than its number, which the next process may get. */
export interface ProcessWatch {
  readonly pid: number;
  /** Field 22 of stat: clock ticks from boot to start. */
  readonly startTime: number;
  /** Whether it runs; a zombie without threads does not. Its memory is gone when it does not. */
  alive(): boolean;
  close(): void;
}

/** What of `/proc/PID/stat` tracing needs: proc_pid_stat(5). */
export interface StatFields {
  /** Field 3. */
  state: string;
  /** Field 9: PF_ bits of include/linux/sched.h. */
  flags: number;
  /** Field 20. */
  threads: number;
  /** Field 22. */
  startTime: number;
}

const STAT_BYTES = 4096;

/** The name in parentheses may hold anything, and ends at the last `)`. Null when it is no stat line. */
export function parseStat(text: string): StatFields | null {
  const close = text.lastIndexOf(')');
  const fields = text.slice(close + 2).split(' ');
  const field = (number: number): number => Number(fields[number - 3] ?? Number.NaN);
  const found = { state: fields[0] ?? '', flags: field(9), threads: field(20), startTime: field(22) };
  return close < 0 || found.state === '' || !Number.isSafeInteger(found.startTime) ? null : found;
}

/** Throws TRACE_GONE when there is no such process. */
export function watchProcess(procRoot: string, pid: number): ProcessWatch {
  const path = `${procRoot}/${pid}/stat`;
  let fd = openStat(path, pid);
  const bytes = Buffer.alloc(STAT_BYTES);
  const look = (): StatFields | null => {
    if (fd < 0) return null;
    try {
      // The open file stays with this process: another one of the same number does not answer here, ESRCH does.
      return parseStat(bytes.toString('latin1', 0, readSync(fd, bytes, 0, bytes.length, 0)));
    } catch {
      return null;
    }
  };
  const close = (): void => {
    if (fd >= 0) closeSync(fd);
    fd = -1;
  };
  const first = look();
  if (first === null) {
    close();
    throw gone(pid);
  }
  const alive = (): boolean => {
    const found = look();
    return found !== null && found.startTime === first.startTime && !isOver(found);
  };
  return { pid, startTime: first.startTime, alive, close };
}

/** The first thread may end before the others: the process is a zombie then and goes on. */
export function isOver({ state, threads }: StatFields): boolean {
  return state === 'X' || state === 'x' || (state === 'Z' && !(threads > 1));
}

function openStat(path: string, pid: number): number {
  try {
    return openSync(path, 'r');
  } catch (error) {
    throw gone(pid, error);
  }
}

function gone(pid: number, cause?: unknown): TraceError {
  return new TraceError('TRACE_GONE', `process ${pid}: there is none (any more)`, { cause });
}

/** The number that the process has for itself, in the innermost pid namespace; its pid where the kernel does not say. */
export function innerPid(procRoot: string, pid: number): number {
  try {
    const line = /^NSpid:\s+(.*)$/m.exec(readFileSync(`${procRoot}/${pid}/status`, 'latin1'));
    return Number(line?.[1]?.trim().split(/\s+/).at(-1) ?? pid);
  } catch {
    return pid;
  }
}
