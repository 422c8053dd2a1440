import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CLOCK } from './format.js';
import { createTickClock } from './tick-clock.js';

const BORN = 1_767_225_600_000;
const FAR = BORN + 1e12;

/** A machine whose counter runs at `hertz`, seen `seconds` after it was first looked at. */
function moment(seconds: number, hertz = 2.1e9): { ticks: number; monotonicNs: number; realtimeMs: number } {
  return { ticks: 5e12 + seconds * hertz, monotonicNs: 1e12 + seconds * 1e9, realtimeMs: BORN + seconds * 1000 };
}

describe('ticks into time', () => {
  it('is good to a millisecond between and days past two moments a second apart, whatever the rate', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 2e7, max: 6e9, noNaN: true }),
        fc.double({ min: 0, max: 1e5, noNaN: true }),
        (hertz, at) => {
          const clock = createTickClock(CLOCK.TSC);
          clock.add(moment(0, hertz));
          // Two clocks cannot be read at once: 50 ns lie between.
          const second = moment(10, hertz);
          clock.add({ ...second, monotonicNs: second.monotonicNs + 50 });
          expect(Math.abs(clock.toTime(moment(at, hertz).ticks, FAR) - BORN - at * 1000)).toBeLessThan(1);
        },
      ),
    );
  });

  it('needs no second moment when the ticks are nanoseconds', () => {
    const clock = createTickClock(CLOCK.MONOTONIC);
    clock.add({ ticks: 7e9, monotonicNs: 7e9, realtimeMs: BORN });
    expect(clock.toTime(7e9 + 1234e6, FAR)).toBe(BORN + 1234);
  });

  it('never names a time that has not come, and has the present for what nothing is known of', () => {
    const clock = createTickClock(CLOCK.TSC);
    expect(clock.toTime(123, BORN)).toBe(BORN);
    clock.add(moment(0));
    clock.add(moment(1));
    expect(clock.toTime(moment(500).ticks, BORN + 2000)).toBe(BORN + 2000);
  });

  it('takes the first moment for all while there is no other, or one at the same time', () => {
    const clock = createTickClock(CLOCK.TSC);
    clock.add(moment(0));
    clock.add(moment(0));
    clock.add(null);
    expect(clock.rate()).toBeNull();
    expect(clock.toTime(moment(3).ticks, FAR)).toBe(BORN);
  });

  it('uses moments that are a hundredth of a second apart, and better ones when they come', () => {
    const clock = createTickClock(CLOCK.TSC);
    clock.add(moment(0));
    clock.add({ ...moment(0.01), monotonicNs: moment(0.01).monotonicNs + 10_000 });
    expect(Math.abs(clock.toTime(moment(0.5).ticks, FAR) - BORN - 500)).toBeLessThan(2);
    clock.add(moment(100));
    expect(Math.abs(clock.toTime(moment(200).ticks, FAR) - BORN - 200_000)).toBeLessThan(1);
  });

  it.each([
    ['goes on counting', 2.1e9],
    ['stands still', 0],
  ])('keeps times before and after the machine slept, when the counter %s meanwhile', (_, sleeping) => {
    const clock = createTickClock(CLOCK.TSC);
    for (const seconds of [0, 1, 2, 3]) clock.add(moment(seconds));
    const slept = 3600;
    const later = (seconds: number): ReturnType<typeof moment> => {
      const awake = moment(seconds);
      return { ...awake, ticks: awake.ticks + slept * sleeping, realtimeMs: awake.realtimeMs + slept * 1000 };
    };
    for (const seconds of [5, 6, 7]) clock.add(later(seconds));
    for (const at of [0.5, 2.5])
      expect(Math.abs(clock.toTime(moment(at).ticks, FAR) - BORN - at * 1000)).toBeLessThan(1);
    for (const at of [5.5, 7, 9]) {
      expect(Math.abs(clock.toTime(later(at).ticks, FAR) - BORN - (at + slept) * 1000)).toBeLessThan(1);
    }
  });

  it('keeps the times of what happened before the wall clock was set', () => {
    const clock = createTickClock(CLOCK.TSC);
    clock.add(moment(0));
    clock.add(moment(10));
    clock.add({ ...moment(11), realtimeMs: moment(11).realtimeMs - 7_200_000 });
    clock.add({ ...moment(12), realtimeMs: moment(12).realtimeMs - 7_200_000 });
    expect(Math.abs(clock.toTime(moment(5).ticks, FAR) - BORN - 5000)).toBeLessThan(1);
    expect(Math.abs(clock.toTime(moment(13).ticks, FAR) - BORN - 13_000 + 7_200_000)).toBeLessThan(1);
  });

  it('stays small and right when it sees a moment a second for a day', () => {
    const clock = createTickClock(CLOCK.TSC);
    for (let seconds = 0; seconds <= 86_400; seconds++) clock.add(moment(seconds));
    for (const at of [1, 40_000, 86_399.5]) {
      expect(Math.abs(clock.toTime(moment(at).ticks, FAR) - BORN - at * 1000)).toBeLessThan(1);
    }
  });
});
