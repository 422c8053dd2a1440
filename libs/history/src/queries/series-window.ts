import { HistoryError } from '../errors.js';
import type { Retention } from '../retention.js';

/** Half-open stretch of data time, epoch milliseconds, cut into steps; steps begin at multiples of `stepMs`. */
export interface SeriesWindow {
  from: number;
  to: number;
  stepMs: number;
}

/** Mean, least and greatest of one step; `at` is its start. A step in which nothing was known has no point. */
export interface SeriesPoint {
  at: number;
  value: number;
  min: number | null;
  max: number | null;
}

/** A series has at most this many steps. */
export const MAX_STEPS = 2_000;

export type Grain = 'raw' | '1m' | '1h';

/** Time between two rows of a living process or node, and how long a value holds when no newer one comes. */
export interface Source {
  grain: Grain;
  /** 0 where rows have their own time. */
  grainMs: number;
  carryMs: number;
}

const MINUTE = 60_000;
const HOUR = 3_600_000;
const DAY = 86_400_000;

/** A keyframe every minute names all that lives: what was not heard of for two and a half is unknown. */
export const CARRY_MS = 150_000;

export const SOURCES: Readonly<Record<Grain, Source>> = {
  raw: { grain: 'raw', grainMs: 0, carryMs: CARRY_MS },
  // A row stands for its whole minute; the next keyframe may fall into the next but one.
  '1m': { grain: '1m', grainMs: MINUTE, carryMs: 3 * MINUTE },
  '1h': { grain: '1h', grainMs: HOUR, carryMs: HOUR },
};

/** Rows that a query may read in one go without being slow. */
const MAX_ROWS = 500_000;

/** Throws HISTORY_RANGE that names what is wrong. */
export function checkWindow({ from, to, stepMs }: SeriesWindow): void {
  const wrong = ![from, to, stepMs].every(Number.isSafeInteger)
    ? 'must be whole milliseconds'
    : from < 0 || to <= from
      ? 'must end after it begins'
      : stepMs < 1
        ? 'must have steps of 1 ms at least'
        : (to - from) / stepMs > MAX_STEPS
          ? `has ${Math.ceil((to - from) / stepMs)} steps, at most ${MAX_STEPS} are allowed`
          : undefined;
  if (wrong) throw new HistoryError('HISTORY_RANGE', `series from ${from} to ${to} by ${stepMs} ms ${wrong}`, false);
}

/**
 * The finest source that is fine enough for the steps, still has the beginning, and does not make the query slow.
 *
 * @param series how many are asked for
 * @param rowsPerSecond of one series in the raw table, at most
 */
export function chooseSource(
  window: SeriesWindow,
  series: number,
  retention: Retention,
  now: number,
  rowsPerSecond = 1,
): Source {
  const age = now - window.from;
  const seconds = (window.to - window.from) / 1000;
  const rawRows = series * seconds * rowsPerSecond;
  if (window.stepMs < MINUTE && age <= retention.rawDays * DAY && rawRows <= MAX_ROWS) return SOURCES.raw;
  const minuteRows = (series * seconds) / 60;
  const coarse = window.stepMs >= HOUR && minuteRows > MAX_ROWS;
  if (age <= retention.minuteDays * DAY && !coarse) return SOURCES['1m'];
  return SOURCES['1h'];
}

/** First step's start, and the end of the last one. */
export function steps({ from, to, stepMs }: SeriesWindow): { first: number; last: number } {
  return { first: Math.floor(from / stepMs), last: Math.ceil(to / stepMs) - 1 };
}
