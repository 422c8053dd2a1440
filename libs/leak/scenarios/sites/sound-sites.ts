import { times } from './leaking-sites.js';
import type { Block, SiteFamily } from './site-trace.js';

/** Sites that hold memory and do not leak. */
export const SOUND_SITES: Readonly<Record<string, SiteFamily>> = {
  'cache filled once': (random, length, { blocks, size }) => {
    // Keys at random: the more are there, the rarer a miss.
    const begin = random.uniform(0, 0.1) * length;
    const mean = random.uniform(0.01, 0.1) * length;
    return Array.from({ length: blocks }, () => begin - mean * Math.log(1 - random.next()))
      .filter((born) => born < length)
      .map((born) => ({ born, freed: Infinity, size: size() }));
  },

  'cache filled evenly': (random, length, { blocks, size }) => {
    const until = random.uniform(0.02, 0.5) * length;
    return times(random, blocks, 0, until).map((born) => ({ born, freed: Infinity, size: size() }));
  },

  'cache that evicts the oldest': (random, length, { blocks, size }) => {
    const turns = random.uniform(3, 30);
    const born = times(random, Math.floor(blocks * turns), 0, length);
    return born.map((at, i) => ({ born: at, freed: born[i + blocks] ?? Infinity, size: size() }));
  },

  'cache that evicts the least used': (random, length, { blocks, size }) => {
    const capacity = Math.min(400, blocks);
    const cache = new Map<number, Block>();
    const all: Block[] = [];
    const calls = capacity * Math.floor(random.uniform(10, 40));
    for (const at of times(random, calls, 0, length)) {
      const key = Math.floor(capacity * 8 * random.next() ** 3);
      const held = cache.get(key);
      if (held) {
        cache.delete(key);
        cache.set(key, held);
        continue;
      }
      const block = { born: at, freed: Infinity, size: size() };
      all.push(block);
      cache.set(key, block);
      if (cache.size <= capacity) continue;
      const [oldest, evicted] = cache.entries().next().value!;
      evicted.freed = at;
      cache.delete(oldest);
    }
    return all;
  },

  'table that doubles': (_, length, { blocks, size }) => {
    const entries = blocks * 4;
    const step = length / entries;
    const all: Block[] = [];
    for (let capacity = 8; capacity < entries; capacity *= 2) {
      const last = all.at(-1);
      if (last) last.freed = capacity * step;
      all.push({ born: all.length === 0 ? 0 : capacity * step, freed: Infinity, size: (capacity * size()) / 64 });
    }
    return all;
  },

  'pool that warms up': (random, length, { blocks, size }) => {
    let demand = 0;
    const all: Block[] = [];
    const mean = blocks / 2;
    for (let i = 0; i < 3000; i++) {
      demand += 0.05 * (mean - demand) + random.normal() * mean * 0.06;
      while (all.length < demand) all.push({ born: (i * length) / 3000, freed: Infinity, size: size() });
    }
    return all;
  },

  churn: (random, length, { blocks, size }) => {
    const life = length * random.logUniform(0.0005, 0.1);
    const calls = Math.min(20_000, Math.ceil((blocks * length) / life / 4));
    return times(random, calls, 0, length).map((born) => ({
      ...{ born, freed: born - life * Math.log(1 - random.next()), size: size() },
    }));
  },

  'churn with a long tail': (random, length, { blocks, size }) => {
    const median = length * random.logUniform(0.0005, 0.02);
    const sigma = random.uniform(1, 1.8);
    return times(random, blocks * 6, 0, length).map((born) => ({
      ...{ born, freed: born + median * Math.exp(sigma * random.normal()), size: size() },
    }));
  },

  'waves of requests': (random, length, { blocks, size }) => {
    const period = random.uniform(0.08, 0.3) * length;
    const phase = random.uniform(0, 2 * Math.PI);
    let idle = 0;
    // One server with a queue: it falls behind at the crest of each wave and catches up after it.
    const calls = times(random, blocks * 8, 0, length).filter(
      (at) => random.next() < (1 + Math.sin((2 * Math.PI * at) / period + phase)) / 2,
    );
    const service = (length / calls.length) * random.uniform(0.7, 0.9);
    return calls.map((born) => {
      idle = Math.max(idle, born) + service;
      return { born, freed: idle, size: size() };
    });
  },

  'session store': (random, length, { blocks, size }) => {
    const timeout = random.uniform(0.02, 0.3) * length;
    return times(random, Math.ceil((blocks * length) / timeout / 2), 0, length).map((born) => ({
      ...{ born, freed: born + timeout * random.uniform(1, 1.6), size: size() },
    }));
  },

  'set up once': (random, length, { blocks, size }) => {
    const until = random.uniform(0, 0.05) * length;
    const reloads = Math.floor(random.uniform(0, 3));
    const moments = [0, ...times(random, reloads, until, length)];
    return moments.flatMap((at, i) =>
      times(random, Math.ceil(blocks / 4), at, at + until).map((born) => ({
        ...{ born, freed: random.next() < 0.8 ? (moments[i + 1] ?? Infinity) : Infinity, size: size() },
      })),
    );
  },

  'arena that is reset': (random, length, { blocks, size }) => {
    const period = random.uniform(0.05, 0.3) * length;
    const offset = random.next() * period;
    return times(random, blocks * 2, 0, length).map((born) => ({
      ...{ born, freed: (Math.floor((born + offset) / period) + 1) * period - offset, size: size() },
    }));
  },

  'a few that stay': (random, length, { size }) =>
    times(random, Math.floor(random.uniform(1, 7)), 0, length).map((born) => ({ born, freed: Infinity, size: size() })),
};
