import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createRandom } from '../scenarios/random.js';
import {
  createSeries,
  createServiceBook,
  DEMO_PROFILE,
  leakStatus,
  observe,
  PRODUCTION_PROFILE,
  reviveSeries,
  reviveServiceBook,
  serializeSeries,
  serializeServiceBook,
  type DetectorProfile,
  type SeriesInput,
} from './index.js';

const START = Date.UTC(2025, 0, 6);
const MIB = 1024 * 1024;
const origin = { startedAt: START, service: 'shop' };

function readings(seed: number, count: number, step: number): SeriesInput[] {
  const random = createRandom(seed);
  const slope = random.uniform(-0.2, 2) * MIB;
  let at = START;
  return Array.from({ length: count }, (_, i) => {
    at += random.next() < 0.01 ? random.uniform(1, 40) * step * 10 : step;
    if (random.next() < 0.02) return { at: at - 5 * step, bytes: 1, limit: null };
    return { at, bytes: Math.max(0, 300 * MIB + slope * i + random.normal() * 5 * MIB), limit: 4096 * MIB };
  });
}

test('stopping anywhere and going on from the snapshot is the same, bit for bit, as never stopping', () => {
  const cases = fc.constantFrom<[DetectorProfile, number]>([PRODUCTION_PROFILE, 60_000], [DEMO_PROFILE, 1000]);
  fc.assert(
    fc.property(cases, fc.nat(1e6), fc.integer({ min: 0, max: 600 }), ([profile, step], seed, stop) => {
      const list = readings(seed, 600, step);
      const whole = createSeries(profile, origin);
      const told = list.map((input) => observe(whole, input));
      let series = createSeries(profile, origin);
      const toldInParts = list.map((input, i) => {
        if (i === stop) series = reviveSeries(profile, JSON.parse(JSON.stringify(serializeSeries(series))));
        return observe(series, input);
      });
      expect(toldInParts).toEqual(told);
      expect(serializeSeries(series)).toEqual(serializeSeries(whole));
      expect(leakStatus(series)).toEqual(leakStatus(whole));
    }),
    { numRuns: 16 },
  );
});

test('a snapshot of another version, profile or shape is refused with what to do', () => {
  const snapshot = serializeSeries(createSeries(PRODUCTION_PROFILE, origin));
  const revive = (change: object) => () => reviveSeries(PRODUCTION_PROFILE, { ...snapshot, ...change });
  expect(revive({})).not.toThrow();
  expect(revive({ v: 2 })).toThrow(/version 2 is not 1; seed it from history/);
  expect(revive({ profile: 'demo' })).toThrow(/profile demo, not production/);
  expect(revive({ n: snapshot.n.slice(1) })).toThrow(RangeError);
  expect(revive({ n: snapshot.n.map(() => 'x') })).toThrow(RangeError);
  expect(revive({ n: null })).toThrow(RangeError);
  expect(revive({ cells: 'AAAA' })).toThrow(/cells, must be one of 60, 132, 204, 260/);
  expect(revive({ cells: 7 })).toThrow(RangeError);
  expect(revive({ service: 5 })).toThrow(RangeError);
});

test('a snapshot whose registers are out of their range is refused, not believed', () => {
  const snapshot = serializeSeries(createSeries(PRODUCTION_PROFILE, origin));
  for (const wild of [7, -1, 0.5, 1e300, null]) {
    for (const register of [14, 37]) {
      const n = [...snapshot.n];
      n[register] = wild;
      expect(() => reviveSeries(PRODUCTION_PROFILE, { ...snapshot, n })).toThrow(RangeError);
    }
  }
});

test('a book survives JSON, and a foreign one is refused', () => {
  const book = createServiceBook(PRODUCTION_PROFILE);
  const snapshot = serializeServiceBook(book);
  expect(serializeServiceBook(reviveServiceBook(PRODUCTION_PROFILE, snapshot))).toEqual(snapshot);
  expect(() => reviveServiceBook(DEMO_PROFILE, snapshot)).toThrow(/begin with an empty book/);
  expect(() => reviveServiceBook(PRODUCTION_PROFILE, { ...snapshot, v: 9 })).toThrow(RangeError);
  const broken = { ...snapshot, services: [['x', { epochs: [{}] }]] } as unknown as typeof snapshot;
  expect(() => reviveServiceBook(PRODUCTION_PROFILE, broken)).toThrow(/"x" has no usable record/);
});
