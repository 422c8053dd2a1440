import { ByteScanner, utf8 } from './byte-scanner.js';
import { malformed } from './errors.js';
import { FigureTable, type FigureField } from './figure-table.js';
import { ROW, wireCount, type ProcessRow } from './process-row.js';

const KIB = 1024;
const TAB = 9;
const COLON = 58;

const scanner = new ByteScanner();

const R = 82;
const S = 83;
const T = 84;
const V = 86;

/** The figures of one block, kept outside so that finding them allocates nothing. */
const found = {
  size: Number.NaN,
  rss: Number.NaN,
  anon: Number.NaN,
  file: Number.NaN,
  shmem: Number.NaN,
  data: Number.NaN,
  stack: Number.NaN,
  text: Number.NaN,
  lib: Number.NaN,
  swap: Number.NaN,
  /** A line that follows the memory lines on every kernel: with it, absent memory lines are known to be absent. */
  passedMemory: false,
};

/**
 * The hot path: the memory lines of `/proc/[pid]/status` into a row at `offset`, without allocating.
 *
 * Fields that this kernel does not have become unknown; a process without an address space gets 0 in every memory
 * figure (see `ProcessRow`). False, and nothing written, when it is not a whole status block.
 */
export function fillFromStatus(bytes: Uint8Array, length: number, row: ProcessRow, offset: number): boolean {
  scanner.reset(bytes, length);
  found.size = found.rss = found.anon = found.file = found.shmem = Number.NaN;
  found.data = found.stack = found.text = found.lib = found.swap = Number.NaN;
  found.passedMemory = false;
  if (!scanner.take('Name:')) return false;
  while (!found.passedMemory && scanner.nextLine()) takeLine();
  if (!found.passedMemory) return false;
  if (Number.isNaN(found.size)) {
    fillWithoutMemory(row, offset);
    return true;
  }
  row[offset + ROW.vms] = wireCount(found.size * KIB);
  if (!Number.isNaN(found.rss)) row[offset + ROW.rss] = wireCount(found.rss * KIB);
  row[offset + ROW.shared] = wireCount((found.file + found.shmem) * KIB);
  row[offset + ROW.text] = wireCount(found.text * KIB);
  row[offset + ROW.data] = wireCount((found.data + found.stack) * KIB);
  row[offset + ROW.lib] = wireCount(found.lib * KIB);
  row[offset + ROW.rssAnon] = wireCount(found.anon * KIB);
  row[offset + ROW.rssFile] = wireCount(found.file * KIB);
  row[offset + ROW.rssShmem] = wireCount(found.shmem * KIB);
  row[offset + ROW.swap] = wireCount(found.swap * KIB);
  return true;
}

const MEMORY_FIGURES = [
  ROW.vms,
  ROW.rss,
  ROW.shared,
  ROW.text,
  ROW.data,
  ROW.lib,
  ROW.dirty,
  ROW.rssAnon,
  ROW.rssFile,
  ROW.rssShmem,
  ROW.swap,
  ROW.pss,
  ROW.uss,
];

function fillWithoutMemory(row: ProcessRow, offset: number): void {
  for (let index = 0; index < MEMORY_FIGURES.length; index++) row[offset + MEMORY_FIGURES[index]!] = 0;
}

/** The line at the cursor, told apart by as few bytes as do so, then checked in full by `figure`. */
function takeLine(): void {
  const { bytes, at } = scanner;
  const first = bytes[at];
  if (first === V) takeVmLine(bytes[at + 2]!, bytes[at + 3]!);
  else if (first === R) takeRssLine(bytes[at + 3]!);
  else if (first === T && bytes[at + 1] === 104) found.passedMemory ||= scanner.take('Threads:');
  else if (first === S && bytes[at + 1] === 105) found.passedMemory ||= scanner.take('SigPnd:');
}

function takeVmLine(third: number, fourth: number): void {
  if (third === S) {
    if (fourth === 105) found.size = figure('VmSize', found.size);
    else if (fourth === 116) found.stack = figure('VmStk', found.stack);
    else if (fourth === 119) found.swap = figure('VmSwap', found.swap);
  } else if (third === R) found.rss = figure('VmRSS', found.rss);
  else if (third === 68) found.data = figure('VmData', found.data);
  else if (third === 69) found.text = figure('VmExe', found.text);
  else if (third === 76 && fourth === 105) found.lib = figure('VmLib', found.lib);
}

function takeRssLine(fourth: number): void {
  if (fourth === 65) found.anon = figure('RssAnon', found.anon);
  else if (fourth === 70) found.file = figure('RssFile', found.file);
  else if (fourth === S) found.shmem = figure('RssShmem', found.shmem);
}

/** KiB of the line when it is that field's, else what was known. */
function figure(label: string, known: number): number {
  if (!scanner.take(label) || scanner.peek() !== COLON) return known;
  scanner.at++;
  return scanner.number();
}

/** `/proc/[pid]/status` whole; memory in bytes. Absent: not in this kernel's, or the process has no address space. */
export interface PidStatus {
  /** `Name`, without the kernel's escapes of newline and backslash. */
  name: string;
  /** `State`, its letter. */
  state: string;
  /** `Tgid` and `Pid`: the process, and the thread that the file is of. */
  tgid?: number;
  pid: number;
  /** `PPid`; 0 when the parent is outside the reader's pid namespace. */
  ppid: number;
  /** `Uid`, `Gid`: real, effective, saved and file system ids. */
  uid: [real: number, effective: number, saved: number, fileSystem: number];
  gid: [real: number, effective: number, saved: number, fileSystem: number];
  /** `NSpid` (since 4.1): the pid in each namespace, the reader's first. */
  namespacePids?: number[];
  /** `Kthread` (since about 6.8): whether it is a kernel thread. */
  kernelThread?: boolean;
  /** `Threads` (since 2.6). */
  threads?: number;
  /** `VmPeak`, `VmSize`: address space at most, and now. */
  vmPeak?: number;
  vmSize?: number;
  /** `VmLck`, `VmPin`: locked into memory, pinned by the kernel (since 3.2). */
  vmLocked?: number;
  vmPinned?: number;
  /** `VmHWM`, `VmRSS`: resident at most, and now. */
  vmHighWater?: number;
  vmRss?: number;
  /** `RssAnon`, `RssFile`, `RssShmem` (since 4.5): what `VmRSS` is the sum of. */
  rssAnon?: number;
  rssFile?: number;
  rssShmem?: number;
  /** `VmData`, `VmStk`, `VmExe`, `VmLib`: private writable mappings, main stack, the executable's code, libraries' code. */
  vmData?: number;
  vmStack?: number;
  vmExecutable?: number;
  vmLibraries?: number;
  /** `VmPTE`: page tables (since 2.6.10). */
  vmPageTables?: number;
  /** `VmSwap` (since 2.6.34): anonymous memory swapped out, shared memory not counted. */
  vmSwap?: number;
  /** `HugetlbPages` (since 4.4): no part of `VmRSS`. */
  hugetlb?: number;
  /** `voluntary_ctxt_switches`, `nonvoluntary_ctxt_switches` (since 2.6.23). */
  voluntarySwitches?: number;
  involuntarySwitches?: number;
}

type Figure = {
  [Name in keyof PidStatus]-?: number extends NonNullable<PidStatus[Name]> ? Name : never;
}[keyof PidStatus];

const FIGURES: readonly FigureField<Figure>[] = [
  ['Tgid', 'tgid', 1],
  ['Pid', 'pid', 1],
  ['PPid', 'ppid', 1],
  ['Threads', 'threads', 1],
  ['VmPeak', 'vmPeak', KIB],
  ['VmSize', 'vmSize', KIB],
  ['VmLck', 'vmLocked', KIB],
  ['VmPin', 'vmPinned', KIB],
  ['VmHWM', 'vmHighWater', KIB],
  ['VmRSS', 'vmRss', KIB],
  ['RssAnon', 'rssAnon', KIB],
  ['RssFile', 'rssFile', KIB],
  ['RssShmem', 'rssShmem', KIB],
  ['VmData', 'vmData', KIB],
  ['VmStk', 'vmStack', KIB],
  ['VmExe', 'vmExecutable', KIB],
  ['VmLib', 'vmLibraries', KIB],
  ['VmPTE', 'vmPageTables', KIB],
  ['VmSwap', 'vmSwap', KIB],
  ['HugetlbPages', 'hugetlb', KIB],
  ['voluntary_ctxt_switches', 'voluntarySwitches', 1],
  ['nonvoluntary_ctxt_switches', 'involuntarySwitches', 1],
];

const table = new FigureTable(FIGURES);

export function parsePidStatus(bytes: Uint8Array, length: number = bytes.length): PidStatus {
  const { pid, ppid, ...figures } = table.read(bytes, length);
  let name: string | undefined;
  let state: string | undefined;
  const ids: Record<'Uid' | 'Gid' | 'NSpid' | 'Kthread', number[]> = { Uid: [], Gid: [], NSpid: [], Kthread: [] };
  for (scanner.reset(bytes, length); !scanner.done; scanner.nextLine()) {
    const label = scanner.label();
    if (label === 'Name') name = unescapeName(utf8(bytes, passTab(), scanner.lineEnd()));
    else if (label === 'State') state = scanner.word();
    else if (label === 'Uid' || label === 'Gid' || label === 'NSpid' || label === 'Kthread') ids[label] = numbers();
  }
  const [uid, gid] = [quadruple(ids.Uid), quadruple(ids.Gid)];
  if (name === undefined || !state || pid === undefined || ppid === undefined || !uid || !gid) {
    malformed('status', 'lines Name, State, Pid, PPid, Uid and Gid', bytes, 0, length);
  }
  const status: PidStatus = { name, state: state.slice(0, 1), pid, ppid, uid, gid, ...figures };
  if (ids.NSpid.length > 0) status.namespacePids = ids.NSpid;
  if (ids.Kthread[0] !== undefined) status.kernelThread = ids.Kthread[0] === 1;
  return status;
}

/** A name may begin with blanks: only the one tab after the colon is not its own. */
function passTab(): number {
  if (scanner.peek() === TAB) scanner.at++;
  return scanner.at;
}

function numbers(): number[] {
  const list: number[] = [];
  for (let value = scanner.number(); !Number.isNaN(value); value = scanner.number()) list.push(value);
  return list;
}

function quadruple(ids: number[]): PidStatus['uid'] | undefined {
  const [real, effective, saved, fileSystem] = ids;
  if (real === undefined || effective === undefined || saved === undefined) return undefined;
  return fileSystem === undefined ? undefined : [real, effective, saved, fileSystem];
}

/** The kernel writes a newline of a name as `\n` and a backslash as `\\`, in status alone: stat has the bytes as they are. */
function unescapeName(text: string): string {
  return text.replace(/\\([n\\])/g, (_, letter: string) => (letter === 'n' ? '\n' : '\\'));
}
