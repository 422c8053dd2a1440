import { randomBytes } from 'node:crypto';
import { link, readdir, readFile, readlink, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { EventLogError } from '../errors.js';
import { isMissing, journalError, removeFile, replaceFile } from './disk.js';

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
  released?: boolean;
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

/*
 * The lock is the file `LOCK.<number>` with the highest number; it tells its holder, and that it was released. To take
 * over a lock whose holder is dead or gone one makes the file with the next number, which only one can. Only then is
 * the file before it removed, so numbers never go back: who made a number that is not the highest has come too late.
 */
const LOCK = /^LOCK\.(\d{1,15})$/;
const DRAFT = 'LOCK.draft.';
const DRAFT_LEFT_BEHIND_MS = 60_000;

/**
 * Takes the directory for this process. A lock whose process is dead is taken over, also when another process has
 * its pid by now; one that is held is refused with EVENT_LOG_JOURNAL naming the holder.
 */
export async function lockDirectory(directory: string, options = LOCK_OPTIONS): Promise<DirectoryLock> {
  const own = await describeSelf();
  const path = await takeLock(directory, own, options).catch((error: unknown) => {
    throw error instanceof EventLogError ? error : journalError(`locking ${directory}`, error);
  });
  const touch = setInterval(() => {
    const now = new Date();
    utimes(path, now, now).catch(() => {});
  }, options.heartbeatMs);
  return {
    async release() {
      clearInterval(touch);
      if ((await readHolder(path))?.token === own.token) {
        await replaceFile(path, JSON.stringify({ ...own, released: true }));
      }
    },
  };
}

async function takeLock(directory: string, own: Holder, options: LockOptions): Promise<string> {
  const draft = join(directory, DRAFT + own.token);
  await writeFile(draft, JSON.stringify(own), { mode: 0o600 });
  try {
    for (;;) {
      const last = await highest(directory);
      const holder = last === 0 ? undefined : await readHolder(join(directory, `LOCK.${last}`));
      if (last > 0 && !holder) continue;
      if (holder && (await isAlive(holder, join(directory, `LOCK.${last}`), own, options))) {
        throw held(directory, holder, own);
      }
      const path = join(directory, `LOCK.${last + 1}`);
      if (!(await linked(draft, path))) continue;
      // Twice, for a listing may miss names that change while it is made.
      if ((await highest(directory)) === last + 1 && (await highest(directory)) === last + 1) {
        await removeOlder(directory, last + 1);
        return path;
      }
      await removeFile(path);
    }
  } finally {
    await removeFile(draft);
  }
}

async function numbers(directory: string): Promise<number[]> {
  return (await readdir(directory)).flatMap((name) => LOCK.exec(name)?.[1] ?? []).map(Number);
}

/** The highest number of a lock; 0 when there was never one. */
async function highest(directory: string): Promise<number> {
  return Math.max(0, ...(await numbers(directory)));
}

async function removeOlder(directory: string, own: number): Promise<void> {
  for (const number of await numbers(directory)) {
    if (number < own) await removeFile(join(directory, `LOCK.${number}`));
  }
  for (const name of await readdir(directory)) {
    if (!name.startsWith(DRAFT)) continue;
    const { mtimeMs } = await stat(join(directory, name)).catch(() => ({ mtimeMs: Date.now() }));
    if (mtimeMs < Date.now() - DRAFT_LEFT_BEHIND_MS) await removeFile(join(directory, name));
  }
}

/** A hard link appears whole or not at all: false when that name is taken. */
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
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if (isMissing(error)) return undefined;
    throw error;
  });
  return text === undefined ? undefined : { ...NOBODY, ...parseHolder(text) };
}

const NOBODY: Holder = { token: '', pid: 0, start: '', boot: '', namespace: '', host: '' };

function parseHolder(text: string): Partial<Holder> {
  try {
    return (JSON.parse(text) ?? {}) as Partial<Holder>;
  } catch {
    return {};
  }
}

async function isAlive(holder: Holder, path: string, own: Holder, options: LockOptions): Promise<boolean> {
  if (holder.released || !(holder.pid > 0)) return false;
  const { host, boot, namespace } = holder;
  const visible = boot === own.boot && namespace === own.namespace && host === own.host;
  if (visible) return (await startOf(holder.pid)) === holder.start;
  // After a reboot of this very host nothing of before is alive.
  if (host === own.host && boot !== own.boot) return false;
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

function held(directory: string, holder: Holder, own: Holder): EventLogError {
  const where = holder.host === own.host ? '' : ` on ${holder.host}`;
  const who = holder.pid === own.pid && holder.start === own.start ? 'this process' : `process ${holder.pid}${where}`;
  return new EventLogError(
    'EVENT_LOG_JOURNAL',
    `journal: ${directory} is in use by ${who}: stop it, or choose another directory`,
    false,
  );
}
