import type { Evidence } from './evidence.js';
import { get, getRing, hasMark, Mark, Q, R, setMark, setRing, type SeriesRecord } from './registers.js';
import { timeToExhaustion } from './exhaustion.js';

/** Streaks are counted no further than this. */
const LONGEST_STREAK = 100;

/** Takes the evidence of a ring into its marks, and keeps the numbers of the ring that says most. */
export function markRing(series: SeriesRecord, evidence: Evidence): void {
  const { profile } = series;
  const { ring } = evidence;
  const before = getRing(series, ring, Q.streak);
  const streak = evidence.growing ? Math.max(before, 0) + 1 : Math.min(before, 0) - 1;
  setRing(series, ring, Q.streak, Math.max(-LONGEST_STREAK, Math.min(LONGEST_STREAK, streak)));
  if (streak === 1 && !hasMark(series, ring, Mark.growing)) setRing(series, ring, Q.heldFrom, get(series, R.clock));
  if (streak >= profile.growing.passes) setMark(series, ring, Mark.growing, true);
  if (streak <= -profile.growing.failures) setMark(series, ring, Mark.growing, false);
  setMark(series, ring, Mark.leakShaped, evidence.leakShaped);
  if (evidence.growing) setMark(series, ring, Mark.saturating, evidence.saturating);
  markWeakness(series, evidence);
  keepEvidence(series, evidence);
}

function markWeakness(series: SeriesRecord, evidence: Evidence): void {
  const { weak } = series.profile;
  const { ring } = evidence;
  const isWeak = evidence.tail < weak.tail || evidence.z < weak.z;
  const count = isWeak ? getRing(series, ring, Q.weak) + 1 : 0;
  setRing(series, ring, Q.weak, Math.min(count, LONGEST_STREAK));
  if (count < weak.evaluations || !hasMark(series, ring, Mark.suspected)) return;
  setMark(series, ring, Mark.suspected, false);
  setMark(series, ring, Mark.saturating, evidence.z >= weak.z);
}

function rankOf(series: SeriesRecord, ring: number): number {
  if (hasMark(series, ring, Mark.suspected)) return 2;
  return hasMark(series, ring, Mark.growing) ? 1 : 0;
}

function keepEvidence(series: SeriesRecord, evidence: Evidence): void {
  const lead = get(series, R.lead);
  const rank = rankOf(series, evidence.ring);
  const leadRank = rankOf(series, lead);
  if (evidence.ring !== lead && (rank < leadRank || (rank === leadRank && evidence.ring > lead))) return;
  series.n[R.lead] = evidence.ring;
  series.n[R.slope] = evidence.slope;
  series.n[R.low] = evidence.low;
  series.n[R.high] = evidence.high;
  series.n[R.window] = evidence.span;
  series.n[R.z] = evidence.z;
  series.n[R.tail] = evidence.tail;
  series.n[R.records] = evidence.records;
}

/**
 * A ring raises a suspicion when it has grown in a leak's shape for a quarter of the time that is left, within the
 * profile's bounds.
 */
export function isSuspicious(series: SeriesRecord, evidence: Evidence): boolean {
  if (!evidence.leakShaped || !hasMark(series, evidence.ring, Mark.growing)) return false;
  return growingFor(series, evidence.ring) >= holdTime(series, evidence);
}

/** Observed time since the ring's first pass, ms. */
export function growingFor(series: SeriesRecord, ring: number): number {
  return get(series, R.clock) - getRing(series, ring, Q.heldFrom);
}

function holdTime(series: SeriesRecord, { level, slope }: Evidence): number {
  const { heldMinimum, heldMaximum, heldUnbounded, exhaustionShare } = series.profile.suspected;
  const left = timeToExhaustion(level, get(series, R.limit), slope);
  if (left === null) return heldUnbounded;
  return Math.max(heldMinimum, Math.min(heldMaximum, left * exhaustionShare));
}
