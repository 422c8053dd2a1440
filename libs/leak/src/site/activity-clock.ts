import { birthShape, type BirthShape } from './birth-shape.js';
import type { SiteRecord } from './site-record.js';

/**
 * Time as the other sites of the process saw it: it goes on by one with each birth of theirs that survives. Wall time does
 * not do for a program that ran for a blink: half of it may be the first call of everything, the rest a few slices of the
 * scheduler, with nothing born between.
 */
export interface ActivityClock {
  /** Births of the site on that clock, from its first allocation on; undefined when the others say too little. */
  shapeOf(record: SiteRecord): BirthShape | undefined;
}

/** Births of others that make a clock. */
const LEAST = 32;
const BINS = 32;

export function createActivityClock(records: Iterable<SiteRecord>): ActivityClock {
  const moments: { at: number; born: number }[] = [];
  for (const record of records) {
    record.births.forEach((born, bin) => {
      if (born > 0) moments.push({ at: middleOf(record, bin), born });
    });
  }
  moments.sort((a, b) => a.at - b.at);
  const times = Float64Array.from(moments, ({ at }) => at);
  const sums = new Float64Array(moments.length + 1);
  moments.forEach(({ born }, i) => (sums[i + 1] = (sums[i] as number) + born));
  /** Births before the time. */
  const before = (at: number): number => sums[lowerBound(times, at)] as number;
  return {
    shapeOf(record) {
      const total = record.births.reduce((sum, born) => sum + born, 0);
      const begin = before(record.firstAt);
      const others = (sums[moments.length] as number) - begin - total;
      if (others < LEAST) return undefined;
      const births = new Array<number>(BINS).fill(0);
      let own = 0;
      record.births.forEach((born, bin) => {
        if (born === 0) return;
        const share = (before(middleOf(record, bin)) - begin - own) / others;
        births[Math.min(BINS - 1, Math.max(0, Math.floor(share * BINS)))]! += born;
        own += born;
      });
      return birthShape(births, 0, 1, 1);
    },
  };
}

function middleOf({ births, firstAt, birthsUntil }: SiteRecord, bin: number): number {
  return firstAt + ((bin + 0.5) * (birthsUntil - firstAt)) / births.length;
}

/** How many times lie before `at`. */
function lowerBound(times: Float64Array, at: number): number {
  let [from, to] = [0, times.length];
  while (from < to) {
    const middle = (from + to) >>> 1;
    if ((times[middle] as number) < at) from = middle + 1;
    else to = middle;
  }
  return from;
}
