import { CLOCK } from './format.js';
import type { Moment } from './header.js';

/** Moments kept. When there are more, every second one of the middle goes. */
const MAX_MOMENTS = 64;
/** Moments closer than this say too little about the rate of ticks, ns: two clock reads apart by 100 ns are 2 ppm of it. */
const MIN_SPAN_NS = 50e6;
/** Wall clock and monotonic clock that went apart by more between two moments: the machine slept, or was set. */
const APART_MS = 20;

/**
 * Turns ticks into epoch milliseconds. Between two moments that were seen it goes straight from the one to the other; past
 * the last (or before the first) it goes on at the rate of all moments in which the wall clock ran evenly. So a suspended
 * machine or a clock that was set spoils only the stretch in which it happened.
 */
export interface TickClock {
  /** Takes a moment that was read; moments must come in order, others are passed over. */
  add(moment: Moment | null): void;
  /** `now` is the latest that an answer can be, epoch milliseconds. */
  toTime(ticks: number, now: number): number;
  /** Ticks in a millisecond; null while nothing tells. */
  rate(): number | null;
}

export function createTickClock(clock: number): TickClock {
  const moments: Moment[] = [];
  let rate: number | null = clock === CLOCK.MONOTONIC ? 1e6 : null;

  const add = (moment: Moment | null): void => {
    if (moment === null) return;
    const last = moments.at(-1);
    if (last !== undefined && (moment.ticks <= last.ticks || moment.monotonicNs <= last.monotonicNs)) return;
    moments.push(moment);
    if (moments.length > MAX_MOMENTS) thin(moments);
    if (clock !== CLOCK.MONOTONIC) rate = rateOf(moments) ?? rate;
  };

  const toTime = (ticks: number, now: number): number => {
    const first = moments[0];
    const last = moments.at(-1);
    if (first === undefined || last === undefined) return now;
    return Math.min(now, between(moments, ticks, rate, first, last));
  };

  return { add, toTime, rate: () => rate };
}

function between(moments: readonly Moment[], ticks: number, rate: number | null, first: Moment, last: Moment): number {
  const from = (moment: Moment): number => moment.realtimeMs + (rate === null ? 0 : (ticks - moment.ticks) / rate);
  if (ticks >= last.ticks) return from(last);
  if (ticks <= first.ticks) return from(first);
  let low = 0;
  let high = moments.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (moments[middle]!.ticks <= ticks) low = middle;
    else high = middle;
  }
  const before = moments[low]!;
  const after = moments[high]!;
  if (rate !== null && apart(before, after) > APART_MS) {
    // Where in this stretch the clock jumped is unknown: the later moment is right for what it is nearer to.
    return Math.max(before.realtimeMs, from(ticks - before.ticks < after.ticks - ticks ? before : after));
  }
  const share = (ticks - before.ticks) / (after.ticks - before.ticks);
  return before.realtimeMs + share * (after.realtimeMs - before.realtimeMs);
}

/** Ticks in a millisecond over all stretches in which both clocks ran evenly; null when they are too short to tell. */
function rateOf(moments: readonly Moment[]): number | null {
  let ticks = 0;
  let nanoseconds = 0;
  for (let index = 1; index < moments.length; index++) {
    const before = moments[index - 1]!;
    const after = moments[index]!;
    if (apart(before, after) > APART_MS) continue;
    ticks += after.ticks - before.ticks;
    nanoseconds += after.monotonicNs - before.monotonicNs;
  }
  if (nanoseconds >= MIN_SPAN_NS) return (ticks / nanoseconds) * 1e6;
  return roughRate(moments);
}

/** When nothing better is there: the monotonic clock over everything that was seen. */
function roughRate(moments: readonly Moment[]): number | null {
  const first = moments[0];
  const last = moments.at(-1);
  if (first === undefined || last === undefined || last.monotonicNs === first.monotonicNs) return null;
  return ((last.ticks - first.ticks) / (last.monotonicNs - first.monotonicNs)) * 1e6;
}

function apart(before: Moment, after: Moment): number {
  return Math.abs(after.realtimeMs - before.realtimeMs - (after.monotonicNs - before.monotonicNs) / 1e6);
}

function thin(moments: Moment[]): void {
  for (let index = moments.length - 2; index > 0; index -= 2) moments.splice(index, 1);
}
