import { medianOf } from './order-statistics.js';

export interface MannKendall {
  /** Σ sign(vⱼ − vᵢ) over i < j. */
  s: number;
  /** Variance of S under no trend, corrected for ties and inflated for autocorrelation. */
  variance: number;
  /** (S ∓ 1)/√variance, 0 when nothing varies. */
  z: number;
}

const sorted = new Float64Array(512);

/** S of Mann (1945): concordant less discordant pairs. */
export function kendallScore(v: Float64Array, n: number): number {
  let s = 0;
  for (let i = 0; i < n - 1; i++) {
    const first = v[i] as number;
    for (let j = i + 1; j < n; j++) {
      const second = v[j] as number;
      s += second > first ? 1 : second < first ? -1 : 0;
    }
  }
  return s;
}

/** Var(S) = [n(n−1)(2n+5) − Σ t(t−1)(2t+5)] / 18 over groups of t equal values (Kendall 1975). At most 512 values. */
export function kendallVariance(v: Float64Array, n: number): number {
  const ordered = sorted.subarray(0, n);
  for (let i = 0; i < n; i++) ordered[i] = v[i] as number;
  ordered.sort();
  let ties = 0;
  for (let i = 0; i < n;) {
    let j = i + 1;
    while (j < n && ordered[j] === ordered[i]) j++;
    const t = j - i;
    if (t > 1) ties += t * (t - 1) * (2 * t + 5);
    i = j;
  }
  return (n * (n - 1) * (2 * n + 5) - ties) / 18;
}

/**
 * How much autocorrelation inflates Var(S): (1+ρ)/(1−ρ), the limit for AR(1) of Bayley and Hammersley's effective n.
 */
export function autocorrelationInflation(t: Float64Array, v: Float64Array, n: number): number {
  const rho = residualAutocorrelation(t, v, n);
  return (1 + rho) / (1 - rho);
}

const residuals = new Float64Array(512);

/**
 * ρ: lag-1 autocorrelation of what is left of v after a least-squares parabola, clipped to [0, 0.9]. The trend itself
 * must not count as autocorrelation (von Storch 1995; Yue et al. 2002), and neither must its bend: about a straight line,
 * an accelerating leak without any noise would have ρ ≈ 1.
 */
export function residualAutocorrelation(t: Float64Array, v: Float64Array, n: number): number {
  if (n < 4) return 0;
  const spread = detrend(t, v, n);
  if (!(spread > 0)) return 0;
  let lagged = 0;
  for (let i = 1; i < n; i++) lagged += (residuals[i] as number) * (residuals[i - 1] as number);
  return Math.min(0.9, Math.max(0, lagged / spread));
}

/** Writes v less its parabola into `residuals` and returns their sum of squares; 0 when only rounding is left. */
function detrend(t: Float64Array, v: Float64Array, n: number): number {
  const middle = ((t[0] as number) + (t[n - 1] as number)) / 2;
  const half = ((t[n - 1] as number) - (t[0] as number)) / 2;
  const scale = half > 0 ? 1 / half : 0;
  // Orthogonal polynomials on the points themselves: 1, x − a, (x − b)(x − a) − c.
  let sx = 0;
  let sv = 0;
  for (let i = 0; i < n; i++) {
    sx += ((t[i] as number) - middle) * scale;
    sv += v[i] as number;
  }
  const a = sx / n;
  const mean = sv / n;
  let pp = 0;
  let xpp = 0;
  let pv = 0;
  for (let i = 0; i < n; i++) {
    const x = ((t[i] as number) - middle) * scale;
    pp += (x - a) * (x - a);
    xpp += x * (x - a) * (x - a);
    pv += (x - a) * ((v[i] as number) - mean);
  }
  if (!(pp > 0)) return 0;
  const b = xpp / pp;
  const c = pp / n;
  const linear = pv / pp;
  let qq = 0;
  let qv = 0;
  let total = 0;
  for (let i = 0; i < n; i++) {
    const x = ((t[i] as number) - middle) * scale;
    const q = (x - b) * (x - a) - c;
    const r = (v[i] as number) - mean - linear * (x - a);
    residuals[i] = r;
    qq += q * q;
    qv += q * r;
    total += (v[i] as number) * (v[i] as number);
  }
  const curved = qq > 0 ? qv / qq : 0;
  let squares = 0;
  for (let i = 0; i < n; i++) {
    const x = ((t[i] as number) - middle) * scale;
    const r = (residuals[i] as number) - curved * ((x - b) * (x - a) - c);
    residuals[i] = r;
    squares += r * r;
  }
  return squares > total * 1e-20 ? squares : 0;
}

/** Robust spread of the residuals about slope `b`: 1.4826 × median absolute deviation. */
export function residualSpread(t: Float64Array, v: Float64Array, n: number, b: number): number {
  const origin = t[0] as number;
  for (let i = 0; i < n; i++) residuals[i] = (v[i] as number) - b * ((t[i] as number) - origin);
  const centre = medianOf(residuals, 0, n);
  for (let i = 0; i < n; i++) residuals[i] = Math.abs((residuals[i] as number) - centre);
  return 1.4826 * medianOf(residuals, 0, n);
}

/** Trend test of v over its order; `inflation` from `autocorrelationInflation`. */
export function mannKendall(v: Float64Array, n: number, inflation = 1): MannKendall {
  const s = kendallScore(v, n);
  const variance = kendallVariance(v, n) * inflation;
  return { s, variance, z: kendallZ(s, variance) };
}

/** Normal approximation with continuity correction. */
export function kendallZ(s: number, variance: number): number {
  if (!(variance > 0) || s === 0) return 0;
  return (s - Math.sign(s)) / Math.sqrt(variance);
}
