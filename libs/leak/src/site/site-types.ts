import type { LeakState, SiteFigures, TraceMode } from '@tidemark/contracts';

/** What one reading of a trace says of its sites. */
export interface SiteObservation {
  /** Data time of the reading, epoch milliseconds. */
  at: number;
  /** The process is gone: this is the last reading, and the verdict may not wait for more. */
  ended: boolean;
  /** End of the bins of births, epoch milliseconds. */
  birthsUntil: number;
  mode: TraceMode;
  /** Cumulative figures; a site that did not change since the last reading may be left out. */
  sites: readonly SiteFigures[];
}

/** What is thought of one allocation site, and why. */
export interface SiteVerdict {
  state: LeakState;
  /** Growth of the live bytes with its 95 % interval, bytes per hour; null while nothing can be said. */
  bytesPerHour: number | null;
  low: number | null;
  high: number | null;
  /** Distinct ages alive: bins of the site's life in which blocks were born that live (GenCount). */
  generations: number;
  /** Share of the blocks that outlived the survival window and were freed after all, 0 to 1; null when none got that old. */
  oldFreeRate: number | null;
  /** Of the state, 0 to 1. */
  confidence: number;
  /** Why, in one sentence for a person. */
  message: string;
  /** The numbers that the verdict was made of, by name; docs/site-verdicts.md explains each. */
  evidence: Record<string, number | null>;
}

/** A ledger as JSON: reviving it and going on gives the same as never having stopped. */
export interface SiteLedgerSnapshot {
  v: number;
  /** Name of the profile it was made under. */
  profile: string;
  /** Of the newest reading; null before the first. */
  at: number | null;
  birthsUntil: number | null;
  ended: boolean;
  sites: SiteSnapshot[];
}

export interface SiteSnapshot {
  site: number;
  /** Registers by position; null is unknown. */
  n: (number | null)[];
  births: number[];
  /** Points of the live figures, float32 little-endian, base64. */
  points: string;
}

/** The sites of one trace. At most about 1 KiB for each, however long the trace. */
export interface SiteLedger {
  /** Takes a reading; one that is not newer than the last is passed over. Never throws for what the figures say. */
  observe(observation: SiteObservation): void;
  /** The verdict as of the newest reading, or of one a thirty-second of the site's life before. Unheard of: LEARNING. */
  verdict(site: number): SiteVerdict;
  forget(site: number): void;
  /** Sites known. */
  readonly size: number;
  snapshot(): SiteLedgerSnapshot;
}
