import { GraphError } from '../graph-error.js';
import type { SeriesWindow } from '../history-port.js';

/** Input `Period`, as the scalars give it: epoch milliseconds, and milliseconds. */
export interface PeriodInput {
  from?: number | null;
  to?: number | null;
  last?: number | null;
}

/** Points of one series, at most. */
export const MAX_POINTS = 2_000;
/** Points when the asker does not choose. */
const USUAL_POINTS = 300;
const MAX_PERIOD_MS = 3_660 * 86_400_000;
/** Steps that people read well, seconds. */
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400];

export const LAST_HOUR: PeriodInput = { last: 3_600_000 };

/** Epoch milliseconds, half-open. Throws GraphError BAD_PERIOD or RANGE_TOO_LONG. */
export function resolvePeriod(period: PeriodInput, now: number): { from: number; to: number } {
  const { from, to, last } = period;
  if ((last ?? null) !== null) {
    if ((from ?? to ?? null) !== null) throw bad('give either last, or from with to, not both');
    return bounded(now - (last ?? 0), now);
  }
  if (typeof from !== 'number') throw bad('last or from must be given');
  const end = to ?? now;
  if (!(from < end)) {
    throw bad(`from (${iso(from)}) must be before to (${iso(end)}${typeof to === 'number' ? '' : ', which is now'})`);
  }
  return bounded(from, end);
}

function bounded(from: number, to: number): { from: number; to: number } {
  if (to - from <= MAX_PERIOD_MS) return { from, to };
  throw new GraphError('RANGE_TOO_LONG', `period: ${days(to - from)} are more than ${days(MAX_PERIOD_MS)}`);
}

/**
 * A period cut into steps of `resolution` seconds. Throws GraphError: BAD_PERIOD, BAD_RESOLUTION, or RANGE_TOO_LONG
 * when that makes too many points.
 */
export function resolveWindow(period: PeriodInput, resolution: number | null | undefined, now: number): SeriesWindow {
  const { from, to } = resolvePeriod(period, now);
  const seconds = resolution ?? usualStep((to - from) / 1000);
  if (!Number.isInteger(seconds) || seconds < 1) {
    throw new GraphError('BAD_RESOLUTION', `resolution: ${seconds} must be a whole number of seconds from 1`);
  }
  const points = Math.ceil((to - from) / 1000 / seconds);
  if (points > MAX_POINTS) {
    const least = Math.ceil((to - from) / 1000 / MAX_POINTS);
    throw new GraphError(
      'RANGE_TOO_LONG',
      `period: ${days(to - from)} at a resolution of ${seconds} s are ${points} points, more than ${MAX_POINTS}: ` +
        `ask for a resolution of ${least} s or more, or a period of ${days(MAX_POINTS * seconds * 1000)} or less`,
    );
  }
  return { from, to, stepMs: seconds * 1000 };
}

function usualStep(seconds: number): number {
  const wanted = seconds / USUAL_POINTS;
  return STEPS.find((step) => step >= wanted) ?? Math.ceil(wanted / 86_400) * 86_400;
}

function bad(why: string): GraphError {
  return new GraphError('BAD_PERIOD', `period: ${why}`);
}

function iso(time: number): string {
  return new Date(time).toISOString();
}

function days(ms: number): string {
  if (ms < 7_200_000) return `${Math.round(ms / 1000)} s`;
  return ms < 172_800_000 ? `${Math.round(ms / 3_600_000)} hours` : `${Math.round(ms / 86_400_000)} days`;
}
