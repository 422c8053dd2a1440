import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createInFlight } from './in-flight.js';

/** The obvious way: a list of what is open. */
class NaiveWindow {
  open: { offset: number; bytes: number }[] = [];
  delivered: number;

  constructor(position: number) {
    this.delivered = position;
  }

  get position(): number {
    return Math.min(this.delivered, ...this.open.map(({ offset }) => offset));
  }

  get bytes(): number {
    return this.open.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  remove(gone: (offset: number) => boolean): number {
    const before = this.bytes;
    this.open = this.open.filter(({ offset }) => !gone(offset));
    return before - this.bytes;
  }
}

type Step =
  | { type: 'deliver'; gap: number; bytes: number }
  | { type: 'acknowledge'; at: number }
  | { type: 'below'; at: number }
  | { type: 'skip'; gap: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ type: fc.constant('deliver'), gap: fc.nat(3), bytes: fc.nat(1000) }) },
  {
    weight: 5,
    arbitrary: fc.record({ type: fc.constant('acknowledge'), at: fc.double({ min: -0.1, max: 1.1, noNaN: true }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constant('below'), at: fc.double({ min: -0.1, max: 1.1, noNaN: true }) }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('skip'), gap: fc.integer({ min: -3, max: 5 }) }) },
) as fc.Arbitrary<Step>;

describe('the in-flight window', () => {
  test('does what a list of open records would do, whatever the order of acknowledgements', () => {
    fc.assert(
      fc.property(fc.nat(1_000_000), fc.array(step, { maxLength: 400 }), (start, steps) => {
        const window = createInFlight(start);
        const naive = new NaiveWindow(start);
        const offsetAt = (at: number): number => Math.floor(start + at * (naive.delivered - start));
        for (const one of steps) {
          if (one.type === 'deliver') {
            const offset = naive.delivered + one.gap;
            window.deliver(offset, one.bytes);
            naive.open.push({ offset, bytes: one.bytes });
            naive.delivered = offset + 1;
          } else if (one.type === 'acknowledge') {
            const offset = offsetAt(one.at);
            expect(window.acknowledge(offset)).toBe(naive.remove((other) => other === offset));
          } else if (one.type === 'below') {
            const offset = offsetAt(one.at);
            expect(window.acknowledgeBelow(offset)).toBe(naive.remove((other) => other < offset));
          } else {
            window.skipTo(naive.delivered + one.gap);
            naive.delivered = Math.max(naive.delivered, naive.delivered + one.gap);
          }
          expect(window.position).toBe(naive.position);
          expect(window.bytes).toBe(naive.bytes);
          expect(window.count).toBe(naive.open.length);
          expect(window.delivered).toBe(naive.delivered);
          const probe = offsetAt(0.5);
          expect(window.isOpen(probe)).toBe(naive.open.some(({ offset }) => offset === probe));
        }
      }),
      { numRuns: 300 },
    );
  });

  test('stays right over many more records than it keeps at a time', () => {
    const window = createInFlight(0);
    for (let offset = 0; offset < 50_000; offset++) {
      window.deliver(offset, 10);
      if (offset >= 100) expect(window.acknowledge(offset - 100)).toBe(10);
    }
    expect(window.position).toBe(49_900);
    expect(window.bytes).toBe(1_000);
    expect(window.acknowledgeBelow(50_000)).toBe(1_000);
    expect(window.position).toBe(50_000);
  });

  test('a record open at the front holds the position while everything behind it is acknowledged', () => {
    const window = createInFlight(7);
    for (let offset = 7; offset < 5_007; offset++) window.deliver(offset, 1);
    for (let offset = 5_006; offset > 7; offset--) window.acknowledge(offset);
    expect(window.position).toBe(7);
    expect(window.count).toBe(1);
    window.acknowledge(7);
    expect(window.position).toBe(5_007);
  });

  test('acknowledging twice, or what was never delivered, frees nothing', () => {
    const window = createInFlight(0);
    window.deliver(0, 5);
    expect([window.acknowledge(0), window.acknowledge(0), window.acknowledge(1), window.acknowledge(-1)]).toEqual([
      5, 0, 0, 0,
    ]);
  });

  test('offsets that do not grow are refused', () => {
    const window = createInFlight(5);
    expect(() => window.deliver(4, 1)).toThrow(RangeError);
    window.deliver(5, 1);
    expect(() => window.deliver(5, 1)).toThrow(/5/);
    expect(() => window.deliver(5.5, 1)).toThrow(RangeError);
    expect(() => window.deliver(Number.NaN, 1)).toThrow(RangeError);
  });
});
