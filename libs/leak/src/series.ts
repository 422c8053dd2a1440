import { LEAK_STATES } from '@tidemark/contracts';
import { evaluateRing, type Evidence } from './evidence.js';
import { beginEpoch, trackEpoch } from './epoch.js';
import { updateImminence } from './imminence.js';
import { markRing } from './marks.js';
import type { DetectorProfile, RingProfile } from './profile.js';
import { get, getRing, Q, R, registerCount, ringRegister, setRing, stateOf, type SeriesRecord } from './registers.js';
import { liveRings, openRings, putBlock, truncateRings } from './ring.js';
import { closeEpoch, noteState, serviceWord, type ServiceBook } from './service-book.js';
import { advanceState, closeGrowth } from './state-machine.js';
import { describeTransition, type Before } from './status.js';
import { admit, dropPending, isReading, limitOf, observedStep } from './timeline.js';
import type { EndCause, SeriesInput, SeriesOrigin, Transition } from './types.js';

declare const opaque: unique symbol;

/** What is remembered of one process: constant size, about 2 KiB when it has lived for days, less before. */
export type Series = SeriesRecord & { readonly [opaque]: never };

/** Registers that are 0 at first; all others are NaN, "none". */
const ZERO = [R.staleCount, R.ignored, R.state, R.imminent, R.imminentMisses, R.suspectedInEpoch, R.lead, R.clock];
/** What a stream is taken to send at first: one reading a minute. */
const FIRST_CADENCE = 60_000;

/** A series with nothing observed yet. */
export function createSeries(profile: DetectorProfile, origin: SeriesOrigin): Series {
  const n = Array.from({ length: registerCount(profile) }, () => NaN);
  const series: SeriesRecord = { profile, service: origin.service, n, cells: new Float32Array(0) };
  for (const register of ZERO) n[register] = 0;
  n[R.cadence] = FIRST_CADENCE;
  n[R.startedAt] = origin.startedAt;
  for (let ring = 0; ring < profile.rings.length; ring++) n.fill(0, ringRegister(ring, 0), ringRegister(ring + 1, 0));
  openRings(series);
  return series as Series;
}

/**
 * Takes one reading and returns the change of verdict it decided, if any. Never throws: what is no reading (not finite,
 * negative, absurd) or not newer than the newest one is ignored and counted. Readings may be sparse, as long as an
 * unchanged process repeats itself once a minute.
 */
export function observe(series: Series, input: SeriesInput, book?: ServiceBook): Transition | null {
  if (!isReading(input)) {
    series.n[R.ignored] = get(series, R.ignored) + 1;
    return null;
  }
  const from = stateOf(series);
  const imminentBefore = get(series, R.imminent) === 1;
  switch (admit(series, input)) {
    case 'ignore':
      return null;
    case 'rewind':
      rewind(series, input.at);
      break;
    case 'accept-pending': {
      const at = get(series, R.pendingAt);
      const bytes = get(series, R.pendingBytes);
      const limit = get(series, R.pendingLimit);
      dropPending(series);
      series.n[R.ignored] = get(series, R.ignored) - 1;
      if (at < input.at) take(series, at, bytes, limit, book);
      break;
    }
    case 'accept':
      break;
  }
  const evidence = take(series, input.at, input.bytes, limitOf(input), book);
  return settle(series, { from, imminentBefore, evidence }, book);
}

/** One accepted reading: time, rings, evidence, state. */
function take(series: SeriesRecord, at: number, bytes: number, limit: number, book?: ServiceBook): readonly Evidence[] {
  const first = Number.isNaN(get(series, R.at));
  if (first) begin(series, at);
  const before = get(series, R.bytes);
  const beforeAt = get(series, R.at);
  const held = !first && at - beforeAt <= series.profile.carry;
  if (!first) series.n[R.clock] = get(series, R.clock) + observedStep(series, at);
  series.n[R.at] = at;
  series.n[R.bytes] = bytes;
  series.n[R.limit] = limit;
  const closed = fillRings(series, { at, bytes }, held ? { at: beforeAt, bytes: before } : null);
  if (!closed) return NONE;
  trackEpoch(series, book);
  const evidence = evaluateDue(series);
  updateImminence(series);
  advanceState(series, evidence, serviceWord(series, book));
  return evidence;
}

const NONE: readonly Evidence[] = [];

function begin(series: SeriesRecord, at: number): void {
  const startedAt = get(series, R.startedAt);
  if (!(startedAt >= 0 && startedAt <= at)) series.n[R.startedAt] = at;
  series.n[R.since] = at;
  series.n[R.stateClock] = 0;
  beginEpoch(series, get(series, R.startedAt));
}

interface Reading {
  at: number;
  bytes: number;
}

/** The last value held until this one came, unless there was a gap. Returns whether a block of the finest ring closed. */
function fillRings(series: SeriesRecord, { at, bytes }: Reading, before: Reading | null): boolean {
  const { rings } = series.profile;
  let closed = false;
  for (let ring = 0; ring < liveRings(series); ring++) {
    const { block: length } = rings[ring] as RingProfile;
    const block = Math.floor(at / length);
    const newest = getRing(series, ring, Q.newest);
    if (ring === 0) closed = block > newest;
    if (!before) {
      putBlock(series, ring, block, bytes);
      continue;
    }
    for (let hole = Math.floor(before.at / length) + 1; hole < block; hole++)
      putBlock(series, ring, hole, before.bytes);
    putBlock(series, ring, block, Math.min(before.bytes, bytes));
  }
  return closed;
}

/** Evaluates every ring that has closed enough blocks since its last turn. */
function evaluateDue(series: SeriesRecord): readonly Evidence[] {
  const { profile } = series;
  const evidence: Evidence[] = [];
  const rings = liveRings(series);
  for (let ring = 0; ring < rings; ring++) {
    const closed = getRing(series, ring, Q.newest) - 1;
    const every = ring === 0 && isUrgentNow(series) ? 1 : (profile.rings[ring] as RingProfile).every;
    if (closed - getRing(series, ring, Q.evaluated) < every) continue;
    setRing(series, ring, Q.evaluated, closed);
    const one = evaluateRing(series, ring);
    if (!one) continue;
    markRing(series, one);
    evidence.push(one);
  }
  return evidence;
}

/** Near exhaustion every block counts. */
function isUrgentNow(series: SeriesRecord): boolean {
  const left = (get(series, R.limit) - get(series, R.bytes)) / get(series, R.high);
  return left >= 0 && left < series.profile.urgent;
}

/** Time was set back: blocks of the time that never was are dropped, everything else stays. */
function rewind(series: SeriesRecord, at: number): void {
  truncateRings(series, at);
  series.n[R.at] = at;
  series.n[R.startedAt] = Math.min(get(series, R.startedAt), at);
  series.n[R.epochAt] = Math.min(get(series, R.epochAt), at);
  if (get(series, R.since) > at) series.n[R.since] = at;
  if (get(series, R.openedAt) > at) series.n[R.openedAt] = at;
}

/** Tells what changed, and forgets a growth that is over. */
function settle(series: SeriesRecord, before: Before, book: ServiceBook | undefined): Transition | null {
  const { from, imminentBefore } = before;
  const to = stateOf(series);
  const imminent = get(series, R.imminent) === 1;
  if (to === from && imminent === imminentBefore) return null;
  if (imminent && Number.isNaN(get(series, R.openedAt))) series.n[R.openedAt] = get(series, R.at);
  const transition = describeTransition(series, before);
  if (book) noteState(book, series, transition);
  if (to === 'LEARNING' || to === 'STABLE' || to === 'CLEARED') {
    closeGrowth(series);
    if (!imminent) series.n[R.openedAt] = NaN;
  }
  return transition;
}

/**
 * The process ended at `at`. Its epoch goes to the book, and a growth that was suspected is CLEARED: a dead process
 * leaks no more. The series must not be used afterwards.
 */
export function closeSeries(series: Series, at: number, cause: EndCause, book?: ServiceBook): Transition | null {
  if (Number.isNaN(get(series, R.at))) return null;
  if (at > get(series, R.at) && isReading({ at, bytes: 0, limit: null })) series.n[R.at] = at;
  if (book) closeEpoch(book, series, cause);
  const from = stateOf(series);
  const imminentBefore = get(series, R.imminent) === 1;
  const open = !Number.isNaN(get(series, R.suspectedClock)) || imminentBefore;
  if (!open) return null;
  series.n[R.imminent] = 0;
  if (!Number.isNaN(get(series, R.suspectedClock))) series.n[R.state] = LEAK_STATES.indexOf('CLEARED');
  series.n[R.since] = get(series, R.at);
  return settle(series, { from, imminentBefore, evidence: NONE }, book);
}
