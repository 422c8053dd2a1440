import { readFileSync, statSync } from 'node:fs';

/** Names of users by uid. */
export interface UserNames {
  /** null when the uid has no name, or the file cannot be read. */
  nameOf(uid: number): string | null;
}

/** How often at most the file is looked at for a change, when a uid is not in it; milliseconds. */
const LOOK_AGAIN_MS = 30_000;
/** A file above this is not read: every uid then has no name. */
const MAX_BYTES = 16 * 1024 * 1024;

/** Reads a passwd file (`name:password:uid:…`) once, and again when it changed and a uid is not known. */
export function createUserNames(file: string, now: () => number): UserNames {
  let names = new Map<number, string>();
  let lookedAt = Number.NEGATIVE_INFINITY;
  let version = '';

  function lookAgain(): void {
    if (now() - lookedAt < LOOK_AGAIN_MS) return;
    lookedAt = now();
    try {
      const { mtimeMs, size, ino } = statSync(file);
      const found = `${mtimeMs} ${size} ${ino}`;
      if (found === version || size > MAX_BYTES) return;
      names = parse(readFileSync(file, 'utf8'));
      version = found;
    } catch {
      // Without the file processes have uids alone.
    }
  }

  return {
    nameOf(uid) {
      if (!names.has(uid)) lookAgain();
      return names.get(uid) ?? null;
    },
  };
}

/** The first of several names of a uid counts, as it does for getpwuid. */
function parse(text: string): Map<number, string> {
  const names = new Map<number, string>();
  for (const line of text.split('\n')) {
    const [name, , uid] = line.split(':');
    if (!name || uid === undefined || !/^\d{1,10}$/.test(uid)) continue;
    if (!names.has(Number(uid))) names.set(Number(uid), name.slice(0, 256));
  }
  return names;
}
