import { readdirSync } from 'node:fs';
import { ProcfsError } from './errors.js';

/**
 * The pids of `root` in no order to rely on, into `pids`, whose old content goes; gives their number.
 *
 * This is the one directory listing of a round: about 0.5 µs of CPU time a process. It can be left out of a round in
 * which no process was made, which `processes` of `/proc/stat` (forks since boot, threads included) tells.
 *
 * Throws PROCFS_ROOT when the directory cannot be listed.
 */
export function listPids(root: string, pids: number[]): number {
  let names: string[];
  try {
    names = readdirSync(root);
  } catch (error) {
    throw new ProcfsError('PROCFS_ROOT', `${root} cannot be listed: ${(error as Error).message}`, { cause: error });
  }
  let count = 0;
  for (const name of names) {
    const pid = pidOf(name);
    if (pid > 0) pids[count++] = pid;
  }
  pids.length = count;
  return count;
}

/** The pid that a directory is named after, or 0 when the name is not one. */
function pidOf(name: string): number {
  if (name.length > 10) return 0;
  let pid = 0;
  for (let at = 0; at < name.length; at++) {
    const digit = name.charCodeAt(at) - 48;
    if (digit < 0 || digit > 9) return 0;
    pid = pid * 10 + digit;
  }
  return pid;
}
