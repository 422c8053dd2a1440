import { DAY, EPOCH, GIB, HOUR, MINUTE, SECOND, type Draft, type Family, type Life } from './scenario.js';
import type { Random } from './random.js';

function drawHealthy(random: Random): { limit: number; base: number; length: number } {
  const limit = random.logUniform(GIB, 16 * GIB);
  return { limit, base: limit * random.uniform(0.1, 0.35), length: random.uniform(1, 4) * DAY };
}

function oneLife(limit: number, base: number, length: number, level: (age: number) => number): Draft {
  return { limit, base, lives: [{ startedAt: EPOCH, length, cause: null, level }] };
}

const flat: Family = (random) => {
  const { limit, base, length } = drawHealthy(random);
  return oneLife(limit, base, length, () => base);
};

function warmUp(random: Random, tau: number): Draft {
  const { limit, base, length } = drawHealthy(random);
  const gain = base * random.uniform(0.5, 2);
  return oneLife(limit, base, Math.max(length, 8 * tau), (age) => base * 0.2 + gain * (1 - Math.exp(-age / tau)));
}

const warmUps: Family = (random) => warmUp(random, random.logUniform(5 * MINUTE, 240 * MINUTE));

/** Twice the production gate. */
const slowWarmUp: Family = (random) => warmUp(random, 30 * MINUTE);

const cacheFill: Family = (random) => {
  const { limit, base, length } = drawHealthy(random);
  const fill = random.logUniform(10 * MINUTE, 8 * HOUR);
  const size = limit * random.uniform(0.1, 0.4);
  return oneLife(limit, base, length, (age) => base * 0.3 + size * Math.min(1, age / fill));
};

const sawtooth: Family = (random) => {
  const { limit, base, length } = drawHealthy(random);
  const period = random.logUniform(10 * SECOND, 2 * HOUR);
  const garbage = limit * random.uniform(0.05, 0.35);
  return oneLife(limit, base, length, (age) => base + (garbage * (age % period)) / period);
};

/** Daily load, and quiet weekends. */
const diurnal: Family = (random) => {
  const { limit, base } = drawHealthy(random);
  const swing = base * random.uniform(0.2, 1);
  const phase = random.uniform(0, DAY);
  const day = random.uniform(0, 7);
  return oneLife(limit, base, 10 * DAY, (age) => {
    const load = 0.5 - 0.5 * Math.cos((2 * Math.PI * (age + phase)) / DAY);
    const weekend = (age / DAY + day) % 7 >= 5 ? 0.6 : 1;
    return base + swing * load * weekend;
  });
};

function ramp(random: Random, rise: number): Draft {
  const { limit, base } = drawHealthy(random);
  const gain = limit * random.uniform(0.05, 0.3);
  const onset = random.uniform(1, 12) * HOUR;
  const hold = random.uniform(4, 12) * HOUR;
  return oneLife(limit, base, onset + 2 * rise + hold + 12 * HOUR, (age) => {
    const up = Math.min(1, Math.max(0, (age - onset) / rise));
    const down = Math.min(1, Math.max(0, (age - onset - rise - hold) / rise));
    return base + gain * (up - down);
  });
}

/** Traffic moves here for some hours. */
const loadRamp: Family = (random) => ramp(random, random.logUniform(30 * MINUTE, 6 * HOUR));

const twoDayRamp: Family = (random) => ramp(random, 2 * DAY);

/** Jobs that grow while they run and end where they always end, with pauses between them. */
const batch: Family = (random) => {
  const { limit, base } = drawHealthy(random);
  const run = random.logUniform(10 * MINUTE, 100 * MINUTE);
  const gain = limit * random.uniform(0.1, 0.5);
  const lives: Life[] = [];
  let startedAt = EPOCH;
  while (startedAt < EPOCH + 2 * DAY) {
    const length = run * random.uniform(0.9, 1.1);
    lives.push({ startedAt, length, cause: 'exit', level: (age) => base * 0.2 + (gain * Math.min(age, run)) / run });
    startedAt += length + random.uniform(1, 3) * HOUR;
  }
  return { limit, base, lives };
};

/** A copy of the process for a minute or so, as snapshotting databases do. */
const forkBursts: Family = (random) => {
  const { limit, base, length } = drawHealthy(random);
  const every = random.uniform(5, 60) * MINUTE;
  const burst = random.uniform(10, 180) * SECOND;
  return oneLife(limit, base, length, (age) => (age % every < burst ? base * 1.8 : base));
};

/** File pages only: what grows is not in the signal, which only breathes a little. */
const pageCache: Family = (random) => {
  const { limit, base, length } = drawHealthy(random);
  return oneLife(limit, base, length, (age) => base * (1 + 0.002 * Math.sin(age / HOUR)));
};

/** Steps that come ever more rarely. */
const fragmentation: Family = (random) => {
  const { limit, base, length } = drawHealthy(random);
  const steps = Math.round(random.uniform(3, 9));
  const first = random.uniform(10, 60) * MINUTE;
  const growth = random.uniform(1.4, 2.2);
  const height = base * random.uniform(0.05, 0.2);
  return oneLife(limit, base, length, (age) => {
    let at = first;
    let level = base;
    for (let i = 0; i < steps && age >= at; i++) {
      level += height / (1 + 0.3 * i);
      at += first * growth ** (i + 1);
    }
    return level;
  });
};

/** The ten negatives of the evaluation protocol. */
export const HEALTHY: Readonly<Record<string, Family>> = {
  flat,
  'warm-up': warmUps,
  'cache fill': cacheFill,
  sawtooth,
  diurnal,
  'load ramp': loadRamp,
  batch,
  'fork bursts': forkBursts,
  'page cache': pageCache,
  fragmentation,
};

/** Harder than the protocol's negatives. */
export const NEAR_MISSES: Readonly<Record<string, Family>> = {
  'warm-up of twice the gate': slowWarmUp,
  'ramp of two days': twoDayRamp,
};
