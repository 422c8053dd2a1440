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

/** Counts the swings of at least 5 %: each fall from a high that is followed by a rise, and the last one. */
export function countCollections(v: Float64Array, n: number): number {
  let cycles = 0;
  let rising = true;
  let extreme = n > 0 ? (v[0] as number) : 0;
  for (let i = 1; i < n; i++) {
    const value = v[i] as number;
    if (rising ? value >= extreme : value <= extreme) {
      extreme = value;
    } else if (rising && value <= extreme * (1 - COLLECTION)) {
      cycles++;
      rising = false;
      extreme = value;
    } else if (!rising && value >= extreme * (1 + COLLECTION)) {
      rising = true;
      extreme = value;
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
