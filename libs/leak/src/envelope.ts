import type { Window } from './ring.js';

/** A fall from a local high by at least this share of it is a collection. */
const COLLECTION = 0.05;
/** An envelope block spans this many collection periods, so that each one has a trough in it. */
const PERIODS_PER_BLOCK = 1.5;

export interface Envelope {
  /** Collections seen in the window. */
  cycles: number;
  /** Blocks merged into one; 1 when the series has no collections to speak of. */
  merged: number;
}

/** Counts the falls of at least 5 % from a running high to a running low. */
export function countCollections(v: Float64Array, n: number): number {
  let cycles = 0;
  let high = -Infinity;
  let low = Infinity;
  for (let i = 0; i < n; i++) {
    const value = v[i] as number;
    if (value > high) high = value;
    if (value < low) low = value;
    if (value <= high * (1 - COLLECTION) && high > 0) {
      cycles++;
      high = value;
      low = value;
    } else if (value > low * (1 + COLLECTION)) {
      low = value;
      if (value > high) high = value;
    }
  }
  return cycles;
}

/**
 * Reduces a sawtooth to its floor, in place: when collections recur (three or more), points are merged into blocks of
 * 1.5 periods and each keeps its minimum, at the time of that minimum. Garbage then does not count as growth, and
 * neither hides it.
 */
export function lowerEnvelope(window: Window): Envelope {
  const cycles = countCollections(window.v, window.n);
  if (cycles < 3) return { cycles, merged: 1 };
  const merged = Math.ceil((PERIODS_PER_BLOCK * window.n) / cycles);
  const skipped = window.n % merged;
  let count = 0;
  for (let from = skipped; from < window.n; from += merged) {
    let least = from;
    for (let i = from + 1; i < from + merged && i < window.n; i++) {
      if ((window.v[i] as number) < (window.v[least] as number)) least = i;
    }
    window.t[count] = window.t[least] as number;
    window.v[count] = window.v[least] as number;
    count++;
  }
  window.n = count;
  return { cycles, merged };
}
