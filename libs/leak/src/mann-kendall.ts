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
 * How much autocorrelation inflates Var(S): (1+ρ)/(1−ρ) with ρ the lag-1 autocorrelation of the residuals about the
 * line with slope `b`, clipped to [0, 0.9]. Residuals, not values: the trend itself must not count as autocorrelation
 * (von Storch 1995; Yue et al. 2002). The factor is the limit for AR(1) of Bayley and Hammersley's effective n.
 */
export function autocorrelationInflation(t: Float64Array, v: Float64Array, n: number, b: number): number {
  const rho = residualAutocorrelation(t, v, n, b);
  return (1 + rho) / (1 - rho);
}

const residuals = new Float64Array(512);

export function residualAutocorrelation(t: Float64Array, v: Float64Array, n: number, b: number): number {
  if (n < 3) return 0;
  const origin = t[0] as number;
  let mean = 0;
  for (let i = 0; i < n; i++) {
    residuals[i] = (v[i] as number) - b * ((t[i] as number) - origin);
    mean += residuals[i] as number;
  }
  mean /= n;
  let square = 0;
  let lagged = 0;
  let before = 0;
  for (let i = 0; i < n; i++) {
    const r = (residuals[i] as number) - mean;
    square += r * r;
    if (i > 0) lagged += r * before;
    before = r;
  }
  if (!(square > 0)) return 0;
  return Math.min(0.9, Math.max(0, lagged / square));
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
