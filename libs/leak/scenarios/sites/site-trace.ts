import { BIRTH_BINS, SURVIVAL_MS, type SiteFigures } from '@tidemark/contracts';
import { createSiteLedger, type SiteVerdict } from '../../src/index.js';
import { createRandom, type Random } from '../random.js';

/** One block: milliseconds since the begin of the trace; `freed` is Infinity when it never is. */
export interface Block {
  born: number;
  freed: number;
  size: number;
}

/** Draws all blocks of one site over a trace of `length` milliseconds. */
export type SiteFamily = (random: Random, length: number, draw: Draw) => Block[];

/** What the reading of the trace asks of the family. */
export interface Draw {
  /** About as many blocks as the site may have alive. */
  blocks: number;
  /** Size of one block. */
  size: () => number;
}

export interface Reading {
  /** Trace length, and time between readings; milliseconds. `once` reads only at the end of the process. */
  length: number;
  step: number | 'once';
  /** Mean bytes between samples; null is exact. */
  interval: number | null;
}

/** When every trace begins. */
const BEGIN = Date.UTC(2025, 0, 6);
export const SAMPLE_INTERVAL = 524_288;

export interface SiteOutcome {
  /** The last. */
  verdict: SiteVerdict;
  /** Milliseconds that it was under suspicion. */
  suspected: number;
}

/** Runs the ledger over one drawn site, next to nothing else, and gives its last verdict. */
export function judgeFamily(family: SiteFamily, seed: number, reading: Reading): SiteOutcome {
  const random = createRandom(seed * 7919 + 31);
  const base = random.logUniform(32, 4096);
  // Enough bytes that a sampled leak has some twenty samples: fewer are a matter of waiting, not of judging.
  const blocks = Math.floor(random.logUniform(40, 1500));
  const mean = reading.interval === null ? base : (random.uniform(16, 128) * reading.interval) / blocks;
  const size = (): number => Math.max(1, Math.round(mean * random.uniform(0.5, 1.5)));
  const drawn = family(random, reading.length, { blocks, size });
  const known = reading.interval === null ? drawn.map(exactly) : drawn.flatMap(sampler(random, reading.interval));
  return judgeBlocks(known, reading);
}

export interface Known extends Block {
  /** Blocks that it stands for, and the variance of its bytes. */
  weight: number;
  variance: number;
}

export const exactly = (block: Block): Known => ({ ...block, weight: 1, variance: 0 });

/** A block of s bytes is a sample with P = 1 − e^(−s/R) and stands for 1/P blocks. */
function sampler(random: Random, interval: number): (block: Block) => Known[] {
  return (block) => {
    const p = -Math.expm1(-block.size / interval);
    if (random.next() >= p) return [];
    return [{ ...block, weight: 1 / p, variance: (block.size ** 2 * (1 - p)) / p ** 2 }];
  };
}

function judgeBlocks(blocks: readonly Known[], { length, step, interval }: Reading): SiteOutcome {
  let suspected = 0;
  const ledger = createSiteLedger();
  const mode = interval === null ? 'EXACT' : 'SAMPLED';
  const times = step === 'once' ? [length] : timesOf(length, step);
  for (const time of times) {
    const figures = figuresAt(blocks, time);
    const sites = figures ? [figures] : [];
    const ended = step === 'once';
    ledger.observe({ at: BEGIN + time, ended, birthsUntil: BEGIN + time, mode, sites });
    const { state } = ledger.verdict(1);
    if (step !== 'once' && (state === 'SUSPECTED' || state === 'CONFIRMED')) suspected += step;
  }
  return { verdict: ledger.verdict(1), suspected };
}

function timesOf(length: number, step: number): number[] {
  return Array.from({ length: Math.floor(length / step) }, (_, i) => (i + 1) * step);
}

export function figuresAt(blocks: readonly Known[], time: number): SiteFigures | undefined {
  const seen = blocks.filter(({ born }) => born <= time);
  if (seen.length === 0) return undefined;
  const firstAt = seen.reduce((least, { born }) => Math.min(least, born), Infinity);
  const figures = { allocations: 0, frees: 0, allocatedBytes: 0, freedBytes: 0, oldFrees: 0 };
  const births = new Array<number>(BIRTH_BINS).fill(0);
  let [liveCount, liveBytes, liveSamples, liveVariance] = [0, 0, 0, 0];
  for (const { born, freed, size, weight, variance } of seen) {
    figures.allocations += weight;
    figures.allocatedBytes += weight * size;
    if (freed <= time) {
      figures.frees += weight;
      figures.freedBytes += weight * size;
      if (freed - born >= SURVIVAL_MS) figures.oldFrees += weight;
      continue;
    }
    liveCount += weight;
    liveBytes += weight * size;
    liveSamples++;
    liveVariance += variance;
    const share = time > firstAt ? (born - firstAt) / (time - firstAt) : 0;
    births[Math.min(BIRTH_BINS - 1, Math.floor(share * BIRTH_BINS))]!++;
  }
  return {
    ...{ site: 1, ...figures, liveCount, liveBytes, liveSamples, liveVariance, firstAt: BEGIN + firstAt, births },
  };
}
