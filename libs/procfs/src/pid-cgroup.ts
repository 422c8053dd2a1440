import { latin1, utf8 } from './byte-scanner.js';
import { malformed } from './errors.js';

/** One line of `/proc/[pid]/cgroup` (since 2.6.24). */
export interface CgroupEntry {
  /** 0 for the unified (v2) hierarchy. */
  hierarchy: number;
  /** v1 controllers, and `name=…` of a named hierarchy; empty for v2. */
  controllers: string[];
  /** From the root that the reader's cgroup namespace shows; may begin with `/..` outside it. */
  path: string;
  /** The group has been removed while the process still counts as its member (a zombie; v2 says so). */
  deleted: boolean;
}

const DELETED = ' (deleted)';

export function parsePidCgroup(bytes: Uint8Array, length: number = bytes.length): CgroupEntry[] {
  const entries: CgroupEntry[] = [];
  const end = Math.min(length, bytes.length);
  for (let from = 0; from < end;) {
    const newline = bytes.indexOf(10, from);
    const to = newline < 0 || newline > end ? end : newline;
    entries.push(cgroupLine(bytes, from, to));
    from = to + 1;
  }
  return entries;
}

/** `number:controllers:path`; the path may hold colons, the rest may not. */
function cgroupLine(bytes: Uint8Array, from: number, to: number): CgroupEntry {
  const first = bytes.indexOf(58, from);
  const second = first < 0 ? -1 : bytes.indexOf(58, first + 1);
  const digits = first < 0 ? '' : latin1(bytes, from, first);
  if (second < 0 || second >= to || !/^\d{1,10}$/.test(digits)) {
    malformed('cgroup', 'a line "number:controllers:path"', bytes, from, to);
  }
  const path = utf8(bytes, second + 1, to);
  const deleted = path.endsWith(DELETED);
  return {
    hierarchy: Number(digits),
    controllers: latin1(bytes, first + 1, second)
      .split(',')
      .filter(Boolean),
    path: deleted ? path.slice(0, -DELETED.length) : path,
    deleted,
  };
}

/** Where a process's memory is accounted: the v1 memory hierarchy where there is one, else the unified one. */
export interface MemoryCgroup {
  version: 1 | 2;
  path: string;
}

/** Null when the process is in no memory hierarchy (none is mounted, or v1 without the controller). */
export function memoryCgroup(entries: readonly CgroupEntry[]): MemoryCgroup | null {
  const first = entries.find((entry) => entry.controllers.includes('memory'));
  if (first) return { version: 1, path: first.path };
  const unified = entries.find((entry) => entry.hierarchy === 0 && entry.controllers.length === 0);
  return unified ? { version: 2, path: unified.path } : null;
}
