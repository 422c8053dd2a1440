import type { LeakState } from '@tidemark/contracts';

/** One reading of one process. */
export interface SeriesInput {
  /** Data time, epoch milliseconds. */
  at: number;
  /** rssAnon + swap, bytes: adding swap stops reclaim from hiding a leak. Never the virtual size. */
  bytes: number;
  /** What the process would exhaust, bytes: the least of cgroup limit, prescribed limit, available + own. */
  limit: number | null;
}

/** What is known of a process before its first reading. */
export interface SeriesOrigin {
  /** When the process began, epoch milliseconds. Not finite or later than the first reading: the first reading's time. */
  startedAt: number;
  /** What survives its restart: systemd unit or container, else the program. */
  service: string;
}

/** Theil–Sen slope with its 95 % interval, bytes per hour, over `window` seconds. */
export interface Growth {
  bytesPerHour: number;
  low: number;
  high: number;
  window: number;
}

/** A change of verdict. `from === to` when only the imminent flag turned. */
export interface Transition {
  /** Data time of the reading that decided it, epoch milliseconds. */
  at: number;
  from: LeakState;
  to: LeakState;
  imminentBefore: boolean;
  imminent: boolean;
  /** When this growth began to be watched: constant until it is over, so it can name the finding. */
  openedAt: number;
  growth: Growth | null;
  /** Pessimistic, from the upper end of the slope's interval; null when nothing bounds it or nothing grows. */
  secondsToExhaustion: number | null;
  /** 0 to 1. */
  confidence: number;
  bytes: number;
  limit: number | null;
  /** The numbers that the verdict was made of, by name; docs/leak.md explains each. */
  evidence: Record<string, number | null>;
}

/** The verdict as it stands. */
export interface LeakStatus {
  state: LeakState;
  /** Data time when the state was entered, epoch milliseconds. */
  since: number;
  /** Set from the first GROWING until the growth is over. */
  openedAt: number | null;
  confidence: number;
  imminent: boolean;
  growth: Growth | null;
  secondsToExhaustion: number | null;
}

/** How a process ended; `oom` is any kill for want of memory. */
export type EndCause = 'exit' | 'oom' | 'unknown';

/** Minima of past blocks, as history keeps them; each `at` lies anywhere within its block. */
export interface SeriesMinima {
  minute: readonly { at: number; bytes: number }[];
  hour: readonly { at: number; bytes: number }[];
}
