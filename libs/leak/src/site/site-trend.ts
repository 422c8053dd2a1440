import { autocorrelationInflation, kendallVariance, mannKendall } from '../mann-kendall.js';
import { theilSen } from '../theil-sen.js';
import { POINTS, readPoints, type LivePoints } from './live-points.js';

/** How the live figures of a site went over its points. */
export interface SiteTrend {
  points: number;
  /** From the first point to the last, milliseconds. */
  window: number;
  /** Theil–Sen slope of the live bytes with its 95 % interval, bytes per hour. */
  slope: number;
  low: number;
  high: number;
  /** Mann–Kendall of the live blocks, corrected for ties and autocorrelation. */
  z: number;
  /** Fitted growth of the blocks over the window, as a share of the most there were. */
  share: number;
  /** Slope of the blocks in the last third over that of the window; NaN when the window has none. */
  tail: number;
  /** The deepest fall from a high before it, as a share of the range. */
  fall: number;
  /** Blocks now over the most there were. */
  level: number;
}

/** Falls below this share of the range are rounding, or a few blocks that are on their way. */
const STEADY = 0.05;

const hours = new Float64Array(POINTS);
const bytes = new Float64Array(POINTS);
const blocks = new Float64Array(POINTS);
const buffers = { hours, bytes, blocks };

/** Undefined for fewer than three points: nothing can be said of them. */
export function siteTrend(points: LivePoints): SiteTrend | undefined {
  const n = readPoints(points, buffers);
  if (n < 3) return undefined;
  const { most, fall } = highest(n);
  // What never falls has no noise that could look like a trend.
  const inflation = fall < STEADY ? 1 : autocorrelationInflation(hours, blocks, n);
  const test = mannKendall(blocks, n, inflation);
  const inBytes = theilSen(hours, bytes, n, kendallVariance(bytes, n) * inflation);
  const inBlocks = theilSen(hours, blocks, n, test.variance).slope;
  const span = (hours[n - 1] as number) - (hours[0] as number);
  return {
    points: n,
    window: span * 3_600_000,
    ...inBytes,
    z: test.z,
    share: most > 0 ? (inBlocks * span) / most : 0,
    tail: lastThird(n) / inBlocks,
    fall,
    level: most > 0 ? (blocks[n - 1] as number) / most : 0,
  };
}

/**
 * Slope of the blocks over the last third of the window, at least four points of it: the median of the pairs, or from end
 * to end where that is more, as it is when blocks come in bursts.
 */
function lastThird(n: number): number {
  const begin = (hours[0] as number) + (2 * ((hours[n - 1] as number) - (hours[0] as number))) / 3;
  let from = Math.max(0, n - 4);
  while (from > 0 && (hours[from - 1] as number) >= begin) from--;
  const median = theilSen(hours.subarray(from, n), blocks.subarray(from, n), n - from, 0).slope;
  const [time, rise] = [hours, blocks].map((of) => (of[n - 1] as number) - (of[from] as number)) as [number, number];
  return Math.max(median, rise / time);
}

function highest(n: number): { most: number; fall: number } {
  let [most, least, deepest] = [0, Infinity, 0];
  for (let i = 0; i < n; i++) {
    const value = blocks[i] as number;
    most = Math.max(most, value);
    least = Math.min(least, value);
    deepest = Math.max(deepest, most - value);
  }
  return { most, fall: most > least ? deepest / (most - least) : 0 };
}
