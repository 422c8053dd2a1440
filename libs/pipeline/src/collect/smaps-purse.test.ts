import fc from 'fast-check';
import { expect, it } from 'vitest';
import { createPurses } from './smaps-purse.js';

it('a purse is filled with its half, and with what the other has no room for', () => {
  const { small, large, fill } = createPurses(0.02, 50, 0);
  small.inHand = large.inHand = 0;
  fill(1000);
  expect([small.inHand, large.inHand]).toEqual([10, 10]);
  small.inHand = 50;
  fill(2000);
  expect([small.inHand, large.inHand]).toEqual([50, 30]);
});

it('both together never spend more than their share of the time and what they began with', () => {
  fc.assert(
    fc.property(fc.array(fc.record({ wait: fc.nat(5000), which: fc.boolean() }), { maxLength: 100 }), (steps) => {
      const purses = createPurses(0.02, 50, 0);
      let now = 0;
      let spent = 0;
      for (const { wait, which } of steps) {
        now += wait;
        purses.fill(now);
        const purse = which ? purses.small : purses.large;
        if (purse.inHand <= 0) continue;
        spent += purse.inHand;
        purse.inHand = 0;
      }
      expect(spent).toBeLessThanOrEqual(100 + 0.02 * now + 1e-6);
      expect(purses.small.inHand).toBeLessThanOrEqual(50);
      expect(purses.large.inHand).toBeLessThanOrEqual(50);
    }),
  );
});
