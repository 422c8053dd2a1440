import type { Random } from './random.js';

/** Spacing of the noise, ms: readings in between see the same noise, so every sampling rate sees one process. */
export const NOISE_STEP = 10_000;

export interface NoiseSettings {
  /** Lag-1 autocorrelation per step. */
  rho: number;
  /** Standard deviation, bytes. */
  sigma: number;
  /** Chance of a spike per step, and its mean size, bytes. */
  spikes: number;
  spikeSize: number;
}

/** AR(1) noise with rare positive heavy-tailed spikes; `at(t)` must be asked in order of t. */
export function createNoise(random: Random, settings: NoiseSettings): (t: number) => number {
  const { rho, sigma, spikes, spikeSize } = settings;
  const innovation = Math.sqrt(1 - rho * rho);
  let step = -1;
  let level = random.normal();
  let spike = 0;
  return (t) => {
    const wanted = Math.floor(t / NOISE_STEP);
    while (step < wanted) {
      step++;
      level = rho * level + innovation * random.normal();
      spike = random.next() < spikes ? Math.min(10, 1 / (1 - random.next())) * spikeSize : 0;
    }
    return level * sigma + spike;
  };
}
