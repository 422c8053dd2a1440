import type { SeriesPoint, SeriesWindow, Source } from './series-window.js';
import { steps } from './series-window.js';

/** What one series did within one step, as the server sums it up. */
export interface StepRow {
  step: number;
  /** Time and value of the first and the last row, epoch milliseconds. */
  firstAt: number;
  lastAt: number;
  last: number;
  /** Integral of the value from the first row to the last, and how long it was known in between; milliseconds. */
  area: number;
  known: number;
  min: number | null;
  max: number | null;
}

/**
 * Points of a series whose value holds until the next row: each step's mean is weighted by time and counts what was
 * carried into the step. A value is carried no longer than the source allows, nor past the end of what it belongs to.
 *
 * @param rows ascending; also those of before the window, from which its beginning is carried
 * @param endedAt when the process exited, epoch milliseconds
 */
export function stepMeans(
  rows: readonly StepRow[],
  window: SeriesWindow,
  source: Source,
  endedAt: number | null,
): SeriesPoint[] {
  const { first, last } = steps(window);
  const stop = endedAt ?? Infinity;
  const points: SeriesPoint[] = [];
  let carried: { at: number; value: number } | null = null;
  let next = 0;
  while (next < rows.length && rows[next]!.step < first) {
    carried = { at: rows[next]!.lastAt, value: rows[next]!.last };
    next++;
  }
  for (let step = first; step <= last; step++) {
    const row = rows[next]?.step === step ? rows[next++] : undefined;
    const point = pointOf(step, window.stepMs, row, carried, source, stop);
    if (point) points.push(point);
    if (row) carried = { at: row.lastAt, value: row.last };
  }
  return points;
}

function pointOf(
  step: number,
  stepMs: number,
  row: StepRow | undefined,
  carried: { at: number; value: number } | null,
  { carryMs, grainMs }: Source,
  stop: number,
): SeriesPoint | null {
  const start = step * stepMs;
  const end = start + stepMs;
  let area = row?.area ?? 0;
  let known = row?.known ?? 0;
  let min = row ? row.min : Infinity;
  let max = row ? row.max : -Infinity;
  if (carried) {
    const span = Math.min(row?.firstAt ?? end, carried.at + carryMs, stop) - start;
    if (span > 0) {
      area += carried.value * span;
      known += span;
    }
    // A rollup's row begins with its minute, in which the value from before held until the first sample.
    if (span > 0 || (grainMs > 0 && carried.at + carryMs > start && stop > start)) {
      min = min === null ? null : Math.min(min, carried.value);
      max = max === null ? null : Math.max(max, carried.value);
    }
  }
  if (row) {
    const span = Math.min(end, row.lastAt + carryMs, stop) - row.lastAt;
    if (span > 0) {
      area += row.last * span;
      known += span;
    }
  }
  if (known > 0) return { at: start, value: area / known, min, max };
  return row && row.lastAt <= stop ? { at: start, value: row.last, min, max } : null;
}
