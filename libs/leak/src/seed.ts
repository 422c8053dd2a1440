import type { DetectorProfile, RingProfile } from './profile.js';
import { getRing, Q, R, setRing } from './registers.js';
import { forceRings, liveRings, putBlock } from './ring.js';
import { createSeries, observe, type Series } from './series.js';
import { isReading } from './timeline.js';
import type { SeriesMinima, SeriesOrigin } from './types.js';

const HOUR = 3_600_000;

/**
 * A series as it would stand had it seen the past that history keeps. Hours before the first minute fill the coarse
 * rings; the minutes are observed one by one, so states are as they were, except that what happened within a minute is
 * gone. No transition is told: compare `leakStatus` with the findings that are open. Points may come in any order, and
 * those that are no readings are left out. The limit of the past is not known, so limits count from the first reading.
 */
export function seedSeries(profile: DetectorProfile, origin: SeriesOrigin, minima: SeriesMinima): Series {
  const series = createSeries(profile, origin);
  const minutes = usable(minima.minute);
  const firstMinute = minutes[0]?.at ?? Infinity;
  const hours = usable(minima.hour).filter((hour) => hour.at < firstMinute);
  const oldest = hours[0];
  if (oldest) {
    observe(series, { ...oldest, limit: null });
    forceRings(series);
    for (let ring = 0; ring < liveRings(series); ring++) {
      const { block } = profile.rings[ring] as RingProfile;
      if (block < HOUR) continue;
      for (const hour of hours) putBlock(series, ring, Math.floor(hour.at / block), hour.bytes);
      setRing(series, ring, Q.evaluated, getRing(series, ring, Q.newest) - 1);
    }
    const newest = hours.at(-1) ?? oldest;
    series.n[R.at] = newest.at;
    series.n[R.bytes] = newest.bytes;
  }
  for (const minute of minutes) observe(series, { ...minute, limit: null });
  return series;
}

function usable(points: SeriesMinima['minute']): { at: number; bytes: number }[] {
  return points
    .filter((point) => isReading({ ...point, limit: null }))
    .map(({ at, bytes }) => ({ at, bytes }))
    .sort((a, b) => a.at - b.at);
}
