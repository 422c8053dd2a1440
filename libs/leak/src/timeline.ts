import { get, R, type SeriesRecord } from './registers.js';
import type { SeriesInput } from './types.js';

/** What time says of a reading. `rewind`: time itself was set back, and this reading is the first of the new time. */
export type Admission = 'accept' | 'accept-pending' | 'ignore' | 'rewind';

/** Largest epoch millisecond a Date holds. */
export const LAST_INSTANT = 8.64e15;
/** Larger than any address space: 2^60 bytes. */
const LARGEST = 2 ** 60;

/** Whether the reading is one at all. A limit that is no positive number is none. */
export function isReading(input: SeriesInput): boolean {
  return input.at >= 0 && input.at <= LAST_INSTANT && input.bytes >= 0 && input.bytes <= LARGEST;
}

export function limitOf(input: SeriesInput): number {
  return input.limit !== null && input.limit > 0 && input.limit <= LARGEST ? input.limit : NaN;
}

/**
 * Decides by data time alone. A reading not newer than the newest is ignored. A step forward of more than `jump` waits
 * for a second reading that is no older: one stray time stamp must not empty the rings. A long run of older readings
 * that move forward by themselves means that the clock was set back.
 */
export function admit(series: SeriesRecord, input: SeriesInput): Admission {
  const newest = get(series, R.at);
  if (Number.isNaN(newest)) return 'accept';
  if (input.at <= newest) return admitOlder(series, input);
  series.n[R.staleCount] = 0;
  const pendingAt = get(series, R.pendingAt);
  if (!Number.isNaN(pendingAt)) {
    if (input.at >= pendingAt) return 'accept-pending';
    dropPending(series);
  }
  const { jump } = series.profile;
  if (input.at - newest <= Math.max(jump, 8 * get(series, R.cadence))) return 'accept';
  series.n[R.pendingAt] = input.at;
  series.n[R.pendingBytes] = input.bytes;
  series.n[R.pendingLimit] = limitOf(input);
  return 'ignore';
}

function admitOlder(series: SeriesRecord, input: SeriesInput): Admission {
  if (!Number.isNaN(get(series, R.pendingAt))) dropPending(series);
  const { rewindCount, rewindSpan } = series.profile;
  const count = get(series, R.staleCount);
  series.n[R.ignored] = get(series, R.ignored) + 1;
  if (count === 0 || input.at <= get(series, R.staleLast)) {
    series.n[R.staleCount] = 1;
    series.n[R.staleFrom] = input.at;
    series.n[R.staleLast] = input.at;
    return 'ignore';
  }
  series.n[R.staleCount] = count + 1;
  series.n[R.staleLast] = input.at;
  const span = input.at - get(series, R.staleFrom);
  if (count + 1 < rewindCount || span < rewindSpan) return 'ignore';
  series.n[R.staleCount] = 0;
  return 'rewind';
}

export function dropPending(series: SeriesRecord): void {
  series.n[R.pendingAt] = NaN;
  series.n[R.ignored] = get(series, R.ignored) + 1;
}

/** Observed time between two readings: a gap counts for nothing, so that it ages no verdict. */
export function observedStep(series: SeriesRecord, at: number): number {
  const step = at - get(series, R.at);
  const cadence = get(series, R.cadence);
  const observed = step <= Math.max(series.profile.carry, 4 * cadence) ? step : 0;
  series.n[R.cadence] = step > cadence ? Math.min(step, cadence * 1.5) : Math.max(step, cadence / 1.5, 1);
  return observed;
}
