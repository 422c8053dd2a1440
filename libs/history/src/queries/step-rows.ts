import type { Connection, QueryParameters } from '../connection.js';
import { toNumber } from './process-key-list.js';
import { steps, type SeriesWindow, type Source } from './series-window.js';
import type { StepRow } from './step-means.js';

type Raw<T> = { [K in keyof StepRow]: number | string | null } & T;

/**
 * Sums samples up by step, in the server.
 *
 * @param keys columns that tell series apart
 * @param samples SELECT of the key columns, `at_ms`, `value`, `low`, `high`, with `value` not null, from `since` to
 *   before `until` (parameters of type Int64, epoch milliseconds)
 */
export async function stepRows<T>(
  connection: Connection,
  keys: string,
  samples: string,
  window: SeriesWindow,
  source: Source,
  parameters: QueryParameters,
): Promise<(T & StepRow)[]> {
  const { first, last } = steps(window);
  const rows = await connection.query<Raw<T>>(
    `SELECT ${keys}, step,
       cells[1].1 AS firstAt,
       cells[-1].1 AS lastAt,
       cells[-1].2 AS last,
       arraySum((a, b) -> toFloat64(a.2) * least(b.1 - a.1, {carry:Int64}), arrayPopBack(cells), arrayPopFront(cells)) AS area,
       arraySum((a, b) -> least(b.1 - a.1, {carry:Int64}), arrayPopBack(cells), arrayPopFront(cells)) AS known,
       lowest AS min, highest AS max
     FROM (
       SELECT ${keys}, intDiv(at_ms, {step_ms:Int64}) AS step,
         arraySort(cell -> cell.1, groupArray((at_ms, assumeNotNull(value)))) AS cells,
         min(low) AS lowest, max(high) AS highest
       FROM (${samples})
       GROUP BY ${keys}, step
     )
     ORDER BY ${keys}, step`,
    {
      ...parameters,
      since: Math.max(0, first * window.stepMs - source.carryMs),
      until: (last + 1) * window.stepMs,
      step_ms: window.stepMs,
      carry: source.carryMs,
    },
  );
  return rows.map((row) => ({
    ...row,
    step: Number(row.step),
    firstAt: Number(row.firstAt),
    lastAt: Number(row.lastAt),
    last: Number(row.last),
    area: Number(row.area),
    known: Number(row.known),
    min: toNumber(row.min),
    max: toNumber(row.max),
  }));
}
