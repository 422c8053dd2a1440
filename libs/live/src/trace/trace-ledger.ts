import type { LeakState, SiteFigures, TraceMode } from '@tidemark/contracts';

/** What is thought of one allocation site; as the ledger of `@tidemark/leak` gives it. */
export interface TracedVerdict {
  state: LeakState;
  /** Growth of the live bytes with its 95 % interval, bytes per hour; null while nothing can be said. */
  bytesPerHour: number | null;
  low: number | null;
  high: number | null;
  /** Distinct ages alive. */
  generations: number;
  /** Of the blocks that got old, share freed after all; null when none got old. */
  oldFreeRate: number | null;
  /** 0 to 1. */
  confidence: number;
  /** Why, in one sentence for a person. */
  message: string;
}

/** Judges the sites of one trace. */
export interface TraceLedger {
  observe(reading: {
    at: number;
    ended: boolean;
    birthsUntil: number;
    mode: TraceMode;
    sites: readonly SiteFigures[];
  }): void;
  verdict(site: number): TracedVerdict;
  forget(site: number): void;
}
