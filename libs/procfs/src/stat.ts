import type { CpuTimes, Disk, SystemCounters } from '@tidemark/contracts';
import { ByteScanner } from './byte-scanner.js';
import { malformed } from './errors.js';
import type { KernelUnits } from './kernel-units.js';
import type { Vmstat } from './vmstat.js';

/** `/proc/stat`. What this kernel does not have is absent. */
export interface SystemStat {
  /**
   * Lines `cpu` (the sum, first) and `cpuN` (of each CPU that is online): milliseconds, from clock ticks. Guest time is
   * part of user and nice. `iowait` and `idle` of a CPU may go back a little.
   */
  cpus: CpuTimes[];
  /** `intr`, its first number: interrupts since boot. */
  interrupts?: number;
  /** `ctxt`: context switches since boot. */
  contextSwitches?: number;
  /** `btime`: epoch seconds of boot; moves when the clock is set. */
  bootTime?: number;
  /** `processes`: forks since boot, threads included. */
  processes?: number;
  /** `procs_running`, `procs_blocked` (since 2.6): tasks now. */
  running?: number;
  blocked?: number;
  /** `page` (2.4 only): KiB in and out. Later in `/proc/vmstat`. */
  pagedIn?: number;
  pagedOut?: number;
  /** `swap` (2.4 only): pages in and out. Later in `/proc/vmstat`. */
  swappedIn?: number;
  swappedOut?: number;
  /** `disk_io` (2.4 only): named `major,disk`, as 2.4 does. Later in `/proc/diskstats`. */
  disks?: Disk[];
}

const OPEN = 40;
const CLOSE = 41;
const COMMA = 44;
const COLON = 58;
const LETTER_P = 112;

const scanner = new ByteScanner();
const names: string[] = [];

/** Throws PROCFS_FORMAT when there is no `cpu` line. Cut off anywhere after it, it gives what came before the cut. */
export function parseSystemStat(bytes: Uint8Array, length: number, units: KernelUnits): SystemStat {
  scanner.reset(bytes, length);
  const stat: SystemStat = { cpus: [] };
  const tick = 1000 / units.clockTicks;
  while (!scanner.done) {
    if (scanner.take('cpu')) takeCpu(stat, tick);
    else takeCounter(stat);
    scanner.nextLine();
  }
  if (stat.cpus.length === 0) malformed('stat', 'a line "cpu"', bytes, 0, length);
  return stat;
}

function takeCpu(stat: SystemStat, tick: number): void {
  const index = digitAhead() ? scanner.number() : -1;
  const user = scanner.number();
  const nice = scanner.number();
  const system = scanner.number();
  const idle = scanner.number();
  if (!Number.isFinite(user + nice + system + idle)) return;
  const times: CpuTimes = {
    name: cpuName(index),
    user: Math.round(user * tick),
    nice: Math.round(nice * tick),
    system: Math.round(system * tick),
    idle: Math.round(idle * tick),
  };
  // 2.4 ends here; iowait, irq and softirq came with 2.6.0, steal with 2.6.11.
  for (const field of LATER_TIMES) {
    const ticks = scanner.number();
    if (Number.isNaN(ticks)) break;
    times[field] = Math.round(ticks * tick);
  }
  stat.cpus.push(times);
}

const LATER_TIMES = ['iowait', 'irq', 'softirq', 'steal'] as const;

function digitAhead(): boolean {
  const byte = scanner.peek();
  return byte >= 48 && byte <= 57;
}

function cpuName(index: number): string {
  if (index < 0) return 'cpu';
  if (index >= 65_536 || Number.isNaN(index)) return `cpu${index}`;
  return (names[index] ??= `cpu${index}`);
}

function takeCounter(stat: SystemStat): void {
  if (scanner.take('intr ')) put(stat, 'interrupts');
  else if (scanner.take('ctxt ')) put(stat, 'contextSwitches');
  else if (scanner.take('btime ')) put(stat, 'bootTime');
  else if (scanner.peek() === LETTER_P) takeProcesses(stat);
  else if (scanner.take('swap ')) {
    put(stat, 'swappedIn');
    put(stat, 'swappedOut');
  } else if (scanner.take('disk_io:')) stat.disks = diskIo();
}

function takeProcesses(stat: SystemStat): void {
  if (scanner.take('processes ')) put(stat, 'processes');
  else if (scanner.take('procs_running ')) put(stat, 'running');
  else if (scanner.take('procs_blocked ')) put(stat, 'blocked');
  else if (scanner.take('page ')) {
    put(stat, 'pagedIn');
    put(stat, 'pagedOut');
  }
}

type Counter = Exclude<keyof SystemStat, 'cpus' | 'disks'>;

function put(stat: SystemStat, name: Counter): void {
  const value = scanner.number();
  if (!Number.isNaN(value)) stat[name] = value;
}

/** `(major,disk):(I/Os,reads,sectors read,writes,sectors written)` for each disk that was used. */
function diskIo(): Disk[] {
  const disks: Disk[] = [];
  for (;;) {
    scanner.skipBlanks();
    if (!pass(OPEN)) return disks;
    const major = scanner.number();
    pass(COMMA);
    const disk = scanner.number();
    if (!pass(CLOSE) || !pass(COLON) || !pass(OPEN)) return disks;
    scanner.number();
    const figures = [0, 0, 0, 0].map(() => (pass(COMMA) ? scanner.number() : Number.NaN));
    const [reads = 0, readSectors = 0, writes = 0, writtenSectors = 0] = figures;
    if (!pass(CLOSE) || figures.some(Number.isNaN)) return disks;
    disks.push({ name: `${major},${disk}`, reads, readSectors, writes, writtenSectors });
  }
}

function pass(byte: number): boolean {
  if (scanner.peek() !== byte) return false;
  scanner.at++;
  return true;
}

/** The node's counters section; `vmstat` is undefined on 2.4, which has those counters in `/proc/stat`. */
export function countersSection(stat: SystemStat, vmstat: Vmstat | undefined): SystemCounters {
  const counters: SystemCounters = {};
  for (const name of FROM_STAT) {
    const value = stat[name];
    if (value !== undefined) counters[name] = value;
  }
  for (const name of FROM_VMSTAT) {
    const value = vmstat?.[name];
    if (value !== undefined) counters[name] = value;
  }
  return counters;
}

const FROM_STAT = [
  'bootTime',
  'contextSwitches',
  'interrupts',
  'processes',
  'pagedIn',
  'pagedOut',
  'swappedIn',
  'swappedOut',
] as const satisfies readonly (keyof SystemStat & keyof SystemCounters)[];

const FROM_VMSTAT = [
  'pagedIn',
  'pagedOut',
  'swappedIn',
  'swappedOut',
  'oomKills',
] as const satisfies readonly (keyof Vmstat & keyof SystemCounters)[];
