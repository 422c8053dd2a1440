import { closeSync, constants, openSync, readFileSync, statSync, unlinkSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { TraceError } from '../errors.js';
import { readLayout, type RingLayout } from '../ring/header.js';
import { openRingFile, type RingFile } from '../ring/ring-file.js';
import { innerPid, type ProcessWatch } from './process-watch.js';

/** Where a ring file lies, however the process sees its file system, and after its end. */
export interface RingPlace {
  /** A path to the directory that is good as long as this is open. */
  readonly directory: string;
  /** Number of the file that has the name now; null when none has. */
  inode(): number | null;
  /** Opens what has the name now. Throws the error of open(2). */
  open(): RingFile;
  /** Removes the name when it still is that of this file. */
  remove(file: RingFile): void;
  close(): void;
}

export interface FoundRing {
  file: RingFile;
  layout: RingLayout;
  /** Null when the directory cannot be reached. */
  place: RingPlace | null;
}

/** A mapping of a ring file as `/proc/PID/maps` has it: proc_pid_maps(5). */
export interface RingMapping {
  range: string;
  inode: number;
  path: string;
}

const DELETED = ' (deleted)';

/**
 * Mappings of files called `*.ring` that the process shares and may write: it could write the file itself, so that
 * nobody is led to write where the process may not. Each file once.
 */
export function ringMappings(maps: string): RingMapping[] {
  const found = new Map<number, RingMapping>();
  for (const line of maps.split('\n')) {
    const match = /^([0-9a-f]+-[0-9a-f]+) rw.s [0-9a-f]+ [0-9a-f]+:[0-9a-f]+ (\d+)\s+(\/.*)$/.exec(line);
    if (match === null) continue;
    const name = match[3]!;
    const path = name.endsWith(DELETED) ? name.slice(0, -DELETED.length) : name;
    const inode = Number(match[2]);
    if (path.endsWith('.ring') && !found.has(inode)) found.set(inode, { range: match[1]!, inode, path });
  }
  return [...found.values()];
}

/** The ring file that a process has mapped; undefined when it has none, so is not run with the library. */
export function findRing(procRoot: string, process: ProcessWatch): FoundRing | undefined {
  const { pid } = process;
  const inner = innerPid(procRoot, pid);
  for (const mapping of ringMappings(readMaps(procRoot, pid))) {
    const found = openMapping(procRoot, pid, mapping);
    if (found === undefined) continue;
    const layout = layoutOf(found.file);
    // A child that was forked has its parent's file mapped until it makes one of its own.
    if (layout !== undefined && layout.pid === inner && layout.startTime === process.startTime) {
      return { ...found, layout };
    }
    closeFound(found);
  }
  return undefined;
}

/** The ring file of a process in a directory of our own: it may have ended before anybody could look at it. `shown` is for messages. */
export function findRingIn(directory: string, pid: number, shown?: string): FoundRing | undefined {
  const place = openPlace(`${directory}/${pid}.ring`, shown);
  if (place === null) return undefined;
  let file: RingFile | undefined;
  try {
    file = place.open();
    return { file, layout: readLayout(file), place };
  } catch (error) {
    file?.close();
    place.close();
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

export function closeFound({ file, place }: Pick<FoundRing, 'file' | 'place'>): void {
  file.close();
  place?.close();
}

function readMaps(procRoot: string, pid: number): string {
  try {
    return readFileSync(`${procRoot}/${pid}/maps`, 'latin1');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH') throw new TraceError('TRACE_GONE', `process ${pid}: has ended`);
    throw new TraceError(
      'TRACE_DENIED',
      `process ${pid}: cannot read its memory map (${code}): run as the same user, or as root`,
      { cause: error },
    );
  }
}

/** The path may mean another file here than there: only the file that is mapped is taken. */
function openMapping(
  procRoot: string,
  pid: number,
  { range, inode, path }: RingMapping,
): Pick<FoundRing, 'file' | 'place'> | undefined {
  let denied: unknown;
  for (const candidate of [`${procRoot}/${pid}/root${path}`, path]) {
    const place = openPlace(candidate);
    try {
      if (place !== null && place.inode() === inode) return { file: place.open(), place };
    } catch (error) {
      denied = error;
    }
    place?.close();
  }
  try {
    return { file: openRingFile(`${procRoot}/${pid}/map_files/${range}`, { magic: true, name: path }), place: null };
  } catch (error) {
    const { code } = (denied ?? error) as NodeJS.ErrnoException;
    if (code !== 'EACCES' && code !== 'EPERM') return undefined;
    throw new TraceError(
      'TRACE_DENIED',
      `${path} of process ${pid}: not allowed to open it: run as its user, or as root`,
      {
        cause: error,
      },
    );
  }
}

function layoutOf(file: RingFile): RingLayout | undefined {
  try {
    return readLayout(file);
  } catch (error) {
    // Any file may be called so; one that has the mark of a ring file and is damaged is worth an error.
    if (error instanceof TraceError && !error.message.includes(': magic is')) throw error;
    return undefined;
  }
}

/** Holds on to the directory itself, since `/proc/PID/root` ends with the process. */
function openPlace(path: string, shown = path): RingPlace | null {
  let fd: number;
  try {
    fd = openSync(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY);
  } catch {
    return null;
  }
  const directory = `/proc/self/fd/${fd}`;
  const name = (): string => `${directory}/${basename(path)}`;
  const inode = (): number | null => {
    try {
      return statSync(name()).ino;
    } catch {
      return null;
    }
  };
  return {
    directory,
    inode,
    open: () => openRingFile(name(), { name: shown }),
    remove: (file) => {
      if (inode() === file.stats.ino) unlinkSync(name());
    },
    close: () => {
      if (fd >= 0) closeSync(fd);
      fd = -1;
    },
  };
}
