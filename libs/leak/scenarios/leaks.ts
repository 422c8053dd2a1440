import { DAY, EPOCH, GIB, HOUR, MINUTE, SECOND, type Draft, type Family } from './scenario.js';
import type { Random } from './random.js';

/** Size of the process and how long it has until it has none left. */
function drawLeak(random: Random): { limit: number; base: number; room: number; tte: number } {
  const limit = random.logUniform(GIB, 16 * GIB);
  const base = limit * random.uniform(0.05, 0.25);
  return { limit, base, room: limit - base, tte: random.logUniform(30 * MINUTE, 14 * DAY) };
}

function oneLife(limit: number, base: number, length: number, level: (age: number) => number): Draft {
  return { limit, base, lives: [{ startedAt: EPOCH, length, cause: null, level }] };
}

const linear: Family = (random) => {
  const { limit, base, room, tte } = drawLeak(random);
  return oneLife(limit, base, tte, (age) => base + (room * age) / tte);
};

/** Each request leaks, and requests follow the day. */
const perRequest: Family = (random) => {
  const { limit, base, room, tte } = drawLeak(random);
  const depth = random.uniform(0.3, 0.9);
  const phase = random.uniform(0, 2 * Math.PI);
  const turn = (2 * Math.PI) / DAY;
  const served = (age: number): number => age - (depth / turn) * (Math.cos(turn * age + phase) - Math.cos(phase));
  const total = served(tte);
  return oneLife(limit, base, tte, (age) => base + (room * served(age)) / total);
};

const accelerating: Family = (random) => {
  const { limit, base, room, tte } = drawLeak(random);
  const power = random.uniform(1.3, 2.5);
  return oneLife(limit, base, tte, (age) => base + room * (age / tte) ** power);
};

const stair: Family = (random) => {
  const { limit, base, room, tte } = drawLeak(random);
  const steps = Math.round(random.uniform(15, 80));
  return oneLife(limit, base, tte, (age) => base + (room * Math.floor((age / tte) * steps)) / steps);
};

/** A collected heap whose floor rises. */
const floorRise: Family = (random) => {
  const { limit, base, room, tte } = drawLeak(random);
  const period = random.logUniform(20 * SECOND, Math.min(10 * MINUTE, tte / 40));
  const garbage = room * random.uniform(0.1, 0.4);
  return oneLife(limit, base, tte, (age) => {
    const floor = ((room - garbage) * age) / tte;
    return base + floor + (garbage * (age % period)) / period;
  });
};

const lateOnset: Family = (random) => {
  const { limit, base, room, tte } = drawLeak(random);
  const onset = random.logUniform(HOUR, 2 * DAY);
  return oneLife(limit, base, onset + tte, (age) => base + (room * Math.max(0, age - onset)) / tte);
};

/** Reclaim keeps the resident part flat; what leaks goes to swap, and the signal counts both. */
const hiddenBySwap: Family = (random) => {
  const { limit, base, room, tte } = drawLeak(random);
  const ceiling = base + room * 0.3;
  return oneLife(limit, base, tte, (age) => {
    const total = base + (room * age) / tte;
    const resident = Math.min(total, ceiling - 0.05 * base * ((age / (20 * MINUTE)) % 1));
    return resident + (total - resident);
  });
};

/** Killed or restarted about every hour, back to back. */
const underRestarts: Family = (random) => {
  const limit = random.logUniform(GIB, 8 * GIB);
  const base = limit * random.uniform(0.1, 0.3);
  const rate = (limit * random.uniform(0.08, 0.5)) / HOUR;
  const lives = [];
  let startedAt = EPOCH;
  while (startedAt < EPOCH + DAY) {
    const length = HOUR * random.uniform(0.9, 1.1);
    lives.push({ startedAt, length, cause: 'exit' as const, level: (age: number) => base + rate * age });
    startedAt += length + 5 * SECOND;
  }
  return { limit, base, lives };
};

/** The eight positives of the evaluation protocol. */
export const LEAKS: Readonly<Record<string, Family>> = {
  linear,
  'per request': perRequest,
  accelerating,
  stair,
  'rising floor': floorRise,
  'late onset': lateOnset,
  'hidden by swap': hiddenBySwap,
  'under restarts': underRestarts,
};
