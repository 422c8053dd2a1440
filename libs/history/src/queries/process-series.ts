import type { MemoryMetric, ProcessKey } from '@tidemark/contracts';
import type { Connection } from '../connection.js';
import type { Retention } from '../retention.js';
import { columnName } from '../write/block.js';
import { KEY_COLUMNS, KEY_LIST, keyList, keyOf, type KeyRow } from './process-key-list.js';
import { checkWindow, chooseSource, type SeriesPoint, type SeriesWindow, type Source } from './series-window.js';
import { stepMeans, type StepRow } from './step-means.js';
import { stepRows } from './step-rows.js';

/** `leakSignal` is rssAnon + swap. */
export type ProcessSeriesMetric = MemoryMetric | 'leakSignal';

/** Metrics of which the rollups keep the least and the greatest, not only the last. */
const WITH_EXTREMES: readonly string[] = ['rss', 'rss_anon', 'swap', 'pss', 'uss'];

/**
 * Memory of processes over time; a key without points is absent. In rollups the greatest and least leak signal are
 * bounds: the sums of its two parts' own.
 */
export async function processSeries(
  connection: Connection,
  retention: Retention,
  keys: readonly ProcessKey[],
  metric: ProcessSeriesMetric,
  window: SeriesWindow,
): Promise<Map<ProcessKey, SeriesPoint[]>> {
  checkWindow(window);
  const list = keyList(keys);
  if (list.length === 0) return new Map();
  const source = chooseSource(window, list.length, retention, Date.now());
  const parameters = { keys: list };
  const [rows, ends] = await Promise.all([
    stepRows<KeyRow>(connection, KEY_COLUMNS, processSamples(metric, source, KEY_LIST), window, source, parameters),
    exitsOf(connection, KEY_LIST, parameters),
  ]);
  const byKey = new Map<ProcessKey, StepRow[]>();
  for (const row of rows) {
    const key = keyOf(row);
    const list = byKey.get(key);
    if (list) list.push(row);
    else byKey.set(key, [row]);
  }
  const result = new Map<ProcessKey, SeriesPoint[]>();
  for (const [key, list] of byKey) {
    const points = stepMeans(list, window, source, ends.get(key) ?? null);
    if (points.length > 0) result.set(key, points);
  }
  return result;
}

/** SELECT of the samples of the processes that `where` names; see stepRows. */
export function processSamples(metric: ProcessSeriesMetric, source: Source, where: string): string {
  return source.grain === 'raw' ? rawSamples(metric, where) : rollupSamples(metric, source, where);
}

function rawSamples(metric: ProcessSeriesMetric, where: string): string {
  const inTime = `${where} AND at >= fromUnixTimestamp64Milli({since:Int64}) AND at < fromUnixTimestamp64Milli({until:Int64})`;
  if (metric !== 'leakSignal') {
    const column = columnName(metric);
    return `SELECT ${KEY_COLUMNS}, toUnixTimestamp64Milli(at) AS at_ms, ${column} AS value, value AS low, value AS high
      FROM process_samples WHERE ${inTime} AND ${column} IS NOT NULL`;
  }
  // A row has the part that changed; the other holds from the row before.
  return `SELECT ${KEY_COLUMNS}, at_ms, value, value AS low, value AS high
    FROM (
      SELECT ${KEY_COLUMNS}, toUnixTimestamp64Milli(at) AS at_ms,
        last_value(rss_anon) IGNORE NULLS OVER before + last_value(swap) IGNORE NULLS OVER before AS value
      FROM process_samples
      WHERE ${inTime} AND (rss_anon IS NOT NULL OR swap IS NOT NULL)
      WINDOW before AS (PARTITION BY ${KEY_COLUMNS} ORDER BY at ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
    )
    WHERE value IS NOT NULL`;
}

function rollupSamples(metric: ProcessSeriesMetric, source: Source, where: string): string {
  const columns = metric === 'leakSignal' ? ['rss_anon', 'swap'] : [columnName(metric)];
  const extremes = columns.every((column) => WITH_EXTREMES.includes(column));
  const sum = (of: (column: string) => string): string => columns.map(of).join(' + ');
  return `SELECT ${KEY_COLUMNS}, toInt64(toUnixTimestamp(time)) * 1000 AS at_ms,
      ${sum((column) => `argMax(${column}_last, last_at)`)} AS value,
      ${extremes ? sum((column) => `min(${column}_min)`) : 'NULL'} AS low,
      ${extremes ? sum((column) => `max(${column}_max)`) : 'NULL'} AS high
    FROM process_samples_${source.grain}
    WHERE ${where} AND time >= toDateTime(intDiv({since:Int64}, 1000)) AND time < toDateTime(intDiv({until:Int64} + 999, 1000))
    GROUP BY ${KEY_COLUMNS}, time
    HAVING value IS NOT NULL`;
}

async function exitsOf(
  connection: Connection,
  where: string,
  parameters: Record<string, unknown>,
): Promise<Map<ProcessKey, number>> {
  const rows = await connection.query<KeyRow & { exited: number | string }>(
    `SELECT ${KEY_COLUMNS}, toUnixTimestamp64Milli(assumeNotNull(max(exited_at))) AS exited FROM processes
     WHERE ${where} AND exited_at IS NOT NULL GROUP BY ${KEY_COLUMNS}`,
    parameters,
  );
  return new Map(rows.map((row) => [keyOf(row), Number(row.exited)]));
}
