/** Node-wide memory, bytes; from `/proc/meminfo`. A field that this kernel does not have is absent. */
export interface SystemMemory {
  total: number;
  /** `MemAvailable`; on kernels before 3.14 that lack it, free + buffers + cached. */
  available: number;
  /** total − available. */
  used: number;
  free: number;
  active?: number;
  inactive?: number;
  buffers?: number;
  cached?: number;
  /** `Shmem`. */
  shared?: number;
  swapTotal?: number;
  swapFree?: number;
  swapCached?: number;
  highTotal?: number;
  highFree?: number;
  lowTotal?: number;
  lowFree?: number;
}

/** `/proc/loadavg`: runnable and uninterruptible tasks averaged over 1, 5 and 15 minutes; tasks running and in all. */
export interface SystemLoad {
  one: number;
  five: number;
  fifteen: number;
  running: number;
  total: number;
}

/** One line of `/proc/pressure/memory`: percent of time stalled over 10, 60 and 300 s; total microseconds. */
export interface PressureLine {
  avg10: number;
  avg60: number;
  avg300: number;
  total: number;
}

export interface SystemPressure {
  some: PressureLine;
  full?: PressureLine;
}

/** `/proc/uptime`, seconds; idle is summed over CPUs. */
export interface SystemUptime {
  up: number;
  idle: number;
}

/** CPU time since boot, milliseconds; `/proc/stat`. */
export interface CpuTimes {
  /** `cpu` for the sum of all, else `cpu0`, `cpu1`, … */
  name: string;
  user: number;
  nice: number;
  system: number;
  idle: number;
  iowait?: number;
  irq?: number;
  softirq?: number;
  steal?: number;
}

/** Counters since boot, from `/proc/stat` and `/proc/vmstat`. */
export interface SystemCounters {
  /** Epoch seconds (`btime`). */
  bootTime?: number;
  contextSwitches?: number;
  interrupts?: number;
  processes?: number;
  /** KiB (`pgpgin`, `pgpgout`). */
  pagedIn?: number;
  pagedOut?: number;
  /** Pages (`pswpin`, `pswpout`). */
  swappedIn?: number;
  swappedOut?: number;
  oomKills?: number;
}

/** `/proc/net/dev`, counters since the interface came up. */
export interface NetworkInterface {
  name: string;
  rxBytes: number;
  rxPackets: number;
  rxErrors: number;
  rxDropped: number;
  rxFifo: number;
  rxFrame: number;
  rxCompressed: number;
  rxMulticast: number;
  txBytes: number;
  txPackets: number;
  txErrors: number;
  txDropped: number;
  txFifo: number;
  txCollisions: number;
  txCarrier: number;
  txCompressed: number;
}

/** `/proc/diskstats`, counters since boot; sectors are 512 bytes, times are milliseconds. */
export interface Disk {
  name: string;
  reads: number;
  readSectors: number;
  writes: number;
  writtenSectors: number;
  inFlight?: number;
  ioTime?: number;
}

/** Memory of one control group, bytes; v1 or v2 files under the same names. */
export interface CgroupMemory {
  path: string;
  usage: number;
  /** Absent when unlimited. */
  limit?: number;
  anon?: number;
  file?: number;
  swap?: number;
  /** v2 `memory.events` `max`, v1 `memory.failcnt`: how often the limit was hit. */
  limitHits?: number;
  oomKills?: number;
}

/** Each section is one kernel source; a section is absent when its source did not change since the last chunk. */
export interface SystemSample {
  memory?: SystemMemory;
  load?: SystemLoad;
  pressure?: SystemPressure;
  uptime?: SystemUptime;
  cpus?: CpuTimes[];
  counters?: SystemCounters;
  interfaces?: NetworkInterface[];
  disks?: Disk[];
  cgroups?: CgroupMemory[];
}

export const SYSTEM_SECTIONS = [
  'memory',
  'load',
  'pressure',
  'uptime',
  'cpus',
  'counters',
  'interfaces',
  'disks',
  'cgroups',
] as const satisfies readonly (keyof SystemSample)[];
