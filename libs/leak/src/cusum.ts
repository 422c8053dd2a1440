import { medianInPlace, medianOf } from './order-statistics.js';

export interface CusumLimits {
  /** k: what an increment must exceed to count, in σ. */
  slack: number;
  /** h: the sum that arms, in σ. */
  threshold: number;
  /** One increment adds no more than this, in σ: a single jump does not arm. */
  cap: number;
  /** Least σ, in units of v. */
  sigmaFloor: number;
}

export interface Cusum {
  armed: boolean;
  /** Index of the last point before the sum began to rise: the estimated onset (Page 1954). */
  onset: number;
  /** The median of the last third lies above that of the first by more than σ: drift too slow for the sum. */
  rising: boolean;
}

const deviations = new Float64Array(512);

/** Robust σ of the increments: 1.4826 × median absolute deviation from their median. At most 512 points. */
export function incrementSpread(v: Float64Array, n: number): number {
  const count = n - 1;
  if (count < 1) return 0;
  for (let i = 0; i < count; i++) deviations[i] = (v[i + 1] as number) - (v[i] as number);
  const centre = medianInPlace(deviations, count);
  for (let i = 0; i < count; i++) deviations[i] = Math.abs((v[i + 1] as number) - (v[i] as number) - centre);
  return 1.4826 * medianInPlace(deviations, count);
}

/**
 * One-sided CUSUM of the increments of v (Page 1954): Sᵢ = max(0, Sᵢ₋₁ + min(Δᵢ/σ, cap) − k), armed while the run that
 * is still above 0 has passed h. A pure function of the window, so it costs no memory. Drift below k·σ per step is
 * invisible to it; `rising` is for that.
 */
export function cusum(v: Float64Array, n: number, limits: CusumLimits): Cusum {
  const sigma = Math.max(incrementSpread(v, n), limits.sigmaFloor);
  let sum = 0;
  let onset = n - 1;
  let passed = false;
  for (let i = 1; i < n; i++) {
    const step = ((v[i] as number) - (v[i - 1] as number)) / sigma;
    if (sum === 0) onset = i - 1;
    sum = Math.max(0, sum + Math.min(step, limits.cap) - limits.slack);
    if (sum === 0) {
      onset = i;
      passed = false;
    } else if (sum > limits.threshold) passed = true;
  }
  const third = Math.floor(n / 3);
  const rise = third > 0 ? medianOf(v, n - third, n) - medianOf(v, 0, third) : 0;
  return { armed: passed, onset, rising: rise > sigma };
}
