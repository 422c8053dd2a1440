import { summariseEpoch } from './evidence.js';
import { get, R, type SeriesRecord } from './registers.js';
import type { EndCause } from './types.js';

/** What remains of one life of one process of a service. JSON-safe. */
export interface ServiceEpoch {
  startedAt: number;
  endedAt: number;
  cause: EndCause;
  /** Kendall's S against uptime and its corrected variance; both 0 when the life was too short to say. */
  score: number;
  variance: number;
  /** Theil–Sen slope, bytes per ms. */
  slope: number;
  /** Slope of the last third over the whole slope. */
  tail: number;
  /** Fitted growth after the warm-up, bytes. */
  growth: number;
  /** Last value, highest block that is remembered, and limit, bytes. */
  bytes: number;
  peak: number;
  limit: number | null;
  suspected: boolean;
  /** Age at which it levelled off, ms. */
  plateauAge: number | null;
}

/** Share of the limit at which an end counts as exhaustion even when nobody saw the kill. */
const AT_LIMIT = 0.95;

export function summarise(series: SeriesRecord, cause: EndCause): ServiceEpoch {
  const evidence = summariseEpoch(series);
  // A life that levelled off speaks against a leak: its variance counts, its score does not.
  const counts = evidence !== null && !evidence.saturating;
  const limit = get(series, R.limit);
  const plateauAge = get(series, R.plateauAge);
  const slope = evidence ? evidence.slope : 0;
  return {
    startedAt: get(series, R.epochAt),
    endedAt: get(series, R.at),
    cause,
    score: counts ? evidence.score : 0,
    variance: evidence ? evidence.variance : 0,
    slope: Number.isFinite(slope) ? slope : 0,
    tail: evidence ? evidence.tail : 0,
    growth: evidence ? evidence.growth : 0,
    bytes: get(series, R.bytes),
    peak: highestBlock(series),
    limit: Number.isNaN(limit) ? null : limit,
    suspected: get(series, R.suspectedInEpoch) === 1,
    plateauAge: Number.isNaN(plateauAge) ? null : plateauAge,
  };
}

export function isExhaustion(epoch: ServiceEpoch): boolean {
  if (!(epoch.slope > 0)) return false;
  return epoch.cause === 'oom' || (epoch.limit !== null && epoch.bytes >= AT_LIMIT * epoch.limit);
}

export function lifetime(epoch: ServiceEpoch): number {
  return Math.max(0, epoch.endedAt - epoch.startedAt);
}

function highestBlock(series: SeriesRecord): number {
  let highest = get(series, R.bytes);
  for (const value of series.cells) if (value > highest) highest = value;
  return highest;
}
