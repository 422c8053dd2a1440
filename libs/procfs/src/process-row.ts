import { PROCESS_NUMBERS, type ProcessNumber } from '@tidemark/contracts';

/**
 * The wire's figures of one process as a row of doubles, in the order of the wire's columns; NaN is "unknown".
 *
 * Where each figure comes from (bytes unless it says otherwise):
 *
 * | figure | kernel source |
 * |---|---|
 * | ppid, pgrp, session | `stat` 4, 5, 6 |
 * | threads | `stat` 20 (unknown on 2.4, which writes 0) |
 * | utime, stime | `stat` 14, 15, clock ticks turned to milliseconds with AT_CLKTCK |
 * | minflt, majflt | `stat` 10, 12, counts |
 * | vms | `stat` 23, then `VmSize` of `status` |
 * | rss | `stat` 24 × page size, then `VmRSS` of `status`: the kernel counts per CPU and thread, new ones (6.18) add that up for the latter but not for the former |
 * | shared | `RssFile` + `RssShmem` of `status`, which is `statm` 3; before 4.5 from `statm` itself |
 * | text | `VmExe`, which is `statm` 4 |
 * | data | `VmData` + `VmStk`, which is `statm` 6 |
 * | lib | `VmLib` (`statm` 5 has been 0 since 2.6) |
 * | rssAnon, rssFile, rssShmem | the fields of `status` of those names (since 4.5); before, rssAnon is `statm` 2 − 3 |
 * | swap | `VmSwap` (since 2.6.34) |
 * | dirty | `Private_Dirty` + `Shared_Dirty` of `smaps_rollup` or `smaps` (`statm` 7 has been 0 since 2.6) |
 * | pss | `Pss` of the same |
 * | uss | `Private_Clean` + `Private_Dirty` of the same; hugetlb pages are no part of it, as they are none of rss |
 *
 * A process without an address space (a kernel thread, a zombie) has none of the `Vm` lines. That is knowledge, not
 * ignorance: its memory figures are 0, as `statm` says too, so that a zombie does not keep its last living figures.
 */
export type ProcessRow = Float64Array;

export const ROW_LENGTH = PROCESS_NUMBERS.length;

/** Index of each figure in a row. */
export const ROW = Object.freeze(
  Object.fromEntries(PROCESS_NUMBERS.map((name, index) => [name, index])) as Record<ProcessNumber, number>,
);

/** Room for `count` rows, all unknown. */
export function createRows(count = 1): ProcessRow {
  return new Float64Array(count * ROW_LENGTH).fill(Number.NaN);
}

const MAX = Number.MAX_SAFE_INTEGER;

/** As the wire takes it: a whole number from 0 to 2^53 − 1 (where it stays, saturated), else unknown. */
export function wireCount(value: number): number {
  if (value >= 0) return value > MAX ? MAX : value;
  return Number.NaN;
}
