import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { lockDirectory } from './directory-lock.js';
import { EmbeddedError } from './embedded-error.js';
import type { Credentials, EmbeddedUsers } from './options.js';

/** Layout of the directory itself; raised when it changes so that older programs could not use it. */
const layout = 1;

export interface DataDirectory {
  /** Where the engine keeps tables. */
  tables: string;
  /** Scratch space: emptied at each start, 0700. */
  run: string;
  users: EmbeddedUsers;
  release(): void;
}

export interface DirectoryRequest {
  directory: string;
  engineVersion: string;
  lockWaitMs: number;
  /** Replace the generated ones for this run; nothing is written. */
  users?: Partial<EmbeddedUsers>;
}

/**
 * Takes the directory, creating it when absent.
 *
 * @throws EmbeddedError DIRECTORY_IN_USE, DIRECTORY_NOT_OURS, DIRECTORY_OF_OTHER_VERSION or DIRECTORY_UNUSABLE.
 */
export async function openDataDirectory(request: DirectoryRequest): Promise<DataDirectory> {
  const { directory } = request;
  makeDirectory(directory);
  const lock = await lockDirectory(directory, join(directory, 'lock'), request.lockWaitMs);
  try {
    checkVersion(directory, request.engineVersion);
    const run = join(directory, 'run');
    rmSync(run, { recursive: true, force: true });
    mkdirSync(run, { mode: 0o700 });
    const users = { ...readUsers(directory), ...request.users };
    return { tables: join(directory, 'data'), run, users, release: lock.release };
  } catch (error) {
    lock.release();
    throw error;
  }
}

function makeDirectory(directory: string): void {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new EmbeddedError('DIRECTORY_UNUSABLE', `The data directory ${directory} cannot be used: ${reason}`);
  }
}

function checkVersion(directory: string, engineVersion: string): void {
  const file = join(directory, 'VERSION');
  const ours = `tidemark-history ${layout}\nengine ${engineVersion}\n`;
  if (!existsSync(file)) {
    if (existsSync(join(directory, 'data'))) {
      throw new EmbeddedError(
        'DIRECTORY_NOT_OURS',
        `The data directory ${directory} has a folder "data" but no file VERSION, so Tidemark did not make it: choose another directory.`,
      );
    }
    writeWhole(file, ours, 0o644);
    return;
  }
  const text = readFileSync(file, 'utf8');
  const match = /^tidemark-history (\d+)\nengine (\d+\.\d+)(\S*)/.exec(text);
  if (match === null || Number(match[1]) !== layout || match[2] !== release(engineVersion)) {
    const theirs = match === null ? 'something else' : `layout ${match[1]}, engine ${match[2]}${match[3]}`;
    throw new EmbeddedError(
      'DIRECTORY_OF_OTHER_VERSION',
      `The data directory ${directory} is of ${theirs}; this program needs layout ${layout}, engine ${release(engineVersion)}: ` +
        'use the program that wrote it, or choose another directory.',
    );
  }
  if (text !== ours) writeWhole(file, ours, 0o644);
}

/** "26.7" of "26.7.3": what decides whether two engines read each other's parts. */
function release(version: string): string {
  return version.split('.').slice(0, 2).join('.');
}

function readUsers(directory: string): EmbeddedUsers {
  const file = join(directory, 'users.json');
  if (existsSync(file)) {
    const found: unknown = JSON.parse(readFileSync(file, 'utf8'));
    if (isUsers(found)) return found;
    throw new EmbeddedError(
      'DIRECTORY_UNUSABLE',
      `${file} does not hold an admin and a reader with username and password: remove it, and new passwords are made.`,
    );
  }
  const users = {
    admin: { username: 'default', password: newPassword() },
    reader: { username: 'reader', password: newPassword() },
  };
  writeWhole(file, `${JSON.stringify(users, null, 2)}\n`, 0o600);
  return users;
}

function isUsers(value: unknown): value is EmbeddedUsers {
  const isCredentials = (part: unknown): part is Credentials =>
    typeof part === 'object' &&
    part !== null &&
    typeof (part as Credentials).username === 'string' &&
    typeof (part as Credentials).password === 'string';
  if (typeof value !== 'object' || value === null) return false;
  return isCredentials((value as EmbeddedUsers).admin) && isCredentials((value as EmbeddedUsers).reader);
}

function newPassword(): string {
  return randomBytes(24).toString('base64url');
}

/** All or nothing, also when the process dies between. */
function writeWhole(file: string, text: string, mode: number): void {
  writeFileSync(`${file}.new`, text, { mode });
  renameSync(`${file}.new`, file);
}

/** Makes named pipes in `run`; the engine writes results into them, so that they need not fit in memory. */
export function makePipes(run: string, count: number): string[] {
  const mark = randomBytes(6).toString('hex');
  const names = Array.from({ length: count }, (_, index) => `out-${index}-${mark}`);
  const { status, error } = spawnSync('mkfifo', ['-m', '600', ...names], { cwd: run, stdio: 'ignore' });
  if (status === 0) return names;
  const reason = error?.message ?? `mkfifo ended with ${status}`;
  throw new EmbeddedError('DIRECTORY_UNUSABLE', `No named pipes can be made in ${run}: ${reason}.`);
}
