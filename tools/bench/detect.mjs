// `npm run bench -- detect`: microseconds per sample and bytes per process of the leak detector, at 10,000 processes and
// more, beside a least-squares slope kept in running sums, which is the least any trend detector could do.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createSeries, DEMO_PROFILE, observe, PRODUCTION_PROFILE, seedSeries } from '@tidemark/leak';

const PROCESSES = Number(process.env.PROCESSES ?? 10_000);
const SAMPLES = Number(process.env.SAMPLES ?? 3_000_000);
const MIB = 1024 * 1024;
const HOUR = 3_600_000;
const START = Date.UTC(2025, 0, 6);
const LIMIT = 16 * 1024 * MIB;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc');

function memory() {
  collect();
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** A cheap hash to [0, 1): the generator must not cost what is measured. */
function noise(a, b) {
  let x = Math.imul(a + 0x9e3779b9, 0x85ebca6b) ^ Math.imul(b + 0x7f4a7c15, 0xc2b2ae35);
  x = Math.imul(x ^ (x >>> 15), 0x2c1b3c6d);
  return ((x ^ (x >>> 13)) >>> 0) / 4294967296;
}

/** A host's mix: most are quiet, some noisy, a few saw, leak or warm up. Bytes of process `i` at `age` ms, reading `k`. */
function bytesOf(i, age, k, kind = i % 20) {
  const base = (20 + (i % 97) * 10) * MIB;
  if (kind < 12) return base + 4096 * ((k >> 4) & 3);
  if (kind < 16) return base * (1 + 0.05 * noise(i, k));
  if (kind === 16) return base + ((age / 1000) % 90) * MIB;
  if (kind === 17) return base + (age / HOUR) * 400 * MIB;
  if (kind === 18) return base + (age / HOUR) * 40 * MIB + 0.02 * base * noise(i, k);
  return base * (2 - Math.exp(-age / (2 * HOUR)));
}

/** Fills the finest ring and more before measuring, so that every test has something to test. */
function timeObserve(profile, step, before, kind) {
  const all = Array.from({ length: PROCESSES }, (_, i) =>
    createSeries(profile, { startedAt: START, service: `service-${i % 500}` }),
  );
  const input = { at: 0, bytes: 0, limit: LIMIT };
  let k = 0;
  const round = () => {
    const age = k * step;
    for (let i = 0; i < PROCESSES; i++) {
      // Spread over the step like real chunks, and so that not all blocks close in one round.
      input.at = START + age + (i % 10) * (step / 10);
      input.bytes = bytesOf(i, age, k, kind);
      observe(all[i], input);
    }
    k++;
  };
  for (let i = 0; i < Math.ceil(before / step); i++) round();
  const rounds = Math.max(1, Math.ceil(SAMPLES / PROCESSES));
  const from = process.cpuUsage();
  for (let i = 0; i < rounds; i++) round();
  const used = process.cpuUsage(from);
  return (used.user + used.system) / (rounds * PROCESSES);
}

/** Slope and R² of least squares in running sums: 5 numbers a process. */
function timeLeastSquares(step) {
  const all = Array.from({ length: PROCESSES }, () => new Float64Array(6));
  const rounds = Math.max(1, Math.ceil(SAMPLES / PROCESSES));
  let alarms = 0;
  const from = process.cpuUsage();
  for (let k = 0; k < rounds; k++) {
    const age = k * step;
    for (let i = 0; i < PROCESSES; i++) {
      const sums = all[i];
      const t = age / 1000;
      const v = bytesOf(i, age, k);
      const n = (sums[0] += 1);
      sums[1] += t;
      sums[2] += v;
      sums[3] += t * t;
      sums[4] += t * v;
      sums[5] += v * v;
      const sxx = sums[3] - (sums[1] * sums[1]) / n;
      const sxy = sums[4] - (sums[1] * sums[2]) / n;
      const syy = sums[5] - (sums[2] * sums[2]) / n;
      if (sxy > 0 && sxy * sxy >= 0.8 * sxx * syy) alarms++;
    }
  }
  const used = process.cpuUsage(from);
  return { micros: (used.user + used.system) / (rounds * PROCESSES), alarms };
}

/** What a process costs when all rings are full: fourteen days of hours and one of minutes. */
function measureMemory(profile, days) {
  const before = memory();
  const all = [];
  for (let i = 0; i < PROCESSES; i++) {
    const hour = [];
    const minute = [];
    for (let h = 0; h < days * 24; h++) hour.push({ at: START + h * HOUR, bytes: bytesOf(i, h * HOUR, h) });
    const end = days * 24 * HOUR;
    for (let m = 0; m < 90; m++) minute.push({ at: START + end + m * 60_000, bytes: bytesOf(i, end + m * 60_000, m) });
    all.push(seedSeries(profile, { startedAt: START, service: 'service' }, { hour, minute }));
  }
  const after = memory();
  return (after - before) / all.length;
}

function measureYoung(profile) {
  const before = memory();
  const all = [];
  for (let i = 0; i < PROCESSES; i++) {
    const series = createSeries(profile, { startedAt: START, service: 'service' });
    observe(series, { at: START, bytes: bytesOf(i, 0, 0), limit: LIMIT });
    all.push(series);
  }
  const after = memory();
  return (after - before) / all.length;
}

const print = (name, value, unit, bound = '') => {
  process.stdout.write(`${name.padEnd(58)} ${value.padStart(9)} ${unit.padEnd(12)} ${bound}\n`);
};

print('processes', String(PROCESSES), '');
const old = measureMemory(PRODUCTION_PROFILE, 15);
print('memory, all rings full', old.toFixed(0), 'B/process', '(bound 2048)');
print('memory, first reading', measureYoung(PRODUCTION_PROFILE).toFixed(0), 'B/process');
const leastSquares = timeLeastSquares(1000);
print('reference: least squares, one reading a second', leastSquares.micros.toFixed(3), 'µs/sample');
for (const [seconds, before] of [
  [1, 300_000],
  [10, 2 * HOUR],
  [60, 8 * HOUR],
]) {
  const micros = timeObserve(PRODUCTION_PROFILE, seconds * 1000, before);
  const times = `${(micros / leastSquares.micros).toFixed(1)} × reference`;
  print(`detector, one reading each ${seconds} s`, micros.toFixed(3), 'µs/sample', `(bound 5; ${times})`);
}
print(
  'detector, every process leaking, one reading each 60 s',
  timeObserve(PRODUCTION_PROFILE, 60_000, 8 * HOUR, 17).toFixed(3),
  'µs/sample',
);
print('detector, demo profile, one reading a second', timeObserve(DEMO_PROFILE, 1000, 120_000).toFixed(3), 'µs/sample');
