import type { SystemMemory } from '@tidemark/contracts';
import { malformed } from './errors.js';
import { FigureTable, type FigureField } from './figure-table.js';

/** `/proc/meminfo`, bytes. What this kernel does not have is absent: High and Low on 64 bit, for one. */
export interface Meminfo {
  /** `MemTotal`: usable RAM, without the kernel's own image. */
  total?: number;
  /** `MemFree`: used for nothing. */
  free?: number;
  /** `MemAvailable` (since 3.14): what a new program could get without swapping. */
  available?: number;
  /** `Buffers`: page cache of block devices. */
  buffers?: number;
  /** `Cached`: page cache of files and tmpfs, without the swap cache. */
  cached?: number;
  /** `SwapCached`: in swap and in RAM alike. */
  swapCached?: number;
  /** `Active`: used of late. */
  active?: number;
  /** `Inactive`: the first to be reclaimed. */
  inactive?: number;
  /** `Unevictable` (since 2.6.28): never reclaimed. */
  unevictable?: number;
  /** `HighTotal`, `HighFree`: beyond what a 32-bit kernel maps for itself. */
  highTotal?: number;
  highFree?: number;
  /** `LowTotal`, `LowFree`: the rest of it. */
  lowTotal?: number;
  lowFree?: number;
  /** `SwapTotal`, `SwapFree`. */
  swapTotal?: number;
  swapFree?: number;
  /** `Dirty`: waits to be written to disk. */
  dirty?: number;
  /** `Writeback`: is being written. */
  writeback?: number;
  /** `AnonPages` (since 2.6.18): anonymous pages mapped by processes. */
  anonymous?: number;
  /** `Mapped`: file pages mapped by processes. */
  mapped?: number;
  /** `Shmem` (since 2.6.32): tmpfs and shared memory. */
  shmem?: number;
  /** `MemShared` (2.4 and before; 0 on all but the first 2.4). */
  memShared?: number;
  /** `Slab`, of it `SReclaimable` and `SUnreclaim` (since 2.6.19): the kernel's own objects. */
  slab?: number;
  slabReclaimable?: number;
  slabUnreclaimable?: number;
  /** `KernelStack`, `PageTables`. */
  kernelStack?: number;
  pageTables?: number;
  /** `Committed_AS`: what processes were promised. */
  committed?: number;
}

const KIB = 1024;

const FIELDS: readonly FigureField<keyof Meminfo>[] = [
  ['MemTotal', 'total', KIB],
  ['MemFree', 'free', KIB],
  ['MemAvailable', 'available', KIB],
  ['Buffers', 'buffers', KIB],
  ['Cached', 'cached', KIB],
  ['SwapCached', 'swapCached', KIB],
  ['Active', 'active', KIB],
  ['Inactive', 'inactive', KIB],
  ['Unevictable', 'unevictable', KIB],
  ['HighTotal', 'highTotal', KIB],
  ['HighFree', 'highFree', KIB],
  ['LowTotal', 'lowTotal', KIB],
  ['LowFree', 'lowFree', KIB],
  ['SwapTotal', 'swapTotal', KIB],
  ['SwapFree', 'swapFree', KIB],
  ['Dirty', 'dirty', KIB],
  ['Writeback', 'writeback', KIB],
  ['AnonPages', 'anonymous', KIB],
  ['Mapped', 'mapped', KIB],
  ['Shmem', 'shmem', KIB],
  ['MemShared', 'memShared', KIB],
  ['Slab', 'slab', KIB],
  ['SReclaimable', 'slabReclaimable', KIB],
  ['SUnreclaim', 'slabUnreclaimable', KIB],
  ['KernelStack', 'kernelStack', KIB],
  ['PageTables', 'pageTables', KIB],
  ['Committed_AS', 'committed', KIB],
];

const table = new FigureTable(FIELDS);

/** Every kernel's: the table that 2.4 puts above the lines (`Mem:`, `Swap:`) says nothing that the lines do not. */
export function parseMeminfo(bytes: Uint8Array, length: number = bytes.length): Meminfo {
  const meminfo: Meminfo = table.read(bytes, length);
  if (meminfo.total === undefined || meminfo.free === undefined) {
    malformed('meminfo', 'lines MemTotal and MemFree', bytes, 0, length);
  }
  return meminfo;
}

/** The node's memory section. `available` before 3.14 is free + buffers + cached, which is too much by what is dirty. */
export function memorySection(meminfo: Meminfo): SystemMemory {
  const { total = 0, free = 0, buffers, cached } = meminfo;
  const available = Math.min(total, meminfo.available ?? free + (buffers ?? 0) + (cached ?? 0));
  const section: SystemMemory = { total, available, used: total - available, free };
  const shared = meminfo.shmem ?? meminfo.memShared;
  if (shared !== undefined) section.shared = shared;
  for (const name of SAME) {
    const value = meminfo[name];
    if (value !== undefined) section[name] = value;
  }
  return section;
}

const SAME = [
  'active',
  'inactive',
  'buffers',
  'cached',
  'swapTotal',
  'swapFree',
  'swapCached',
  'highTotal',
  'highFree',
  'lowTotal',
  'lowFree',
] as const satisfies readonly (keyof Meminfo & keyof SystemMemory)[];
