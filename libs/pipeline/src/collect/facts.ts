import { basename } from 'node:path';
import {
  ByteScanner,
  memoryCgroup,
  parseCmdline,
  parsePidCgroup,
  startedAt,
  type CgroupEntry,
  type Procfs,
} from '@tidemark/procfs';
import type { ProcessFacts } from './process-state.js';
import type { Redactor } from './redact.js';
import { serviceName } from './service-name.js';
import type { UserNames } from './user-names.js';

export interface FactsReader {
  /**
   * `name` is the command name of stat, for a program that cannot be read. Opens and closes three files. Undefined when
   * the pid is a thread's.
   */
  read(pid: number, start: number, name: string): ProcessFacts | undefined;
}

export interface FactsReaderOptions {
  procfs: Procfs;
  /** Epoch milliseconds; changes when the clock is set. */
  bootedAt: () => number;
  redactor: Redactor;
  users: UserNames;
  /** Characters of command line that are kept. */
  commandLineLength: number;
}

/** The contract's bound on names and paths. */
const MAX_TEXT = 4096;
const DELETED = ' (deleted)';

export function createFactsReader(options: FactsReaderOptions): FactsReader {
  const { procfs, bootedAt, redactor, users, commandLineLength } = options;
  // Twice what is kept, since redaction comes before the cut and makes lines shorter.
  const cutAt = Math.max(4096, 2 * commandLineLength);
  return {
    read(pid, start, name) {
      const ids = parseFile(procfs, pid, 'status', parseIds);
      if (ids && !Number.isNaN(ids.process) && ids.process !== pid) return undefined;
      const program = (executable(procfs, pid) ?? (name || `pid ${pid}`)).slice(0, MAX_TEXT);
      const groups = parseFile(procfs, pid, 'cgroup', parsePidCgroup) ?? [];
      const args = commandLineLength > 0 ? readArguments(procfs, pid, cutAt) : null;
      const uid = ids?.uid ?? null;
      const cgroup = memoryCgroup(groups)?.path.slice(0, MAX_TEXT) ?? null;
      return {
        startedAt: Math.max(0, startedAt(start, bootedAt(), procfs.units.clockTicks)),
        program,
        commandLine: args && redactor.redact(args).slice(0, commandLineLength),
        uid,
        gid: ids?.gid ?? null,
        user: uid === null ? null : users.nameOf(uid),
        cgroup,
        service: serviceName(servicePath(groups) ?? cgroup, program).slice(0, MAX_TEXT),
      };
    },
  };
}

/** The hierarchy that systemd keeps: its own (v1), else the unified one; the memory controller's path may be shallower. */
function servicePath(groups: readonly CgroupEntry[]): string | null {
  const systemd = groups.find(({ controllers }) => controllers.includes('name=systemd'));
  const unified = groups.find(({ hierarchy }) => hierarchy === 0);
  return [systemd, unified].find((group) => group !== undefined && group.path !== '/')?.path ?? null;
}

function executable(procfs: Procfs, pid: number): string | undefined {
  const path = procfs.readLink(`${pid}/exe`);
  if (path === undefined) return undefined;
  return basename(path.endsWith(DELETED) ? path.slice(0, -DELETED.length) : path) || undefined;
}

function parseFile<T>(
  procfs: Procfs,
  pid: number,
  name: 'status' | 'cgroup',
  parse: (bytes: Uint8Array, length: number) => T,
): T | undefined {
  const file = procfs.processFile(pid, name);
  const outcome = file.read();
  file.close();
  if (outcome !== 'changed') return undefined;
  try {
    return parse(procfs.buffer.bytes, file.length);
  } catch {
    return undefined;
  }
}

interface Ids {
  /** The process that the thread is of. */
  process: number;
  /** Effective user and group, as ps shows them; null when they are not told. */
  uid: number | null;
  gid: number | null;
}

/** Of `/proc/[pid]/status` only what is needed here: it is read for every newcomer, and once more for the young. */
function parseIds(bytes: Uint8Array, length: number): Ids {
  const scanner = new ByteScanner(bytes, length);
  const ids: Ids = { process: Number.NaN, uid: null, gid: null };
  do {
    if (scanner.take('Tgid:')) ids.process = scanner.number();
    else if (scanner.take('Uid:')) ids.uid = secondNumber(scanner);
    else if (scanner.take('Gid:')) {
      ids.gid = secondNumber(scanner);
      break;
    }
  } while (scanner.nextLine());
  return ids;
}

function secondNumber(scanner: ByteScanner): number | null {
  scanner.number();
  const number = scanner.number();
  return Number.isNaN(number) ? null : number;
}

/** At most so many bytes of arguments: a command line can be megabytes. null when there are none. */
function readArguments(procfs: Procfs, pid: number, cutAt: number): string[] | null {
  const file = procfs.processFile(pid, 'cmdline', { cutAt });
  const outcome = file.read();
  file.close();
  if (outcome !== 'changed') return null;
  const { bytes } = procfs.buffer;
  const length = file.length < cutAt ? file.length : wholeWords(bytes, file.length);
  return parseCmdline(bytes, length)?.arguments ?? null;
}

/** Without the argument, or word of an only argument, that was cut off: half a secret would not be known as one. */
function wholeWords(bytes: Buffer, length: number): number {
  const text = bytes.subarray(0, length);
  const end = Math.max(text.lastIndexOf(0), text.lastIndexOf(' '));
  return Math.max(0, end);
}
