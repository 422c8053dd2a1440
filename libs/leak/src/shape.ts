import { medianOf } from './order-statistics.js';
import { theilSen, type TheilSen } from './theil-sen.js';
import { kendallVariance } from './mann-kendall.js';

const MINIMUM_TAIL = 8;

/**
 * Trend of the last third (eight points at least). Its slope over the whole window's is q: 1 for a line, near 0 after a
 * plateau, above 1 when it accelerates.
 */
export function tailTrend(t: Float64Array, v: Float64Array, n: number): TheilSen {
  const points = Math.min(n, Math.max(MINIMUM_TAIL, Math.round(n / 3)));
  const values = v.subarray(n - points, n);
  return theilSen(t.subarray(n - points, n), values, points, kendallVariance(values, points));
}

const GROUPS = 12;

/**
 * r: share of new highs. The window is cut into twelve groups (fewer points: as many); r is the share of groups, the
 * first one apart, whose median exceeds every earlier one's. Groups rather than points, so that block noise of the size
 * of one block's growth does not hide a rise that is plain over the window.
 */
export function recordShare(v: Float64Array, n: number): number {
  const groups = Math.min(GROUPS, n);
  if (groups < 2) return 0;
  let records = 0;
  let highest = -Infinity;
  for (let g = 0; g < groups; g++) {
    const level = medianOf(v, Math.floor((g * n) / groups), Math.floor(((g + 1) * n) / groups));
    if (level > highest) {
      highest = level;
      if (g > 0) records++;
    }
  }
  return records / (groups - 1);
}

/**
 * Growth of the second half over that of the first, from the medians of the first, the middle and the last sixth: 1 for a
 * line. Where steps come ever more rarely it falls towards 0, which a tail that just holds one step does not show.
 */
export function halvesRatio(v: Float64Array, n: number): number {
  const sixth = Math.max(1, Math.floor(n / 6));
  const middle = Math.floor((n - sixth) / 2);
  const begins = medianOf(v, 0, sixth);
  const halfWay = medianOf(v, middle, middle + sixth);
  const first = halfWay - begins;
  const second = medianOf(v, n - sixth, n) - halfWay;
  if (first > 0) return Math.min(MOSTLY_LATE, Math.max(0, second / first));
  return second > 0 ? MOSTLY_LATE : 0;
}

/** All growth in the second half; a number, so that it can be stored and told. */
const MOSTLY_LATE = 1000;

export interface Steps {
  /** s: share of the net growth that the two largest jumps made. */
  share: number;
  /** Jumps of at least a tenth of the net growth. */
  count: number;
}

export function measureSteps(v: Float64Array, n: number): Steps {
  const net = (v[n - 1] as number) - (v[0] as number);
  if (n < 2 || !(net > 0)) return { share: 0, count: 0 };
  let largest = 0;
  let second = 0;
  let count = 0;
  for (let i = 1; i < n; i++) {
    const jump = (v[i] as number) - (v[i - 1] as number);
    if (jump >= net / 10) count++;
    if (jump > largest) {
      second = largest;
      largest = jump;
    } else if (jump > second) second = jump;
  }
  return { share: Math.min(1, (largest + second) / net), count };
}

/** Time constants tried, as shares of the window. A longer one bends too little in the window to tell it from a line. */
const TIME_CONSTANTS = [0.08, 0.14, 0.25, 0.45, 0.8];

/**
 * Schwarz's BIC of a line less that of a saturating exponential a + c·(1 − e^(−t/τ)), c > 0: above 6 is strong evidence
 * for the plateau (Kass and Raftery 1995). `effective` is the number of independent points: n over the autocorrelation
 * inflation, since correlated residuals would make any curve look certain.
 */
export function saturationEvidence(t: Float64Array, v: Float64Array, n: number, effective: number): number {
  if (n < 5) return 0;
  const origin = t[0] as number;
  const span = (t[n - 1] as number) - origin;
  if (!(span > 0)) return 0;
  for (let i = 0; i < n; i++) regressor[i] = ((t[i] as number) - origin) / span;
  const line = fitRegressor(v, n);
  if (!(line.squares > line.total * 1e-12)) return 0;
  let best = Infinity;
  for (const share of TIME_CONSTANTS) {
    for (let i = 0; i < n; i++) regressor[i] = 1 - Math.exp((origin - (t[i] as number)) / (share * span));
    const curve = fitRegressor(v, n);
    if (curve.slope > 0 && curve.squares < best) best = curve.squares;
  }
  if (best === Infinity) return 0;
  // Quantisation leaves no residual smaller than a part in 10⁶ of what the line leaves.
  const ratio = line.squares / Math.max(best, line.squares * 1e-6);
  return effective * Math.log(ratio) - Math.log(Math.max(2, effective));
}

const regressor = new Float64Array(512);

interface Fit {
  /** Sum of squares left, and about the mean. */
  squares: number;
  total: number;
  slope: number;
}

/** Least squares of v on `regressor`. */
function fitRegressor(v: Float64Array, n: number): Fit {
  let sx = 0;
  let sy = 0;
  for (let i = 0; i < n; i++) {
    sx += regressor[i] as number;
    sy += v[i] as number;
  }
  const mx = sx / n;
  const my = sy / n;
  let sxx = 0;
  let sxy = 0;
  let syy = 0;
  for (let i = 0; i < n; i++) {
    const dx = (regressor[i] as number) - mx;
    const dy = (v[i] as number) - my;
    sxx += dx * dx;
    sxy += dx * dy;
    syy += dy * dy;
  }
  if (!(sxx > 0)) return { squares: syy, total: syy, slope: 0 };
  return { squares: Math.max(0, syy - (sxy * sxy) / sxx), total: syy, slope: sxy / sxx };
}
