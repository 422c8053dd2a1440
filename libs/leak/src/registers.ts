import { LEAK_STATES, type LeakState } from '@tidemark/contracts';
import type { DetectorProfile } from './profile.js';

/**
 * All that is remembered of a process: two arrays of numbers. A snapshot of them is complete by construction, and their
 * size is the memory a process costs (plain fields would double it: a boxed number is 24 bytes, one in an array 8; a
 * typed array of the same numbers has 150 bytes more around it).
 */
export interface SeriesRecord {
  readonly profile: DetectorProfile;
  readonly service: string;
  /** Registers, addressed by `R` and by `ringRegister`. NaN is "none". */
  readonly n: number[];
  /** Block minima of all rings, NaN where there is none; grows by one ring when the finer one is full. */
  cells: Float32Array;
}

/** Registers of a series. Times are epoch ms unless they say clock: the sum of observed time, which gaps do not move. */
export const R = {
  startedAt: 0,
  epochAt: 1,
  /** Newest accepted reading. */
  at: 2,
  bytes: 3,
  limit: 4,
  clock: 5,
  /** Typical distance of two readings, ms. */
  cadence: 6,
  /** A reading beyond a jump of time, waiting for a second one. */
  pendingAt: 7,
  pendingBytes: 8,
  pendingLimit: 9,
  /** Readings in a row that were older than the newest, and the first of them. */
  staleCount: 10,
  staleFrom: 11,
  staleLast: 12,
  /** Readings dropped: not numbers, negative, or older than the newest. */
  ignored: 13,
  /** Index into LEAK_STATES. */
  state: 14,
  since: 15,
  stateClock: 16,
  imminent: 17,
  imminentMisses: 18,
  /** The growth being watched: when it was opened, at which level, its slope when suspected, its peak. */
  openedAt: 19,
  openLevel: 20,
  entrySlope: 21,
  peak: 22,
  /** Clock since when the slope is a quarter of what it was; since when half of the growth is gone. */
  quietClock: 23,
  fallClock: 24,
  suspectedClock: 25,
  /** Last tested slope and interval, bytes per ms, and its window, ms. */
  slope: 26,
  low: 27,
  high: 28,
  window: 29,
  z: 30,
  tail: 31,
  records: 32,
  /** Ring that this evidence is of. */
  lead: 37,
  /** Least block of the epoch since its gate; clock since when the level is below half of it. */
  floor: 33,
  dropClock: 34,
  /** Age at which the first growth of the epoch levelled off, ms. */
  plateauAge: 35,
  suspectedInEpoch: 36,
  /** Ring that raised the suspicion. */
  findingRing: 38,
} as const;

const RING_BASE = 39;
const RING_SIZE = 7;

/** Registers of a ring. */
export const Q = {
  /** Number of the newest (still open) block and of the first one; block number = floor(at / block). */
  newest: 0,
  first: 1,
  /** Consecutive passes (> 0) or failures (< 0) of the growth test. */
  streak: 2,
  /** Consecutive evaluations that were too weak for a suspicion. */
  weak: 3,
  /** Bits of `Mark`. */
  marks: 4,
  /** Clock at the first pass of this streak. */
  heldFrom: 5,
  /** Closed block at the last evaluation. */
  evaluated: 6,
} as const;

/** What the last evaluations of a ring said. */
export const Mark = {
  growing: 1,
  leakShaped: 2,
  suspected: 4,
  saturating: 8,
} as const;

/** Position of a ring's register in `n`. */
export function ringRegister(ring: number, register: number): number {
  return RING_BASE + ring * RING_SIZE + register;
}

export function registerCount(profile: DetectorProfile): number {
  return RING_BASE + profile.rings.length * RING_SIZE;
}

/** A register's value; every index is a constant of this file, so it exists. */
export function get(series: SeriesRecord, register: number): number {
  return series.n[register] as number;
}

export function getRing(series: SeriesRecord, ring: number, register: number): number {
  return series.n[ringRegister(ring, register)] as number;
}

export function setRing(series: SeriesRecord, ring: number, register: number, value: number): void {
  series.n[ringRegister(ring, register)] = value;
}

export function stateOf(series: SeriesRecord): LeakState {
  return LEAK_STATES[get(series, R.state)] as LeakState;
}

export function hasMark(series: SeriesRecord, ring: number, mark: number): boolean {
  return (getRing(series, ring, Q.marks) & mark) !== 0;
}

export function setMark(series: SeriesRecord, ring: number, mark: number, on: boolean): void {
  const marks = getRing(series, ring, Q.marks);
  setRing(series, ring, Q.marks, on ? marks | mark : marks & ~mark);
}

export function anyMark(series: SeriesRecord, mark: number): boolean {
  for (let ring = 0; ring < series.profile.rings.length; ring++) if (hasMark(series, ring, mark)) return true;
  return false;
}
