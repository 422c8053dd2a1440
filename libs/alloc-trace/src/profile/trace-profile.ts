import type { LeakState, SiteFigures, SiteStack, TraceMode, TraceTotals } from '@tidemark/contracts';

/** What a trace of one process tells, ready to be written in the formats of others. */
export interface TraceProfile {
  process: { pid: number; program: string };
  mode: TraceMode;
  /** Mean bytes between samples; null in exact mode. */
  sampleInterval: number | null;
  /** Epoch milliseconds. */
  startedAt: number;
  durationMs: number;
  totals: TraceTotals;
  sites: readonly ProfiledSite[];
}

export interface ProfiledSite {
  figures: SiteFigures;
  stack: SiteStack;
  verdict: LeakState;
}

/** LIVE: bytes not freed yet. ALLOCATED: all bytes since the tracing began. */
export const PROFILE_MEASURES = ['LIVE', 'ALLOCATED'] as const;
export type ProfileMeasure = (typeof PROFILE_MEASURES)[number];

/** Bytes and blocks of a site; never negative, estimates in sampled mode. */
export function measured({ figures }: ProfiledSite, measure: ProfileMeasure): { bytes: number; blocks: number } {
  const [bytes, blocks] =
    measure === 'LIVE' ? [figures.liveBytes, figures.liveCount] : [figures.allocatedBytes, figures.allocations];
  return { bytes: counted(bytes), blocks: counted(blocks) };
}

function counted(value: number): number {
  return Number.isFinite(value) && value > 0 ? value : 0;
}

/** A site that should be looked at for its own sake. */
export function isLeaking({ verdict }: ProfiledSite): boolean {
  return verdict === 'SUSPECTED' || verdict === 'CONFIRMED';
}
