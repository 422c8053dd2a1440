import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createJumpDetector } from './clock.js';
import { createSchedule } from './schedule.js';

describe('the schedule', () => {
  it('keeps sources of the same period in one round, and each at its own rate', () => {
    const schedule = createSchedule({ a: 100, b: 200, c: 100 }, 1000);
    const due = [1000, 1100, 1200].map((now) => [...schedule.take(now).due]);
    expect(due).toEqual([
      ['a', 'b', 'c'],
      ['a', 'c'],
      ['a', 'b', 'c'],
    ]);
    expect(schedule.next()).toBe(1300);
  });

  it('counts what was missed, makes none of it up and does not drift', () => {
    const schedule = createSchedule({ a: 100 }, 0);
    schedule.take(0);
    const late = schedule.take(437);
    expect(late.latenessMs).toBe(337);
    expect(late.skipped.get('a')).toBe(3);
    expect(schedule.next()).toBe(500);
    expect(schedule.take(500)).toEqual({ due: new Set(['a']), latenessMs: 0, skipped: new Map() });
  });

  it('gives nothing before its time', () => {
    const schedule = createSchedule({ a: 100 }, 50);
    expect(schedule.take(49.9).due.size).toBe(0);
    expect(schedule.next()).toBe(50);
  });

  it('holds that rounds and skipped rounds together are the periods that have gone by, however late each is', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 100, max: 5000 }),
        fc.array(fc.double({ min: 0, max: 20_000, noNaN: true }), { maxLength: 50 }),
        (period, delays) => {
          const schedule = createSchedule({ a: period }, 0);
          let now = 0;
          let rounds = 0;
          for (const delay of delays) {
            now = Math.max(now, schedule.next()) + delay;
            const turn = schedule.take(now);
            rounds += 1 + (turn.skipped.get('a') ?? 0);
            expect(rounds).toBe(Math.floor(now / period) + 1);
            expect(schedule.next()).toBe(rounds * period);
          }
        },
      ),
    );
  });
});

describe('the jump detector', () => {
  it('tells a clock that was set, either way, from one that runs', () => {
    const jumps = createJumpDetector();
    expect(jumps.observe(1_000_000, 5)).toBe(0);
    expect(jumps.observe(1_001_000.4, 1_005)).toBe(0);
    expect(jumps.observe(1_062_000, 2_005)).toBe(60_000);
    expect(jumps.observe(1_063_000, 3_005)).toBe(0);
    expect(jumps.observe(3_000, 4_005)).toBe(-1_061_000);
    expect(jumps.jumps).toBe(2);
  });
});
