import { readFileSync, readlinkSync, statSync } from 'node:fs';
import type { FileOfModule } from '../ring/catalog.js';

/**
 * Where this host can open what a process has mapped. The path itself when both see the same files, since it outlives the
 * process; else through the process.
 */
export function createModuleFiles(procRoot: string, pid: number): FileOfModule {
  const same = seesTheSame(procRoot, pid);
  return (path, start) => {
    if (!path.startsWith('/')) return null;
    const through = `${procRoot}/${pid}/root${path}`;
    const candidates = same ? [path, through] : [through, path];
    return candidates.find(isFile) ?? mappedFile(procRoot, pid, start);
  };
}

/** A deleted file goes on behind its mapping. */
function mappedFile(procRoot: string, pid: number, start: number): string | null {
  try {
    const maps = readFileSync(`${procRoot}/${pid}/maps`, 'latin1');
    const range = new RegExp(`^0*${start.toString(16)}-[0-9a-f]+`, 'm').exec(maps)?.[0];
    const path = `${procRoot}/${pid}/map_files/${range}`;
    return range !== undefined && isFile(path) ? path : null;
  } catch {
    return null;
  }
}

/** Same mounts and same root; not known (no right to look, or gone already) counts as the same. */
function seesTheSame(procRoot: string, pid: number): boolean {
  try {
    const mounts = readlinkSync(`${procRoot}/${pid}/ns/mnt`) === readlinkSync(`${procRoot}/self/ns/mnt`);
    return mounts && readlinkSync(`${procRoot}/${pid}/root`) === '/';
  } catch {
    return true;
  }
}

function isFile(path: string): boolean {
  try {
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
