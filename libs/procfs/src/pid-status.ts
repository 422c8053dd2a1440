import { ByteScanner } from './byte-scanner.js';
import { ROW, wireCount, type ProcessRow } from './process-row.js';

const KIB = 1024;
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
