import { cusum } from './cusum.js';
import { lowerEnvelope, type Envelope } from './envelope.js';
import { autocorrelationInflation, kendallScore, kendallVariance, kendallZ, residualSpread } from './mann-kendall.js';
import { medianOf } from './order-statistics.js';
import type { RingProfile } from './profile.js';
import { get, getRing, hasMark, Mark, Q, R, type SeriesRecord } from './registers.js';
import { blockAt, gatherBlocks, liveRings, type Window } from './ring.js';
import { halvesRatio, measureSteps, recordShare, saturationEvidence, tailTrend } from './shape.js';
import { theilSen } from './theil-sen.js';

/** What one ring says of the growth in its window; slopes are bytes per ms. */
export interface Evidence {
  ring: number;
  /** Points tested, and the time they span, ms. */
  points: number;
  span: number;
  slope: number;
  low: number;
  high: number;
  z: number;
  /** Kendall's S and its corrected variance, for the service's evidence. */
  score: number;
  variance: number;
  inflation: number;
  /** Fitted growth over the window, bytes, no more than the range of the points. */
  growth: number;
  /** Robust spread of the residuals, bytes. */
  sigma: number;
  tail: number;
  /** Upper end of the tail's slope. */
  tailHigh: number;
  records: number;
  /** Growth of the second half over that of the first. */
  halves: number;
  stepShare: number;
  steps: number;
  bic: number;
  cycles: number;
  /** Where the window begins and ends, bytes: medians of its first and its last three points. */
  openLevel: number;
  level: number;
  /** The growth test: significant and material. */
  growing: boolean;
  /** Growing, and no known harmless shape. */
  leakShaped: boolean;
  /** Growing, but levelling off. */
  saturating: boolean;
}

const window: Window = { n: 0, t: new Float64Array(512), v: new Float64Array(512) };

/** Evidence of one ring as of its newest closed block; null when it has too few blocks to say anything. */
export function evaluateRing(series: SeriesRecord, ring: number): Evidence | null {
  const { profile } = series;
  const { block, gated } = profile.rings[ring] as RingProfile;
  gatherBlocks(series, ring, firstBlock(series, ring), window);
  if (window.n < profile.minimumBlocks) return null;
  if (rangeOf(window) < materialGrowth(series, profile.growing)) return flatEvidence(ring, block);
  const envelope = reduceToFloor(series, ring);
  const gate = cusum(window.v, window.n, profile.cusum);
  const worthwhile = gate.armed || gate.rising || hasMark(series, ring, Mark.growing | Mark.suspected);
  if (gated && !worthwhile) return flatEvidence(ring, block);
  const whole = judgeWindow(series, ring, 0, envelope);
  if (whole.growing || !gate.armed || window.n - gate.onset < profile.minimumBlocks) return whole;
  const since = judgeWindow(series, ring, gate.onset, envelope);
  return since.growing ? since : whole;
}

/** The floor, when enough collections are in the window to make one; else the blocks as they are. */
function reduceToFloor(series: SeriesRecord, ring: number): Envelope {
  const envelope = lowerEnvelope(window);
  if (envelope.merged === 1 || window.n >= series.profile.minimumTroughs) return envelope;
  gatherBlocks(series, ring, firstBlock(series, ring), window);
  return { cycles: envelope.cycles, merged: 1 };
}

/** The coarser rings leave out the warm-up, which would bend their windows for days. */
function firstBlock(series: SeriesRecord, ring: number): number {
  const { block } = series.profile.rings[ring] as RingProfile;
  const epochAt = get(series, R.epochAt);
  if (ring === 0) return Math.floor(epochAt / block);
  return Math.ceil((epochAt + series.profile.gate.minimum) / block);
}

function rangeOf({ v, n }: Window): number {
  let least = Infinity;
  let most = -Infinity;
  for (let i = 0; i < n; i++) {
    const value = v[i] as number;
    if (value < least) least = value;
    if (value > most) most = value;
  }
  return most - least;
}

/** Growth that is worth a word: bytes, and a share of the limit where there is one. */
export function materialGrowth(series: SeriesRecord, floor: { bytes: number; limitShare: number }): number {
  const limit = get(series, R.limit);
  return Number.isNaN(limit) ? floor.bytes : Math.max(floor.bytes, floor.limitShare * limit);
}

/** Nothing that matters: what the cheap tests say instead of the dear ones. */
function flatEvidence(ring: number, block: number): Evidence {
  // Written out, of one shape: this is made for nearly every evaluation of a quiet process.
  return {
    ring,
    points: window.n,
    span: spanOf(window, 0) * block,
    slope: NaN,
    low: NaN,
    high: NaN,
    z: 0,
    score: 0,
    variance: 0,
    inflation: 1,
    growth: 0,
    sigma: 0,
    tail: 0,
    tailHigh: 0,
    records: 0,
    halves: 0,
    stepShare: 0,
    steps: 0,
    bic: 0,
    cycles: 0,
    openLevel: NaN,
    level: NaN,
    growing: false,
    leakShaped: false,
    saturating: false,
  };
}

function spanOf({ t, n }: Window, from: number): number {
  return n > from ? (t[n - 1] as number) - (t[from] as number) : 0;
}

/** No collections, nothing merged. */
const PLAIN: Envelope = { cycles: 0, merged: 1 };

/** The dear tests, on the window from index `from` on. */
function judgeWindow(series: SeriesRecord, ring: number, from: number, { cycles, merged }: Envelope): Evidence {
  const { block } = series.profile.rings[ring] as RingProfile;
  const n = window.n - from;
  const t = window.t.subarray(from, window.n);
  const v = window.v.subarray(from, window.n);
  const plain = kendallVariance(v, n);
  const inflation = autocorrelationInflation(t, v, n);
  const variance = plain * inflation;
  const { slope, low, high } = theilSen(t, v, n, variance);
  const score = kendallScore(v, n);
  const span = spanOf(window, from);
  const evidence = flatEvidence(ring, block);
  evidence.points = n;
  evidence.span = span * block;
  evidence.slope = slope / block;
  evidence.low = low / block;
  evidence.high = high / block;
  evidence.z = kendallZ(score, variance);
  evidence.score = score;
  evidence.variance = variance;
  evidence.inflation = inflation;
  evidence.growth = Math.min(Math.max(0, slope * span), rangeOf({ t, v, n }));
  evidence.sigma = residualSpread(t, v, n, slope);
  evidence.cycles = cycles;
  evidence.openLevel = medianOf(v, 0, Math.min(3, n));
  evidence.level = medianOf(v, Math.max(0, n - 3), n);
  evidence.growing = isGrowing(series, evidence) && exceedsThePast(series, evidence, t, merged);
  judgeShape(series, evidence, t, v, slope);
  return evidence;
}

function isGrowing(series: SeriesRecord, evidence: Evidence): boolean {
  const { growing } = series.profile;
  if (evidence.z < growing.z || !(evidence.low > 0)) return false;
  return evidence.growth >= Math.max(materialGrowth(series, growing), growing.sigmas * evidence.sigma);
}

function judgeShape(series: SeriesRecord, evidence: Evidence, t: Float64Array, v: Float64Array, slope: number): void {
  const { suspected, weak } = series.profile;
  const { block } = series.profile.rings[evidence.ring] as RingProfile;
  const tail = tailTrend(t, v, evidence.points);
  evidence.tail = slope > 0 ? tail.slope / slope : 0;
  evidence.tailHigh = tail.high / block;
  if (!evidence.growing) return;
  evidence.records = recordShare(v, evidence.points);
  evidence.halves = halvesRatio(v, evidence.points);
  const steps = measureSteps(v, evidence.points);
  evidence.stepShare = steps.share;
  evidence.steps = steps.count;
  if (evidence.tail < suspected.bend) {
    evidence.bic = saturationEvidence(t, v, evidence.points, evidence.points / evidence.inflation);
  }
  evidence.saturating = evidence.bic > suspected.bic || evidence.tail < weak.tail;
  evidence.leakShaped =
    !evidence.saturating &&
    (evidence.cycles < suspected.fewCycles || evidence.cycles >= suspected.cycles) &&
    evidence.tail >= suspected.tail &&
    evidence.records >= suspected.records &&
    (steps.share <= suspected.stepShare || steps.count >= suspected.steps) &&
    evidence.growth >= materialGrowth(series, suspected);
}

/**
 * A ramp that only returns to where the process was before (a collection cycle longer than the window, the load of the
 * day or the week) is no growth yet: the level must be a new high of the time before the window, as this ring and the coarser
 * ones remember it. The floor of a sawtooth is compared with rings whose blocks are long enough to hold a floor.
 */
function exceedsThePast(series: SeriesRecord, evidence: Evidence, t: Float64Array, merged: number): boolean {
  const { rings, suspected } = series.profile;
  if (evidence.span >= suspected.recall) return true;
  const { block } = rings[evidence.ring] as RingProfile;
  const begins = (t[0] as number) * block;
  for (let ring = evidence.ring; ring < liveRings(series); ring++) {
    const { block: length, capacity } = rings[ring] as RingProfile;
    if (length < merged * block) continue;
    const to = Math.floor(begins / length);
    const from = Math.max(getRing(series, ring, Q.newest) - capacity + 1, Math.ceil(get(series, R.epochAt) / length));
    for (let past = from; past < to; past++) if (blockAt(series, ring, past) >= evidence.level) return false;
  }
  return true;
}

/**
 * Slope and interval of the finest ring that has enough blocks, for a series whose growth was too small to be tested.
 * Costs tens of microseconds, so it is asked for and not kept.
 */
export function measureGrowth(series: SeriesRecord): Evidence | null {
  for (let ring = 0; ring < liveRings(series); ring++) {
    gatherBlocks(series, ring, firstBlock(series, ring), window);
    if (window.n >= series.profile.minimumBlocks) return judgeWindow(series, ring, 0, PLAIN);
  }
  return null;
}

/** Evidence of a whole epoch against its uptime, without its warm-up; null when it was too short. */
export function summariseEpoch(series: SeriesRecord): Evidence | null {
  const { rings, gate, minimumTroughs } = series.profile;
  const begins = get(series, R.epochAt) + gate.minimum;
  const live = liveRings(series);
  for (let ring = 0; ring < live; ring++) {
    const { block, capacity } = rings[ring] as RingProfile;
    const from = Math.ceil(begins / block);
    if (from <= getRing(series, ring, Q.newest) - capacity && ring < live - 1) continue;
    gatherBlocks(series, ring, from, window);
    const envelope = lowerEnvelope(window);
    return window.n < minimumTroughs ? null : judgeWindow(series, ring, 0, envelope);
  }
  return null;
}
