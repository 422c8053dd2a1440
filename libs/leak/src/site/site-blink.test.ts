import { describe, expect, it } from 'vitest';
import { createRandom } from '../../scenarios/random.js';
import { exactly, figuresAt, type Block } from '../../scenarios/sites/site-trace.js';
import { createSiteLedger } from '../index.js';

const T0 = Date.UTC(2025, 0, 6);
const CALLS = 5000;

/**
 * When each turn of a loop of 0.24 µs happens: its first turns take milliseconds, when all is called for the first time, and
 * the scheduler takes the processor away a few times.
 */
function turnTimes(seed: number): number[] {
  const random = createRandom(seed);
  const stops = new Set(Array.from({ length: 4 }, () => Math.floor(random.uniform(0, CALLS))));
  let time = 0;
  return Array.from({ length: CALLS }, (_, turn) => {
    time += turn < 3 ? 2 : stops.has(turn) ? random.uniform(1, 8) : 0.00024;
    return time;
  });
}

/** A leaks every fifth turn, C fills a cache of 256 in the first turns, D holds the last 64; B frees at once. */
function sitesOf(times: readonly number[]): Block[][] {
  const kept = (born: number): Block => ({ born, freed: Infinity, size: 100 });
  const cached = new Set<number>();
  const cache: Block[] = [];
  times.forEach((born, turn) => {
    const key = (turn * 40_503) % 256;
    if (cached.has(key)) return;
    cached.add(key);
    cache.push(kept(born));
  });
  return [
    times.filter((_, turn) => turn % 5 === 0).map(kept),
    times.map((born) => ({ born, freed: born + 1e-5, size: 200 })),
    cache,
    times.map((born, turn) => ({ born, freed: times[turn + 64] ?? Infinity, size: 64 })),
  ];
}

describe('a program that ran for milliseconds, most of them for first calls and others', () => {
  it.each([1, 2, 3, 4, 5, 6, 7, 8])('is told by what its sites did among each other (%i)', (seed) => {
    const times = turnTimes(seed);
    const end = times.at(-1)! + 0.01;
    const ledger = createSiteLedger();
    const sites = sitesOf(times).map((blocks, i) => ({ ...figuresAt(blocks.map(exactly), end)!, site: i + 2 }));
    const last = T0 + end;
    ledger.observe({ at: last, ended: true, birthsUntil: last, mode: 'EXACT', sites });
    const states = sites.map(({ site }) => ledger.verdict(site).state);
    expect(['SUSPECTED', 'CONFIRMED']).toContain(states[0]);
    expect(states.slice(1)).toEqual(['STABLE', 'STABLE', 'STABLE']);
  });
});
