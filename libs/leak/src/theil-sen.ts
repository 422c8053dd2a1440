import { selectRank } from './order-statistics.js';

export interface TheilSen {
  /** Median of the slopes of all pairs, in v per t. */
  slope: number;
  low: number;
  high: number;
}

/** Ninety-five per cent, two-sided. */
const NORMAL_95 = 1.959963984540054;

/** Pairs of the largest window; grown when a caller brings more. */
let slopes = new Float64Array(2556);

/**
 * Theil–Sen slope with the interval of Sen (1968): of the N ordered pair slopes those of rank (N ∓ 1.96·√Var S)/2, Var S
 * being Kendall's (see `kendallVariance`), inflated when the points are autocorrelated. Pairs of equal t have no slope.
 * Breakdown 29 %: fewer wild points than that do not move it. NaN when there is no pair.
 */
export function theilSen(t: Float64Array, v: Float64Array, n: number, variance: number): TheilSen {
  const pairs = (n * (n - 1)) / 2;
  if (slopes.length < pairs) slopes = new Float64Array(pairs);
  let count = 0;
  for (let i = 0; i < n - 1; i++) {
    const t0 = t[i] as number;
    const v0 = v[i] as number;
    for (let j = i + 1; j < n; j++) {
      const dt = (t[j] as number) - t0;
      if (dt > 0) slopes[count++] = ((v[j] as number) - v0) / dt;
    }
  }
  if (count === 0) return { slope: NaN, low: NaN, high: NaN };
  const half = count >>> 1;
  const upper = selectRank(slopes, half, 0, count);
  let slope = upper;
  if (count % 2 === 0) {
    let lower = slopes[0] as number;
    for (let i = 1; i < half; i++) lower = Math.max(lower, slopes[i] as number);
    slope = (lower + upper) / 2;
  }
  const reach = NORMAL_95 * Math.sqrt(Math.max(0, variance));
  const lowRank = Math.max(0, roundHalfEven((count - reach) / 2) - 1);
  const highRank = Math.min(count - 1, roundHalfEven((count + reach) / 2));
  const low = lowRank < half ? selectRank(slopes, lowRank, 0, half) : slope;
  const high = highRank > half ? selectRank(slopes, highRank, half + 1, count) : upper;
  return { slope, low: Math.min(low, slope), high: Math.max(high, slope) };
}

/** Rounds like the reference implementations, halves to the even neighbour. */
function roundHalfEven(x: number): number {
  const floor = Math.floor(x);
  if (x - floor !== 0.5) return Math.round(x);
  return floor % 2 === 0 ? floor : floor + 1;
}
