/** A chunk never has more rows than this: a larger round is cut into parts. */
export const MAX_CHUNK_ROWS = 20_000;

/**
 * The numeric figures of one process, in the order of their columns.
 *
 * Sizes are bytes, times are milliseconds of CPU, the rest are counts or ids. The kernel source of each is named in
 * `libs/procfs`; every one can be absent, because kernels and permissions differ.
 */
export const PROCESS_NUMBERS = [
  'ppid',
  'pgrp',
  'session',
  'threads',
  'utime',
  'stime',
  'minflt',
  'majflt',
  'vms',
  'rss',
  'shared',
  'text',
  'data',
  'lib',
  'dirty',
  'rssAnon',
  'rssFile',
  'rssShmem',
  'swap',
  'pss',
  'uss',
] as const;

export type ProcessNumber = (typeof PROCESS_NUMBERS)[number];

/** The figures that are sizes in bytes. */
export const MEMORY_METRICS = [
  'rss',
  'vms',
  'shared',
  'text',
  'data',
  'lib',
  'dirty',
  'rssAnon',
  'rssFile',
  'rssShmem',
  'swap',
  'pss',
  'uss',
] as const satisfies readonly ProcessNumber[];

export type MemoryMetric = (typeof MEMORY_METRICS)[number];

/** A cell is null when the chunk has no new value for it: unchanged since the last one, or not read. Never 0 for unknown. */
export type Cell = number | null;

/**
 * Rows of changed processes, one array per column, all of the length of `pid`. A numeric column is left out when every
 * cell of it would be null. In a keyframe every known value stands, and null means unknown.
 */
export type ProcessColumns = {
  pid: number[];
  /** Clock ticks since boot, field 22 of `/proc/[pid]/stat`. */
  start: number[];
  /** One letter: R S D Z T t X I. */
  state?: (string | null)[];
} & { [Name in ProcessNumber]?: Cell[] };

/** What does not change while a process lives (or seldom): sent once per process, again when it changed, and in keyframes. */
export interface FactColumns {
  pid: number[];
  start: number[];
  /** Epoch milliseconds. */
  startedAt: number[];
  /** Base name of the executable, or the kernel's command name when the executable cannot be read. */
  program: string[];
  /** Arguments joined by spaces, redacted; null for kernel threads and where it cannot be read. */
  commandLine: (string | null)[];
  uid: Cell[];
  gid: Cell[];
  user: (string | null)[];
  /** Path in the memory controller's hierarchy (v2: the unified one). */
  cgroup: (string | null)[];
  /** systemd unit or container, else the program. */
  service: string[];
}

export interface ExitColumns {
  pid: number[];
  start: number[];
}

/**
 * The columns of PROCESS_NUMBERS, in their order. By names in the source: to look up each by a name that is computed costs a
 * reader of many small chunks more than their rows do.
 */
export function numberColumns(procs: ProcessColumns): (readonly Cell[] | undefined)[] {
  const { ppid, pgrp, session, threads, utime, stime, minflt, majflt, vms, rss, shared, text, data, lib, dirty } =
    procs;
  const { rssAnon, rssFile, rssShmem, swap, pss, uss } = procs;
  // prettier-ignore
  return [
    ppid, pgrp, session, threads, utime, stime, minflt, majflt, vms, rss, shared, text, data, lib, dirty,
    rssAnon, rssFile, rssShmem, swap, pss, uss,
  ];
}
