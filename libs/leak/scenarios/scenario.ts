import { createNoise } from './noise.js';
import { createRandom, type Random } from './random.js';

export const SECOND = 1000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;
export const MIB = 1024 * 1024;
export const GIB = 1024 * MIB;

/** One life of one process: its level without noise, as a function of its age in ms. */
export interface Life {
  startedAt: number;
  length: number;
  cause: 'exit' | 'oom' | null;
  level: (age: number) => number;
}

/** What a family draws for one trace. */
export interface Draft {
  limit: number;
  /** Level that the noise is a share of, bytes. */
  base: number;
  lives: Life[];
}

export interface Reading {
  at: number;
  bytes: number;
}

export interface Trace {
  limit: number;
  /** Lives, each with its readings at the sampling step asked for, in order. */
  lives: (Omit<Life, 'level'> & { readings: (step: number) => Generator<Reading> })[];
}

export type Family = (random: Random) => Draft;

/** Midnight, so that the daily load of a trace begins at its seed's hour. */
export const EPOCH = Date.UTC(2025, 0, 6);

/** Draws one trace of a family: its parameters, then noise, page quanta and missing readings. */
export function drawTrace(family: Family, seed: number): Trace {
  const random = createRandom(seed * 7919 + 17);
  const draft = family(random);
  const share = random.logUniform(0.005, 0.05);
  const settings = {
    rho: random.pick([0, 0.5, 0.9]),
    sigma: share * draft.base,
    spikes: 0.0005,
    spikeSize: 0.1 * draft.base,
  };
  const quantum = random.pick([4096, 65_536, 2 * MIB]);
  const missing = random.pick([0, 0.05, 0.2]);
  const noiseSeed = Math.floor(random.next() * 2 ** 31);
  return {
    limit: draft.limit,
    lives: draft.lives.map(({ level, ...life }, i) => ({
      ...life,
      readings: function* (step: number): Generator<Reading> {
        const noise = createNoise(createRandom(noiseSeed + i), settings);
        const gaps = createRandom(noiseSeed + i + 7);
        for (let age = 0; age <= life.length; age += step) {
          const raw = Math.max(4096, level(age) + noise(age));
          if (gaps.next() < missing) continue;
          yield { at: life.startedAt + age, bytes: Math.round(raw / quantum) * quantum };
        }
      },
    })),
  };
}
