import type { LeakState } from '@tidemark/contracts';
import { measureGrowth, type Evidence } from './evidence.js';
import { timeToExhaustion } from './exhaustion.js';
import { get, getRing, hasMark, Mark, Q, R, stateOf, type SeriesRecord } from './registers.js';
import type { Growth, LeakStatus, Transition } from './types.js';

const HOUR = 3_600_000;

function orNull(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}

/** Last tested slope with its interval, else the one there is to measure; null while there are too few blocks. */
function growthOf(series: SeriesRecord): Growth | null {
  if (!Number.isNaN(get(series, R.slope))) {
    return toGrowth(get(series, R.slope), get(series, R.low), get(series, R.high), get(series, R.window));
  }
  const measured = measureGrowth(series);
  return measured && toGrowth(measured.slope, measured.low, measured.high, measured.span);
}

/** From bytes per ms and ms. */
export function toGrowth(slope: number, low: number, high: number, span: number): Growth {
  return { bytesPerHour: slope * HOUR, low: low * HOUR, high: high * HOUR, window: Math.round(span / 1000) };
}

function secondsLeft(series: SeriesRecord): number | null {
  if (!(get(series, R.low) > 0)) return null;
  const left = timeToExhaustion(get(series, R.bytes), get(series, R.limit), get(series, R.high));
  return left === null ? null : left / 1000;
}

/** Lowest and highest confidence of each state; in between the strength of the evidence decides. */
const CONFIDENCE: Record<LeakState, readonly [number, number]> = {
  LEARNING: [0, 0],
  STABLE: [0, 0.1],
  CLEARED: [0, 0.1],
  SATURATING: [0.05, 0.3],
  GROWING: [0.1, 0.45],
  SUSPECTED: [0.5, 0.8],
  CONFIRMED: [0.8, 0.99],
};

/**
 * A score, not a probability: the state's band, and within it the mean of four strengths from 0 to 1: significance
 * (Z over Z + 3), persistence of the slope (q), new highs (r), and the tightness of the interval (low over slope).
 */
export function confidenceOf(series: SeriesRecord): number {
  const [least, most] = CONFIDENCE[stateOf(series)];
  const z = Math.max(0, get(series, R.z));
  const slope = get(series, R.slope);
  const strengths = [
    z / (z + 3),
    get(series, R.tail),
    get(series, R.records),
    slope > 0 ? get(series, R.low) / slope : 0,
  ];
  let sum = 0;
  for (const one of strengths) sum += one > 0 ? Math.min(1, one) : 0;
  return least + ((most - least) * sum) / strengths.length;
}

/** The verdict as it stands. Cheap for a series that was tested; else it measures the slope, tens of microseconds. */
export function statusOf(series: SeriesRecord): LeakStatus {
  return {
    state: stateOf(series),
    since: get(series, R.since),
    openedAt: orNull(get(series, R.openedAt)),
    confidence: confidenceOf(series),
    imminent: get(series, R.imminent) === 1,
    growth: growthOf(series),
    secondsToExhaustion: secondsLeft(series),
  };
}

/** What stood before a reading, and what the reading brought. */
export interface Before {
  from: LeakState;
  imminentBefore: boolean;
  evidence: readonly Evidence[];
}

export function describeTransition(series: SeriesRecord, { from, imminentBefore, evidence }: Before): Transition {
  const at = get(series, R.at);
  const openedAt = get(series, R.openedAt);
  return {
    at,
    from,
    to: stateOf(series),
    imminentBefore,
    imminent: get(series, R.imminent) === 1,
    openedAt: Number.isNaN(openedAt) ? at : openedAt,
    growth: growthOf(series),
    secondsToExhaustion: secondsLeft(series),
    confidence: confidenceOf(series),
    bytes: get(series, R.bytes),
    limit: orNull(get(series, R.limit)),
    evidence: evidenceOf(series, evidence),
  };
}

function evidenceOf(series: SeriesRecord, evaluated: readonly Evidence[]): Record<string, number | null> {
  const lead = get(series, R.lead);
  const fresh = evaluated.find((one) => one.ring === lead && Number.isFinite(one.slope));
  const held = getRing(series, lead, Q.heldFrom);
  return {
    ageSeconds: (get(series, R.at) - get(series, R.epochAt)) / 1000,
    ring: lead,
    windowSeconds: orNull(get(series, R.window) / 1000),
    z: orNull(get(series, R.z)),
    tailRatio: orNull(get(series, R.tail)),
    newHighShare: orNull(get(series, R.records)),
    growingSeconds: hasMark(series, lead, Mark.growing) ? (get(series, R.clock) - held) / 1000 : null,
    openLevel: orNull(get(series, R.openLevel)),
    peak: orNull(get(series, R.peak)),
    entryBytesPerHour: orNull(get(series, R.entrySlope) * HOUR),
    ignoredReadings: get(series, R.ignored),
    points: fresh?.points ?? null,
    growthBytes: fresh?.growth ?? null,
    residualSigmaBytes: fresh?.sigma ?? null,
    varianceInflation: fresh?.inflation ?? null,
    halvesRatio: fresh?.halves ?? null,
    stepShare: fresh?.stepShare ?? null,
    steps: fresh?.steps ?? null,
    plateauBic: fresh?.bic ?? null,
    collections: fresh?.cycles ?? null,
  };
}
