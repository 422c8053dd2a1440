import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { assignPartitions } from './group.js';

describe('the assignment of partitions', () => {
  test('is even and moves no more than it must, whoever comes and goes', () => {
    const rounds = fc.array(fc.uniqueArray(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 8 }), {
      maxLength: 8,
    });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 40 }), rounds, (partitions, memberships) => {
        let current: (number | undefined)[] = Array(partitions).fill(undefined);
        for (const members of memberships) {
          const next = assignPartitions(members, current);
          const counts = members.map((member) => next.filter((owner) => owner === member).length);
          expect(counts.reduce((sum, count) => sum + count)).toBe(partitions);
          expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
          // At least floor(n/m) of what a staying member had stays with it.
          const fair = Math.floor(partitions / members.length);
          for (const member of members) {
            const had = current.flatMap((owner, index) => (owner === member ? [index] : []));
            const kept = had.filter((index) => next[index] === member);
            expect(kept.length).toBeGreaterThanOrEqual(Math.min(had.length, fair));
          }
          current = next;
        }
      }),
    );
  });

  test('gives nothing away when nobody is there', () => {
    expect(assignPartitions([], [1, 2, undefined])).toEqual([undefined, undefined, undefined]);
  });
});
