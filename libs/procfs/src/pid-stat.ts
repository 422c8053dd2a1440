import { ByteScanner, utf8 } from './byte-scanner.js';
import { malformed } from './errors.js';
import type { KernelUnits } from './kernel-units.js';
import { createRows, ROW, wireCount, type ProcessRow } from './process-row.js';

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

/** `/proc/[pid]/stat` whole, for what is not asked of every process in every round. Absent: not in this kernel's. */
export interface PidStat {
  /** Field 1. */
  pid: number;
  /** Field 2: the command name, up to 15 bytes of a program, up to 63 of a kernel thread. */
  name: string;
  /** Field 3: one letter: R runs, S sleeps, D waits for a device, Z zombie, T stopped, t traced, X dead, I idle. */
  state: string;
  /** Field 4; 0 when the parent is outside the reader's pid namespace. */
  ppid: number;
  /** Field 5. */
  pgrp: number;
  /** Field 6. */
  session: number;
  /** Field 7: the terminal's device number, 0 for none. */
  terminal: number;
  /** Field 8: the terminal's foreground group, −1 for none. */
  foregroundGroup: number;
  /** Field 9: PF_ bits of `include/linux/sched.h`. */
  flags: number;
  /** Fields 10 to 13: page faults without and with I/O; the process's own and its waited-for children's. */
  minflt: number;
  childMinflt: number;
  majflt: number;
  childMajflt: number;
  /** Fields 14 to 17: milliseconds of CPU (from clock ticks) in user and kernel mode; own and waited-for children's. */
  utime: number;
  stime: number;
  childUtime: number;
  childStime: number;
  /** Field 18: as the scheduler keeps it. Field 19: −20 to 19. */
  priority: number;
  nice: number;
  /** Field 20; absent on 2.4, which writes 0 there. */
  threads?: number;
  /** Field 22: clock ticks from boot to start. */
  start: number;
  /** Field 23: bytes of address space. */
  vms: number;
  /** Field 24: bytes (from pages). Less exact than `VmRSS` of status (see `ProcessRow`). */
  rss: number;
  /** Field 25: soft limit of rss, bytes; absent when unlimited. Linux does not enforce it. */
  rssLimit?: number;
  /** Field 38: signal sent to the parent at exit (since 2.1). */
  exitSignal?: number;
  /** Field 39: CPU it ran on last (since 2.2). */
  cpu?: number;
  /** Fields 40 and 41: real-time priority and scheduling policy (since 2.5). */
  realtimePriority?: number;
  policy?: number;
  /** Field 42: milliseconds (from clock ticks) waited for block I/O (since 2.6.18, with delay accounting on). */
  blockedTime?: number;
}

/** What an unlimited rss limit is on 64 and on 32 bits, at least. */
const UNLIMITED = 0xffff_ffff;

export function parsePidStat(bytes: Uint8Array, length: number, units: KernelUnits): PidStat {
  const row = createRows();
  const identity = createStatIdentity();
  if (!fillFromStat(bytes, length, units, row, 0, identity)) {
    malformed('stat', 'pid (name) state and 21 numbers', bytes, 0, length);
  }
  scanner.at = identity.nameTo + 4;
  // Field n is at n − 4: the three before it are behind us.
  const fields = Array.from({ length: 39 }, () => scanner.signed());
  const field = (number: number): number => fields[number - 4] ?? Number.NaN;
  const milliseconds = (number: number): number => Math.round((field(number) * 1000) / units.clockTicks);
  const stat: PidStat = {
    pid: identity.pid,
    name: statName(bytes, identity),
    state: String.fromCharCode(identity.state),
    ppid: field(4),
    pgrp: field(5),
    session: field(6),
    terminal: field(7),
    foregroundGroup: field(8),
    flags: field(9),
    minflt: field(10),
    childMinflt: field(11),
    majflt: field(12),
    childMajflt: field(13),
    utime: milliseconds(14),
    stime: milliseconds(15),
    childUtime: milliseconds(16),
    childStime: milliseconds(17),
    priority: field(18),
    nice: field(19),
    start: identity.start,
    vms: field(23),
    rss: Math.max(field(24), 0) * units.pageSize,
  };
  if (Object.values(stat).some(Number.isNaN)) malformed('stat', '24 fields', bytes, 0, length);
  const optional: Partial<Record<keyof PidStat, number>> = {
    threads: field(20) > 0 ? field(20) : Number.NaN,
    rssLimit: field(25) < UNLIMITED ? field(25) : Number.NaN,
    exitSignal: field(38),
    cpu: field(39),
    realtimePriority: field(40),
    policy: field(41),
    blockedTime: milliseconds(42),
  };
  for (const [name, value] of Object.entries(optional)) {
    if (!Number.isNaN(value)) Object.assign(stat, { [name]: value });
  }
  return stat;
}

/** When a process started, epoch milliseconds: `start` is field 22 of its stat, `bootedAt` epoch milliseconds. */
export function startedAt(start: number, bootedAt: number, clockTicks: number): number {
  return Math.round(bootedAt + (start * 1000) / clockTicks);
}
