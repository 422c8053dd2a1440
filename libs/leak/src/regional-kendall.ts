import { kendallZ } from './mann-kendall.js';

/** One independent stretch: its Kendall score, variance of it, slope, and how much it weighs. */
export interface Stretch {
  score: number;
  variance: number;
  slope: number;
  weight: number;
}

/**
 * Regional Kendall test (Helsel and Frans 2006): Z = ΣS / √ΣVar(S) over stretches that are each too short to convince.
 */
export function regionalKendall(stretches: readonly Stretch[]): { z: number; slope: number } {
  let score = 0;
  let variance = 0;
  for (const one of stretches) {
    score += one.score;
    variance += one.variance;
  }
  return { z: kendallZ(score, variance), slope: weightedMedian(stretches) };
}

/** The slope at which half of the weight is reached; 0 for none. */
export function weightedMedian(stretches: readonly { slope: number; weight: number }[]): number {
  const ordered = [...stretches].sort((a, b) => a.slope - b.slope);
  const half = ordered.reduce((sum, one) => sum + one.weight, 0) / 2;
  let sum = 0;
  for (const one of ordered) {
    sum += one.weight;
    if (sum >= half) return one.slope;
  }
  return 0;
}
