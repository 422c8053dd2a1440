import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PRODUCTION_PROFILE } from './profile.js';
import { getRing, Q } from './registers.js';
import { blockAt, forceRings, gatherBlocks, liveRings, putBlock, truncateRings } from './ring.js';
import { createSeries } from './series.js';

const MINUTE = 60_000;
const origin = { startedAt: 0, service: 'ring' };

/** Readings as steps forward, minutes: mostly the next block or the same one, sometimes far ahead. */
const steps = fc.array(
  fc.tuple(
    fc.oneof(fc.constantFrom(0, 1, 1, 1, 2), fc.integer({ min: 3, max: 90 }), fc.integer({ min: 100, max: 9000 })),
    fc.integer({ min: 0, max: 4000 }),
  ),
  { maxLength: 400 },
);

test('every ring holds the minima of its last blocks, as a list of everything says', () => {
  fc.assert(
    fc.property(steps, (list) => {
      const series = createSeries(PRODUCTION_PROFILE, origin);
      const oracles = PRODUCTION_PROFILE.rings.map(() => new Map<number, number>());
      let minute = 29_000_000;
      for (const [step, value] of list) {
        minute += step;
        for (const [ring, { block }] of PRODUCTION_PROFILE.rings.entries()) {
          const number = Math.floor((minute * MINUTE) / block);
          const oracle = oracles[ring]!;
          oracle.set(number, Math.min(oracle.get(number) ?? Infinity, value));
          if (ring < liveRings(series)) putBlock(series, ring, number, value);
        }
      }
      for (let ring = 0; ring < liveRings(series); ring++) {
        const { capacity } = PRODUCTION_PROFILE.rings[ring]!;
        const newest = getRing(series, ring, Q.newest);
        for (let block = newest - capacity - 3; block <= newest + 3; block++) {
          const kept = block > newest - capacity && block <= newest;
          expect(blockAt(series, ring, block)).toEqual(kept ? (oracles[ring]!.get(block) ?? NaN) : NaN);
        }
      }
    }),
    { numRuns: 60 },
  );
});

test('a coarser ring comes with the first block that the finer one would lose', () => {
  const series = createSeries(PRODUCTION_PROFILE, origin);
  const sizes: number[] = [];
  for (let minute = 0; minute < 3 * 1440 + 10; minute++) {
    for (let ring = 0; ring < liveRings(series); ring++) {
      putBlock(series, ring, Math.floor((minute * MINUTE) / PRODUCTION_PROFILE.rings[ring]!.block), minute);
    }
    if (sizes.at(-1) !== series.cells.length) sizes.push(series.cells.length);
    if (minute === 59) expect(liveRings(series)).toBe(1);
    if (minute === 60) expect(liveRings(series)).toBe(2);
  }
  expect(sizes).toEqual([60, 132, 204, 260]);
});

test('the open block is never gathered, nor what lies before the wanted one', () => {
  const series = createSeries(PRODUCTION_PROFILE, origin);
  for (const [block, value] of [
    [10, 5],
    [11, 6],
    [13, 7],
    [14, 8],
  ] as const) {
    putBlock(series, 0, block, value);
  }
  const window = { n: 0, t: new Float64Array(64), v: new Float64Array(64) };
  gatherBlocks(series, 0, 11, window);
  expect([...window.t.subarray(0, window.n)]).toEqual([11, 13]);
  expect([...window.v.subarray(0, window.n)]).toEqual([6, 7]);
});

test('an older block than the newest changes nothing', () => {
  const series = createSeries(PRODUCTION_PROFILE, origin);
  putBlock(series, 0, 100, 5);
  putBlock(series, 0, 99, 1);
  expect(blockAt(series, 0, 99)).toBeNaN();
  expect(blockAt(series, 0, 100)).toBe(5);
});

test('when time is set back, the blocks that never were are gone and the others stay', () => {
  const series = createSeries(PRODUCTION_PROFILE, origin);
  for (let block = 0; block < 50; block++) putBlock(series, 0, block, block);
  truncateRings(series, 30 * MINUTE + 5);
  expect(getRing(series, 0, Q.newest)).toBe(30);
  expect(blockAt(series, 0, 30)).toBe(30);
  expect(blockAt(series, 0, 31)).toBeNaN();
  putBlock(series, 0, 32, 1000);
  expect(blockAt(series, 0, 31)).toBeNaN();
  expect(blockAt(series, 0, 32)).toBe(1000);
  expect(blockAt(series, 0, 29)).toBe(29);
});

test('set back to before all that is kept, a ring begins again', () => {
  const series = createSeries(PRODUCTION_PROFILE, origin);
  for (let block = 1000; block < 1010; block++) putBlock(series, 0, block, 7);
  truncateRings(series, 5 * MINUTE);
  expect(blockAt(series, 0, 1009)).toBeNaN();
  putBlock(series, 0, 5, 3);
  expect(blockAt(series, 0, 5)).toBe(3);
});

test('all rings can be had at once', () => {
  const series = createSeries(PRODUCTION_PROFILE, origin);
  forceRings(series);
  expect(liveRings(series)).toBe(4);
  expect(series.cells.length).toBe(260);
});
