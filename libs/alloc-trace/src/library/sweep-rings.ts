import { lstatSync, readdirSync, readFileSync, statSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { readLayout } from '../ring/header.js';
import { openRingFile } from '../ring/ring-file.js';
import { innerPid, parseStat } from './process-watch.js';

export interface SweepOptions {
  procRoot?: string;
  /** Epoch milliseconds. */
  now?: () => number;
  /** Files younger than this are left: their process may have been killed a moment ago, and somebody may want to read it. */
  keepMs?: number;
}

const NAME = /^\.?(\d+)\.ring(\.new)?$/;

/**
 * Removes from a run directory the ring files whose processes are gone: those that were killed leave them. A file whose
 * process may live in another pid namespace is known by the number that the process has there and by when it started.
 * Returns the names that were removed; never throws.
 */
export function sweepRings(directory: string, options: SweepOptions = {}): string[] {
  const { procRoot = '/proc', now = Date.now, keepMs = 60_000 } = options;
  const old = namesIn(directory).filter((name) => NAME.test(name) && ageOf(join(directory, name), now()) >= keepMs);
  if (old.length === 0) return [];
  const running = processes(procRoot);
  return old.filter((name) => {
    const owner = ownerOf(join(directory, name));
    return (owner === null || !running.has(owner)) && remove(join(directory, name));
  });
}

/** Default run directories of the library, one for each user: `/dev/shm/tidemark.<uid>`. */
const RUN_DIRECTORY = /^tidemark\.\d+$/;

/** Sweeps the run directories of all users of this host. Returns the paths that were removed; never throws. */
export function sweepRunDirectories(folder = '/dev/shm', options: SweepOptions = {}): string[] {
  const directories = namesIn(folder).filter((name) => RUN_DIRECTORY.test(name));
  return directories.flatMap((name) => {
    const directory = join(folder, name);
    // A link could lead anywhere.
    if (lstatSync(directory, { throwIfNoEntry: false })?.isDirectory() !== true) return [];
    return sweepRings(directory, options).map((ring) => join(directory, ring));
  });
}

/** What names a process in all pid namespaces at once: its innermost number, and clock ticks from boot to its start. */
function processes(procRoot: string): Set<string> {
  const found = new Set<string>();
  for (const name of namesIn(procRoot)) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = parseStat(readFileSync(`${procRoot}/${name}/stat`, 'latin1'));
      if (stat !== null) found.add(`${innerPid(procRoot, Number(name))}:${stat.startTime}`);
    } catch {
      // It ended.
    }
  }
  return found;
}

/** Null for what is no ring file, or one that was never finished. */
function ownerOf(path: string): string | null {
  try {
    const file = openRingFile(path);
    try {
      const { pid, startTime } = readLayout(file);
      return `${pid}:${startTime}`;
    } finally {
      file.close();
    }
  } catch {
    return null;
  }
}

function ageOf(path: string, now: number): number {
  try {
    const { mtimeMs, ctimeMs } = statSync(path);
    return now - Math.max(mtimeMs, ctimeMs);
  } catch {
    return -1;
  }
}

function remove(path: string): boolean {
  try {
    unlinkSync(path);
    return true;
  } catch {
    return false;
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
