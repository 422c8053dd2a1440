import { mkdtempSync, readdirSync, rmSync, statfsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { TraceError } from '../errors.js';

/** TMPFS_MAGIC of linux/magic.h: only there is what one process writes by a mapping and another by pread one and the same. */
const TMPFS = 0x0102_1994;

/** Where run directories are made: the first that is on tmpfs and may be written. */
export const RUN_FOLDERS: readonly string[] = ['/dev/shm', `/run/user/${process.getuid?.() ?? 0}`, '/run', '/tmp'];

const PREFIX = 'tidemark-trace-';

/**
 * Makes a directory of mode 0700 for the ring files of one program and its children; removes those whose maker was
 * killed and whose processes are gone. Throws TRACE_MISSING that names the folders it tried.
 */
export function makeRunDirectory(folders: readonly string[] = RUN_FOLDERS, procRoot = '/proc'): string {
  const tried: string[] = [];
  for (const folder of folders) {
    try {
      if (statfsSync(folder).type !== TMPFS) {
        tried.push(`${folder} (not tmpfs)`);
        continue;
      }
      const made = mkdtempSync(join(folder, `${PREFIX}${process.pid}-`));
      sweep(folder, procRoot);
      return made;
    } catch (error) {
      tried.push(`${folder} (${(error as NodeJS.ErrnoException).code ?? 'failed'})`);
    }
  }
  throw new TraceError('TRACE_MISSING', `No folder for the ring files, which must be on tmpfs: ${tried.join(', ')}.`);
}

function sweep(folder: string, procRoot: string): void {
  for (const name of namesIn(folder)) {
    const maker = new RegExp(`^${PREFIX}(\\d+)-`).exec(name)?.[1];
    if (maker === undefined || isThere(`${procRoot}/${maker}`)) continue;
    const path = join(folder, name);
    const processes = namesIn(path).map((ring) => /^(\d+)\.ring$/.exec(ring)?.[1]);
    if (processes.some((pid) => pid !== undefined && isThere(`${procRoot}/${pid}`))) continue;
    try {
      if (statSync(path).uid === process.getuid?.()) rmSync(path, { recursive: true, force: true });
    } catch {
      // Somebody else removed it meanwhile, or may do so later.
    }
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function isThere(path: string): boolean {
  try {
    statSync(path);
    return true;
  } catch {
    return false;
  }
}
