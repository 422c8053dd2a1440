import type { Random } from '../random.js';
import type { SiteFamily } from './site-trace.js';

/** Sites that never give back some of what they take. */
export const LEAKING_SITES: Readonly<Record<string, SiteFamily>> = {
  'steady leak': (random, length, { blocks, size }) => {
    const begin = random.uniform(0, 0.1) * length;
    const step = (length - begin) / blocks;
    return Array.from({ length: blocks }, (_, i) => ({ born: begin + i * step, freed: Infinity, size: size() }));
  },

  'leak at random times': (random, length, { blocks, size }) => {
    const begin = random.uniform(0, 0.1) * length;
    return times(random, blocks, begin, length).map((born) => ({ born, freed: Infinity, size: size() }));
  },

  'bursts of leaks': (random, length, { blocks, size }) => {
    const bursts = Math.floor(random.uniform(12, 40));
    return times(random, bursts, 0, length).flatMap((at) =>
      Array.from({ length: Math.max(1, Math.round((blocks / bursts) * random.uniform(0.3, 1.7))) }, (_, i) => ({
        ...{ born: Math.min(length, at + (i * length) / 20_000), freed: Infinity, size: size() },
      })),
    );
  },

  'one call in a hundred': (random, length, { blocks, size }) => {
    const share = random.uniform(0.008, 0.03);
    const calls = Math.min(20_000, Math.ceil(blocks / share));
    const life = length * random.logUniform(0.00001, 0.002);
    return times(random, calls, 0, length).map((born, i) => ({
      ...{ born, freed: i % Math.round(1 / share) === 0 ? Infinity : born - life * Math.log(1 - random.next()) },
      size: size(),
    }));
  },

  'slow leak': (random, length, { blocks, size }) => {
    const few = Math.floor(random.uniform(14, 32));
    const begin = random.uniform(0, 0.05) * length;
    const step = (length - begin) / few;
    return Array.from({ length: few }, (_, i) => ({
      ...{ born: begin + (i + random.uniform(0, 0.8)) * step, freed: Infinity, size: (size() * blocks) / few },
    }));
  },

  'leak that follows the load': (random, length, { blocks, size }) => {
    const period = random.uniform(0.1, 0.5) * length;
    const depth = random.uniform(0.3, 0.9);
    return times(random, blocks * 2, 0, length)
      .filter((at) => random.next() < (1 + depth * Math.sin((2 * Math.PI * at) / period)) / 2)
      .map((born) => ({ born, freed: Infinity, size: size() }));
  },
};

/** Sites that leak beside doing something else: told apart only with time. */
export const HIDDEN_LEAKS: Readonly<Record<string, SiteFamily>> = {
  'leak that begins late': (random, length, { blocks, size }) => {
    const begin = random.uniform(0.3, 0.6) * length;
    const life = length * random.logUniform(0.0001, 0.01);
    return times(random, blocks * 3, 0, length).map((born, i) => ({
      ...{ born, freed: born > begin && i % 3 === 0 ? Infinity : born + life * random.next() },
      size: size(),
    }));
  },

  'leak among sessions': (random, length, { blocks, size }) => {
    const life = length * random.uniform(0.02, 0.08);
    return times(random, blocks * 3, 0, length).map((born, i) => ({
      ...{ born, freed: i % 5 === 0 ? Infinity : born + life * random.uniform(0.5, 1.5) },
      size: size(),
    }));
  },
};

/** `count` times at random in [from, to), in order. */
export function times(random: Random, count: number, from: number, to: number): number[] {
  return Array.from({ length: count }, () => random.uniform(from, to)).sort((a, b) => a - b);
}
