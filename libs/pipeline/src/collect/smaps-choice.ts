import { ROW } from '@tidemark/procfs';
import type { TrackedProcess } from './tracked-process.js';

/** A process whose memory changed is read again after this long, or at once when it changed by more than `MOVED`. */
const REFRESH_MS = 30_000;
/** One that did not run: others may have come to share its memory, or have stopped to. */
const IDLE_REFRESH_MS = 600_000;
const MOVED_BYTES = 256 * 1024;
const MOVED_SHARE = 0.01;

/** Before anything was measured on this host: opening, reading and closing an empty process, and a page of it. */
const BASE_NS = 30_000;
const ASSUMED_NS_PER_PAGE = 40;
/** A reading below this many pages tells nothing of the price of a page. */
const TELLING_PAGES = 2_000;

const FIRST_BACKOFF_MS = 60_000;
const LONGEST_BACKOFF_MS = 3_600_000;
/** Permission seldom comes later. */
const DENIED_MS = 600_000;

/** rss + swap, bytes: what the kernel walks through. */
export function walkedBytes({ row }: TrackedProcess): number {
  return (row[ROW.rss]! || 0) + (row[ROW.swap]! || 0);
}

/** What of smaps_rollup costs how much, learnt from every reading. */
export interface SmapsPrices {
  /** CPU time to expect, milliseconds. */
  estimate(process: TrackedProcess): number;
  /** After a reading that took `ms`. */
  learn(process: TrackedProcess, ms: number): void;
}

export function createSmapsPrices(pageSize: number, limitMs: number): SmapsPrices {
  let hostNsPerPage = ASSUMED_NS_PER_PAGE;
  const pagesOf = (process: TrackedProcess): number => walkedBytes(process) / pageSize;
  return {
    estimate(process) {
      const { nsPerPage, overruns } = process.smaps;
      if (Number.isNaN(nsPerPage)) return (BASE_NS + pagesOf(process) * hostNsPerPage) / 1e6;
      // What overran is believed to have become cheaper by half with each pause, or it would never be tried again.
      return (BASE_NS + (pagesOf(process) * nsPerPage) / 2 ** overruns) / 1e6;
    },
    learn(process, ms) {
      const pages = pagesOf(process);
      const perPage = Math.max(0, ms * 1e6 - BASE_NS) / Math.max(pages, 1);
      const { smaps } = process;
      if (pages >= TELLING_PAGES) hostNsPerPage += (perPage - hostNsPerPage) / 8;
      smaps.nsPerPage = pages >= TELLING_PAGES ? perPage : Number.NaN;
      smaps.overruns = ms > limitMs ? smaps.overruns + 1 : 0;
    },
  };
}

/** Until when a process is left alone after `overruns` readings in a row that took too long. */
export function backoffMs(overruns: number): number {
  return overruns === 0 ? 0 : Math.min(LONGEST_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** (overruns - 1));
}

export function denyUntil(now: number): number {
  return now + DENIED_MS;
}

/** How much a process wants to be read; 0 when not at all. Growing and large ones first, and nobody waits for ever. */
export function urgency(process: TrackedProcess, now: number): number {
  const { smaps, row } = process;
  // Kernel threads and zombies have no address space.
  if (process.gone || process.kernelThread || smaps.notBefore > now || !(row[ROW.vms]! > 0)) return 0;
  const bytes = walkedBytes(process);
  const moved = Math.abs(bytes - smaps.bytes);
  const age = now - smaps.readAt;
  if (smaps.everRead) {
    const much = moved > Math.max(MOVED_BYTES, MOVED_SHARE * bytes);
    const due = smaps.stale ? much || age >= REFRESH_MS : age >= IDLE_REFRESH_MS;
    if (!due) return 0;
  }
  return (moved + bytes / 16 + 1) * (age + 1_000);
}
