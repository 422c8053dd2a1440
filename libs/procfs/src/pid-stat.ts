import { ByteScanner, utf8 } from './byte-scanner.js';
import type { KernelUnits } from './kernel-units.js';
import { ROW, wireCount, type ProcessRow } from './process-row.js';

const OPEN = 40;
const CLOSE = 41;

const scanner = new ByteScanner();

/** What of `/proc/[pid]/stat` is no figure of a row; filled anew by each `fillFromStat`. */
export interface StatIdentity {
  /** Field 1. */
  pid: number;
  /** Field 22: clock ticks between boot and start. With the pid it names the process, until the next boot. */
  start: number;
  /** Field 3, its character code: R S D Z T t X I (older kernels also K W P). */
  state: number;
  /** Field 9: PF_ bits; `isKernelThread` reads one of them. */
  flags: number;
  /** Where field 2, the command name, is in the block, without its parentheses. */
  nameFrom: number;
  nameTo: number;
}

export function createStatIdentity(): StatIdentity {
  return { pid: 0, start: 0, state: 0, flags: 0, nameFrom: 0, nameTo: 0 };
}

/** PF_KTHREAD of `include/linux/sched.h`; its value has been this since 2.6.27. */
const PF_KTHREAD = 0x0020_0000;

/** `flags` are field 9 of stat. Unsure before 2.6.27: there, look whether the command line and VmSize are absent. */
export function isKernelThread(flags: number): boolean {
  // Flags may need more than the 31 bits of JavaScript's bit operators.
  return Math.floor(flags / PF_KTHREAD) % 2 === 1;
}

/**
 * The hot path: `/proc/[pid]/stat` into a row at `offset` and `identity`, without allocating.
 *
 * The command name may hold anything but NUL: blanks, parentheses, newlines. It ends at the last `)` of the block,
 * since only digits, signs and one letter follow. Fields that this kernel does not have stay unknown. False, and
 * nothing written, when it is not a stat block as far as field 24.
 */
export function fillFromStat(
  bytes: Uint8Array,
  length: number,
  units: KernelUnits,
  row: ProcessRow,
  offset: number,
  identity: StatIdentity,
): boolean {
  const pid = scanner.reset(bytes, length).number();
  const nameFrom = scanner.at + 2;
  const nameTo = lastClose(bytes, scanner.end);
  if (!(pid > 0) || nameTo < nameFrom || bytes[nameFrom - 1] !== OPEN || nameTo + 4 > scanner.end) return false;
  const state = bytes[nameTo + 2]!;
  scanner.at = nameTo + 3;
  const ppid = scanner.signed();
  const pgrp = scanner.signed();
  const session = scanner.signed();
  scanner.skipWords(2);
  const flags = scanner.number();
  const minflt = scanner.number();
  scanner.skipWord();
  const majflt = scanner.number();
  scanner.skipWord();
  const utime = scanner.number();
  const stime = scanner.number();
  scanner.skipWords(4);
  const threads = scanner.number();
  scanner.skipWord();
  const start = scanner.number();
  const vms = scanner.number();
  const rss = scanner.signed();
  if (Number.isNaN(start) || Number.isNaN(rss)) return false;
  identity.pid = pid;
  identity.start = wireCount(start);
  identity.state = state;
  identity.flags = flags;
  identity.nameFrom = nameFrom;
  identity.nameTo = nameTo;
  const tick = 1000 / units.clockTicks;
  row[offset + ROW.ppid] = wireCount(ppid);
  row[offset + ROW.pgrp] = wireCount(pgrp);
  row[offset + ROW.session] = wireCount(session);
  row[offset + ROW.threads] = threads > 0 ? wireCount(threads) : Number.NaN;
  row[offset + ROW.utime] = wireCount(Math.round(utime * tick));
  row[offset + ROW.stime] = wireCount(Math.round(stime * tick));
  row[offset + ROW.minflt] = wireCount(minflt);
  row[offset + ROW.majflt] = wireCount(majflt);
  row[offset + ROW.vms] = wireCount(vms);
  // The kernel's counter is kept per CPU and may be below zero for a moment.
  row[offset + ROW.rss] = wireCount(Math.max(rss, 0) * units.pageSize);
  return true;
}

function lastClose(bytes: Uint8Array, end: number): number {
  let at = end - 1;
  while (at >= 0 && bytes[at] !== CLOSE) at--;
  return at;
}

/** The command name that `fillFromStat` found: bytes to the kernel, so what is not UTF-8 becomes U+FFFD. */
export function statName(bytes: Uint8Array, identity: StatIdentity): string {
  return utf8(bytes, identity.nameFrom, identity.nameTo);
}
