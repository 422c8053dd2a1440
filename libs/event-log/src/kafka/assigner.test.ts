import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { assignCooperatively, type Claim } from './assigner.js';

const PARTITIONS = 24;

/** Members with claims as they may be: overlapping, stale, or of partitions that there are not. */
const claims = fc
  .array(
    fc.record({
      owned: fc.array(fc.integer({ min: -1, max: PARTITIONS + 2 }), { maxLength: 12 }),
      generation: fc.integer({ min: -1, max: 5 }),
    }),
    { minLength: 1, maxLength: 7 },
  )
  .map((members) => members.map((member, index): Claim => ({ memberId: `m${index}`, ...member })));

/** Claims as the members themselves make them after a round: each has what it was given. */
function claimsAfter(shares: ReadonlyMap<string, { partitions: number[] }>, generation: number): Claim[] {
  return [...shares].map(([memberId, { partitions }]) => ({ memberId, owned: partitions, generation }));
}

describe('the cooperative assignment', () => {
  it('gives no partition to two members, and none while another member claims it', () => {
    fc.assert(
      fc.property(claims, fc.integer({ min: 1, max: PARTITIONS }), (members, partitions) => {
        const given = new Map<number, string>();
        for (const [member, share] of assignCooperatively(members, partitions)) {
          for (const partition of share.partitions) {
            expect(given.has(partition)).toBe(false);
            given.set(partition, member);
          }
        }
        for (const [partition, member] of given) {
          const latest = Math.max(
            -1,
            ...members.filter(({ owned }) => owned.includes(partition)).map(({ generation }) => generation),
          );
          const holders = members.filter(({ owned, generation }) => owned.includes(partition) && generation === latest);
          if (holders.length > 0) expect(holders.map(({ memberId }) => memberId)).toContain(member);
        }
      }),
    );
  });

  it('is even when what is still to come is counted, and leaves nothing out', () => {
    fc.assert(
      fc.property(claims, fc.integer({ min: 1, max: PARTITIONS }), (members, partitions) => {
        const sizes = [...assignCooperatively(members, partitions).values()].map(
          (share) => share.partitions.length + share.pending,
        );
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
        expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(partitions);
      }),
    );
  });

  it('comes to rest in two rounds, and then moves nothing any more', () => {
    fc.assert(
      fc.property(claims, fc.integer({ min: 1, max: PARTITIONS }), (members, partitions) => {
        const first = assignCooperatively(members, partitions);
        const second = assignCooperatively(claimsAfter(first, 6), partitions);
        expect([...second.values()].every(({ pending }) => pending === 0)).toBe(true);
        const third = assignCooperatively(claimsAfter(second, 7), partitions);
        expect(third).toEqual(second);
      }),
    );
  });

  it('moves no more partitions than a newcomer needs', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: PARTITIONS }), (count, partitions) => {
        const names = Array.from({ length: count }, (_, index) => `m${index}`);
        const empty = names.map((memberId): Claim => ({ memberId, owned: [], generation: -1 }));
        const before = assignCooperatively(empty, partitions);
        const newcomer = { memberId: 'new', owned: [], generation: -1 };
        const after = assignCooperatively([...claimsAfter(before, 1), newcomer], partitions);
        const moved = names.reduce((sum, name) => {
          const kept = new Set(after.get(name)!.partitions);
          return sum + before.get(name)!.partitions.filter((partition) => !kept.has(partition)).length;
        }, 0);
        expect(moved).toBe(Math.floor(partitions / (count + 1)));
        expect(after.get('new')).toEqual({ partitions: [], pending: moved });
      }),
    );
  });

  it('believes the later of two claims', () => {
    const shares = assignCooperatively(
      [
        { memberId: 'late', owned: [0], generation: 7 },
        { memberId: 'paused', owned: [0], generation: 3 },
      ],
      1,
    );
    expect(shares.get('late')).toEqual({ partitions: [0], pending: 0 });
    expect(shares.get('paused')).toEqual({ partitions: [], pending: 0 });
  });
});
