import { malformed } from './errors.js';
import { FigureTable, type FigureField } from './figure-table.js';

/** `memory.stat` of a cgroup with all below it, bytes; one shape for v1 and v2. What this kernel has not is absent. */
export interface CgroupMemoryStat {
  /** v2 `anon`; v1 `total_rss` (which includes transparent huge pages, and is no resident set size). */
  anon?: number;
  /** Page cache, tmpfs and shared memory included: v2 `file`, v1 `total_cache`. */
  file?: number;
  /** Of `file`, tmpfs and shared memory: v2 `shmem`, v1 `total_shmem`. */
  shmem?: number;
  /** v1 `total_swap`, where swap is accounted. v2 tells it in `memory.swap.current`. */
  swap?: number;
  /** v2 `kernel`, `slab`. v1 counts kernel memory apart. */
  kernel?: number;
  slab?: number;
  /** `active_anon`, `inactive_anon`, `active_file`, `inactive_file` (v1: with `total_`). */
  activeAnon?: number;
  inactiveAnon?: number;
  activeFile?: number;
  inactiveFile?: number;
  /** v1 `hierarchical_memory_limit`: the smallest limit of the group and those above it; absent when unlimited. */
  hierarchicalLimit?: number;
}

const V2: readonly FigureField<keyof CgroupMemoryStat>[] = [
  ['anon', 'anon', 1],
  ['file', 'file', 1],
  ['shmem', 'shmem', 1],
  ['kernel', 'kernel', 1],
  ['slab', 'slab', 1],
  ['active_anon', 'activeAnon', 1],
  ['inactive_anon', 'inactiveAnon', 1],
  ['active_file', 'activeFile', 1],
  ['inactive_file', 'inactiveFile', 1],
];

const V1: readonly FigureField<keyof CgroupMemoryStat>[] = [
  ['total_rss', 'anon', 1],
  ['total_cache', 'file', 1],
  ['total_shmem', 'shmem', 1],
  ['total_swap', 'swap', 1],
  ['total_active_anon', 'activeAnon', 1],
  ['total_inactive_anon', 'inactiveAnon', 1],
  ['total_active_file', 'activeFile', 1],
  ['total_inactive_file', 'inactiveFile', 1],
  ['hierarchical_memory_limit', 'hierarchicalLimit', 1],
];

const tables = { 1: new FigureTable(V1), 2: new FigureTable(V2) } as const;
const UNLIMITED = 2 ** 62;

export function parseCgroupMemoryStat(
  version: 1 | 2,
  bytes: Uint8Array,
  length: number = bytes.length,
): CgroupMemoryStat {
  const stat: CgroupMemoryStat = tables[version].read(bytes, length);
  if (stat.anon === undefined) {
    malformed('memory.stat', version === 2 ? 'a line anon' : 'a line total_rss', bytes, 0, length);
  }
  if (stat.hierarchicalLimit !== undefined && stat.hierarchicalLimit >= UNLIMITED) delete stat.hierarchicalLimit;
  return stat;
}
