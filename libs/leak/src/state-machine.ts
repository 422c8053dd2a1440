import { LEAK_STATES, type LeakState } from '@tidemark/contracts';
import type { Evidence } from './evidence.js';
import { timeToExhaustion } from './exhaustion.js';
import { isSuspicious } from './marks.js';
import {
  anyMark,
  get,
  getRing,
  hasMark,
  Mark,
  Q,
  R,
  setMark,
  setRing,
  stateOf,
  type SeriesRecord,
} from './registers.js';
import { liveRings } from './ring.js';

/** What the service's other processes say; the state machine knows no book. */
export interface ServiceWord {
  /** Least age before a verdict, ms. */
  gate: number;
  /** The service leaks over its restarts. */
  leaks: boolean;
  /** Enough other processes or earlier epochs of it are suspected. */
  corroborated: boolean;
  /** What earlier runs of a batch job reached, bytes: a run that stays below it does as they did. 0 for other services. */
  usual: number;
}

/**
 * Advances the state by the evidence of the rings that were just evaluated (already in their marks). Each state looks
 * only at what may leave it; entry thresholds exceed exit thresholds everywhere, so no single evaluation flaps.
 */
export function advanceState(series: SeriesRecord, evidence: readonly Evidence[], word: ServiceWord): void {
  for (const one of evidence) {
    if (one.level <= word.usual) continue;
    const known = word.leaks && one.leakShaped && hasMark(series, one.ring, Mark.growing);
    if (known || isSuspicious(series, one)) setMark(series, one.ring, Mark.suspected, true);
  }
  trackGrowth(series, evidence);
  // A state may be passed through at once, but no more than each of them once.
  for (let i = 0; i < LEAK_STATES.length; i++) {
    const next = nextState(series, evidence, word);
    if (next === stateOf(series)) return;
    enterState(series, next, evidence);
  }
}

function nextState(series: SeriesRecord, evidence: readonly Evidence[], word: ServiceWord): LeakState {
  const state = stateOf(series);
  switch (state) {
    case 'LEARNING':
      return isGateOpen(series, word) ? 'STABLE' : state;
    case 'STABLE':
      return anyMark(series, Mark.growing) ? 'GROWING' : state;
    case 'GROWING':
      return leaveGrowing(series);
    case 'SUSPECTED':
      if (isOver(series)) return 'CLEARED';
      if (!anyMark(series, Mark.suspected)) return anyMark(series, Mark.saturating) ? 'SATURATING' : 'CLEARED';
      return isConfirmed(series, evidence, word) ? 'CONFIRMED' : state;
    case 'CONFIRMED':
      return isOver(series) ? 'CLEARED' : state;
    case 'SATURATING':
      return leaveSaturating(series);
    case 'CLEARED':
      return leaveCleared(series, evidence);
  }
}

function isGateOpen(series: SeriesRecord, word: ServiceWord): boolean {
  if (get(series, R.at) - get(series, R.epochAt) < word.gate) return false;
  for (let ring = 0; ring < liveRings(series); ring++) {
    if (getRing(series, ring, Q.newest) - getRing(series, ring, Q.first) >= series.profile.minimumBlocks) return true;
  }
  return false;
}

function leaveGrowing(series: SeriesRecord): LeakState {
  if (anyMark(series, Mark.suspected)) return 'SUSPECTED';
  if (!anyMark(series, Mark.growing)) return 'STABLE';
  for (let ring = 0; ring < series.profile.rings.length; ring++) {
    if (hasMark(series, ring, Mark.growing) && !hasMark(series, ring, Mark.saturating)) return 'GROWING';
  }
  return 'SATURATING';
}

function leaveSaturating(series: SeriesRecord): LeakState {
  if (anyMark(series, Mark.suspected)) return 'SUSPECTED';
  if (!Number.isNaN(get(series, R.suspectedClock))) return isOver(series) ? 'CLEARED' : 'SATURATING';
  if (!anyMark(series, Mark.growing)) return 'STABLE';
  for (let ring = 0; ring < series.profile.rings.length; ring++) {
    if (hasMark(series, ring, Mark.growing) && hasMark(series, ring, Mark.leakShaped)) return 'GROWING';
  }
  return 'SATURATING';
}

function leaveCleared(series: SeriesRecord, evidence: readonly Evidence[]): LeakState {
  const { cleared } = series.profile;
  if (get(series, R.clock) - get(series, R.stateClock) >= cleared.rearm) return 'STABLE';
  const plain = evidence.some((one) => one.z >= cleared.z && hasMark(series, one.ring, Mark.growing));
  return plain ? 'GROWING' : 'CLEARED';
}

/** Whether the growth is over: quiet for long enough, or half of it given back for long enough. */
function isOver(series: SeriesRecord): boolean {
  const { cleared, epoch } = series.profile;
  const clock = get(series, R.clock);
  const quiet = clock - get(series, R.quietClock);
  const span = get(series, R.window) / 3;
  if (quiet >= Math.max(cleared.held, Number.isNaN(span) ? 0 : span)) return true;
  return clock - get(series, R.fallClock) >= epoch.held;
}

/**
 * Keeps the peak of the watched growth, and since when the tail of the suspicious ring has risen no faster than a quarter
 * of what it did.
 */
function trackGrowth(series: SeriesRecord, evidence: readonly Evidence[]): void {
  const entry = get(series, R.entrySlope);
  const found = get(series, R.findingRing);
  const watching = Number.isNaN(found) ? get(series, R.lead) : found;
  for (const one of evidence) {
    if (one.ring !== watching) continue;
    if (one.level > get(series, R.peak)) series.n[R.peak] = one.level;
    if (Number.isNaN(entry)) continue;
    if (one.tailHigh > series.profile.cleared.slopeShare * entry) series.n[R.quietClock] = NaN;
    else if (Number.isNaN(get(series, R.quietClock))) series.n[R.quietClock] = get(series, R.clock);
  }
}

function isConfirmed(series: SeriesRecord, evidence: readonly Evidence[], word: ServiceWord): boolean {
  if (word.corroborated) return true;
  return evidence.some(
    (one) =>
      one.leakShaped && hasMark(series, one.ring, Mark.suspected) && (isUrgent(series, one) || isProven(series, one)),
  );
}

/** Most of the limit is used and the rest will not last. */
function isUrgent(series: SeriesRecord, evidence: Evidence): boolean {
  const { confirmed } = series.profile;
  const limit = get(series, R.limit);
  const left = timeToExhaustion(evidence.level, limit, evidence.high);
  if (left === null || left >= confirmed.exhaustion) return false;
  return evidence.records >= confirmed.records && evidence.level >= confirmed.limitShare * limit;
}

/** Suspected for hours, and seen over a time that no daily ramp lasts. */
function isProven(series: SeriesRecord, evidence: Evidence): boolean {
  const { confirmed } = series.profile;
  if (get(series, R.clock) - get(series, R.suspectedClock) < confirmed.held) return false;
  const left = timeToExhaustion(evidence.level, get(series, R.limit), evidence.slope);
  const wanted = left === null ? confirmed.spanMaximum : left * confirmed.spanShare;
  // Another ring that is suspected but sees it level off withholds its consent.
  for (let ring = 0; ring < liveRings(series); ring++) {
    if (hasMark(series, ring, Mark.suspected) && getRing(series, ring, Q.weak) > 0) return false;
  }
  if (evidence.halves < confirmed.halves) return false;
  return evidence.span >= Math.max(confirmed.spanMinimum, Math.min(confirmed.spanMaximum, wanted));
}

function enterState(series: SeriesRecord, next: LeakState, evidence: readonly Evidence[]): void {
  const before = stateOf(series);
  series.n[R.state] = LEAK_STATES.indexOf(next);
  series.n[R.since] = get(series, R.at);
  series.n[R.stateClock] = get(series, R.clock);
  if (next === 'GROWING' || next === 'SUSPECTED') openGrowth(series, evidence);
  if (next === 'SUSPECTED') {
    const raised = evidence.find((one) => hasMark(series, one.ring, Mark.suspected)) ?? evidence[0];
    series.n[R.suspectedClock] = get(series, R.clock);
    series.n[R.suspectedInEpoch] = 1;
    series.n[R.entrySlope] = raised ? raised.slope : get(series, R.slope);
    series.n[R.findingRing] = raised ? raised.ring : get(series, R.lead);
    series.n[R.quietClock] = NaN;
  }
  if (next === 'STABLE' || next === 'SATURATING') {
    const age = get(series, R.at) - get(series, R.epochAt);
    if (before === 'GROWING' && Number.isNaN(get(series, R.plateauAge))) series.n[R.plateauAge] = age;
  }
  if (next === 'CLEARED') for (let ring = 0; ring < series.profile.rings.length; ring++) clearRing(series, ring);
}

/** The next suspicion needs new evidence from the start. */
function clearRing(series: SeriesRecord, ring: number): void {
  setRing(series, ring, Q.streak, 0);
  setRing(series, ring, Q.weak, 0);
  setMark(series, ring, Mark.growing | Mark.leakShaped | Mark.suspected | Mark.saturating, false);
}

function openGrowth(series: SeriesRecord, evidence: readonly Evidence[]): void {
  if (Number.isNaN(get(series, R.openedAt))) series.n[R.openedAt] = get(series, R.at);
  if (!Number.isNaN(get(series, R.openLevel))) return;
  const grown = evidence.find((one) => one.growing);
  series.n[R.openLevel] = grown ? grown.openLevel : get(series, R.bytes);
  series.n[R.peak] = get(series, R.openLevel);
}

/** Forgets the growth being watched, once its last transition has been told. */
export function closeGrowth(series: SeriesRecord): void {
  for (const register of [
    R.openLevel,
    R.peak,
    R.entrySlope,
    R.quietClock,
    R.fallClock,
    R.suspectedClock,
    R.findingRing,
  ]) {
    series.n[register] = NaN;
  }
}
