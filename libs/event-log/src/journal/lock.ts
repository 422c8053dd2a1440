import { randomBytes } from 'node:crypto';
import { link, readFile, readlink, rename, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { EventLogError } from '../errors.js';
import { isMissing, journalError, removeFile } from './disk.js';

/** Who holds a directory. */
interface Holder {
  token: string;
  pid: number;
  /** Clock ticks since boot, field 22 of `/proc/[pid]/stat`: tells a process from a later one with its pid. */
  start: string;
  boot: string;
  /** Pid namespace; a pid means something only within one. */
  namespace: string;
  host: string;
}

export interface DirectoryLock {
  release(): Promise<void>;
}

export interface LockOptions {
  /** How often the holder touches its lock. */
  heartbeatMs: number;
  /** A holder that cannot be looked at (another container) is dead when it has not touched its lock for so long. */
  silentMs: number;
}

const LOCK_OPTIONS: LockOptions = { heartbeatMs: 1_000, silentMs: 5_000 };

/**
 * Takes the directory for this process. A lock whose process is dead is taken over, also when another process has
 * its pid by now; one that is held is refused with EVENT_LOG_JOURNAL naming the holder.
 */
export async function lockDirectory(directory: string, options = LOCK_OPTIONS): Promise<DirectoryLock> {
  const path = join(directory, 'LOCK');
  const own = await describeSelf();
  const draft = `${path}.${own.token}`;
  try {
    await writeFile(draft, JSON.stringify(own), { mode: 0o600 });
    while (!(await linked(draft, path))) {
      const holder = await readHolder(path);
      if (!holder) continue;
      if (await isAlive(holder, path, options)) throw held(directory, holder, own);
      await takeAway(path, holder);
    }
  } catch (error) {
    throw error instanceof EventLogError ? error : journalError(`locking ${directory}`, error);
  } finally {
    await removeFile(draft);
  }
  const touch = setInterval(() => {
    const now = new Date();
    utimes(path, now, now).catch(() => {});
  }, options.heartbeatMs);
  return {
    async release() {
      clearInterval(touch);
      if ((await readHolder(path))?.token === own.token) await removeFile(path);
    },
  };
}

/** A hard link appears whole or not at all: false when another lock is there. */
async function linked(draft: string, path: string): Promise<boolean> {
  try {
    await link(draft, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

async function describeSelf(): Promise<Holder> {
  return {
    token: randomBytes(8).toString('hex'),
    pid: process.pid,
    start: (await startOf(process.pid)) ?? '',
    boot: await readBootId(),
    namespace: await readlink('/proc/self/ns/pid').catch(() => ''),
    host: hostname(),
  };
}

/** Empty where the kernel does not say. */
export async function readBootId(): Promise<string> {
  const text = await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '');
  return text.trim();
}

/** Start time of a process; undefined when there is none with that pid, or it is a zombie. */
async function startOf(pid: number): Promise<string | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  // The name in parentheses may hold anything, also parentheses.
  const fields = text?.slice(text.lastIndexOf(')') + 2).split(' ');
  return fields?.[0] === 'Z' || fields?.[0] === 'X' ? undefined : fields?.[19];
}

/** undefined when the lock went meanwhile. A lock that cannot be read as one has no living holder. */
async function readHolder(path: string): Promise<Holder | undefined> {
  try {
    const text = await readFile(path, 'utf8');
    try {
      return JSON.parse(text) as Holder;
    } catch {
      return { token: text, pid: 0, start: '', boot: '', namespace: '', host: '' };
    }
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

async function isAlive(holder: Holder, path: string, options: LockOptions): Promise<boolean> {
  const own = await describeSelf();
  const visible = holder.boot === own.boot && holder.namespace === own.namespace && holder.host === own.host;
  if (visible) return holder.pid > 0 && (await startOf(holder.pid)) === holder.start;
  // After a reboot of this very host nothing of before is alive.
  if (holder.pid === 0 || (holder.host === own.host && holder.boot !== own.boot)) return false;
  return isTouched(path, options);
}

async function isTouched(path: string, { silentMs, heartbeatMs }: LockOptions): Promise<boolean> {
  const touchedAt = async (): Promise<number | undefined> => (await stat(path).catch(() => undefined))?.mtimeMs;
  const first = await touchedAt();
  for (let waited = 0; waited < silentMs; waited += heartbeatMs) {
    await new Promise((resolve) => setTimeout(resolve, heartbeatMs));
    if ((await touchedAt()) !== first) return true;
  }
  return false;
}

/** Removes a dead holder's lock; one that a third process took meanwhile is put back. */
async function takeAway(path: string, holder: Holder): Promise<void> {
  const aside = `${path}.${randomBytes(8).toString('hex')}`;
  try {
    await rename(path, aside);
  } catch (error) {
    if (isMissing(error)) return;
    throw error;
  }
  const taken = await readHolder(aside);
  if (taken && taken.token !== holder.token) await linked(aside, path);
  await removeFile(aside);
}

function held(directory: string, holder: Holder, own: Holder): EventLogError {
  const where = holder.host === own.host ? '' : ` on ${holder.host}`;
  const who = holder.pid === own.pid && holder.start === own.start ? 'this process' : `process ${holder.pid}${where}`;
  return new EventLogError(
    'EVENT_LOG_JOURNAL',
    `journal: ${directory} is in use by ${who}: stop it, or choose another directory`,
    false,
  );
}
