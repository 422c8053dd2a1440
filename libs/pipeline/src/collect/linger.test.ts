import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createLinger, type LingerOptions } from './linger.js';

/** Rounds by the requests that they go in. */
function requestsOf(sizes: readonly number[], options: LingerOptions): { requests: number[][]; waiting: number[] } {
  const linger = createLinger(options);
  const requests: number[][] = [];
  let waiting: number[] = [];
  sizes.forEach((bytes, round) => {
    waiting.push(round);
    if (linger.waits(bytes)) return;
    requests.push(waiting);
    waiting = [];
  });
  return { requests, waiting };
}

describe('rounds that go together', () => {
  it('are two of a second when they may wait for a second; the first of all goes at once', () => {
    const { requests } = requestsOf([900, 900, 900, 900, 900], { lingerMs: 1_000, intervalMs: 1_000 });
    expect(requests).toEqual([[0], [1, 2], [3, 4]]);
  });

  it('are as many as are read in that time', () => {
    const { requests } = requestsOf(new Array(9).fill(100), { lingerMs: 1_000, intervalMs: 250, waitsFor: 3 });
    expect(requests).toEqual([
      [0, 1, 2, 3],
      [4, 5, 6, 7, 8],
    ]);
  });

  it('are each alone when the next one is further away, or nothing is to wait', () => {
    for (const options of [
      { lingerMs: 1_000, intervalMs: 1_001 },
      { lingerMs: 0, intervalMs: 100 },
    ]) {
      expect(requestsOf([1, 1, 1], options).requests).toEqual([[0], [1], [2]]);
    }
  });

  it('are no more than carry their request', () => {
    const { requests } = requestsOf([1, 16_384, 10, 16_374, 5, 5], { lingerMs: 5_000, intervalMs: 1_000 });
    expect(requests).toEqual([[0], [1], [2, 3]]);
  });

  it('keep their order, wait for no more than they may, and none is left out, whatever their sizes', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(20_000), { maxLength: 60 }),
        fc.integer({ min: 0, max: 5_000 }),
        fc.integer({ min: 100, max: 5_000 }),
        fc.nat(10),
        (sizes, lingerMs, intervalMs, waitsFor) => {
          const { requests, waiting } = requestsOf(sizes, { lingerMs, intervalMs, waitsFor });
          expect([...requests.flat(), ...waiting]).toEqual(sizes.map((_, round) => round));
          for (const request of [...requests, waiting]) {
            expect((request.length - 1) * intervalMs).toBeLessThanOrEqual(Math.max(0, lingerMs));
          }
        },
      ),
    );
  });
});
