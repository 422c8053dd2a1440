import type { NodeId } from '@tidemark/contracts';
import type { Connection } from '../connection.js';
import { HistoryError } from '../errors.js';
import type { Retention } from '../retention.js';
import { columnName } from '../write/block.js';
import { KEY_COLUMNS } from './process-key-list.js';
import { processSamples, type ProcessSeriesMetric } from './process-series.js';
import {
  CARRY_MS,
  checkWindow,
  chooseSource,
  SOURCES,
  steps,
  type SeriesPoint,
  type SeriesWindow,
  type Source,
} from './series-window.js';

/** Processes to sum; what is left out does not restrict. */
export interface AggregateFilter {
  nodes?: readonly NodeId[];
  programs?: readonly string[];
  pids?: readonly number[];
  user?: string;
  service?: string;
}

/** Rows of one query: more minutes than this are read as hours, more hours are refused. */
const MAX_MINUTE_ROWS = 5_000_000;
const MAX_HOUR_ROWS = 20_000_000;

const MINUTE = 60_000;

/**
 * Sum over the matching processes at regular moments: the end of each step, minute or hour, whichever is longest. Each
 * living process counts once with its last known value; one whose exit is known, or of which nothing was heard for two
 * and a half keyframes, no longer counts. A step's value is the mean of its moments, `min` and `max` their extremes.
 */
export async function aggregateSeries(
  connection: Connection,
  retention: Retention,
  filter: AggregateFilter,
  metric: ProcessSeriesMetric,
  window: SeriesWindow,
): Promise<SeriesPoint[]> {
  checkWindow(window);
  const now = Date.now();
  const { first, last } = steps(window);
  const parameters: Record<string, unknown> = {
    ...filterParameters(filter),
    since: Math.max(0, first * window.stepMs - CARRY_MS),
    until: (last + 1) * window.stepMs,
    carry: CARRY_MS,
  };
  const matching = matchingProcesses(filter);
  const [counted] = await connection.query<{ processes: number | string }>(
    `SELECT count() AS processes FROM (${matching})`,
    parameters,
  );
  const processes = Number(counted?.processes ?? 0);
  if (processes === 0) return [];
  const source = aggregateSource(window, processes, retention, now);
  const gridMs = source.grain === 'raw' ? window.stepMs : source.grainMs;
  const rows = await connection.query<{ moment: number | string; change: number | string; processes: number | string }>(
    edgesQuery(samplesAtMoments(metric, source, Object.keys(filterParameters(filter)).length > 0, matching), matching),
    { ...parameters, grid: gridMs },
  );
  const edges = rows.map((row) => ({
    moment: Number(row.moment),
    change: Number(row.change),
    processes: Number(row.processes),
  }));
  return sumEdges(edges, window, gridMs, now);
}

function aggregateSource(window: SeriesWindow, processes: number, retention: Retention, now: number): Source {
  const minutes = (window.to - window.from) / MINUTE;
  const source = chooseSource(window, processes, retention, now);
  if (source.grain === 'raw') return source;
  if (source.grain === '1m' && processes * minutes <= MAX_MINUTE_ROWS) return source;
  if ((processes * minutes) / 60 <= MAX_HOUR_ROWS) return SOURCES['1h'];
  throw new HistoryError(
    'HISTORY_RANGE',
    `a series over ${processes} processes and ${Math.round(minutes / 60)} hours is too much at once: ask for less time or fewer processes`,
    false,
  );
}

function filterParameters(filter: AggregateFilter): Record<string, unknown> {
  return Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined));
}

/** SELECT of the keys of the processes that lived in the window and match, and when they exited. */
function matchingProcesses({ nodes, programs, pids, user, service }: AggregateFilter): string {
  const where = [
    'month >= toStartOfMonth(fromUnixTimestamp64Milli({since:Int64}))',
    'month <= toStartOfMonth(fromUnixTimestamp64Milli({until:Int64}))',
    ...(nodes ? ['node IN {nodes:Array(String)}'] : []),
    ...(pids ? ['pid IN {pids:Array(UInt32)}'] : []),
  ];
  const having = [
    'toUnixTimestamp64Milli(min(first_seen)) < {until:Int64}',
    'toUnixTimestamp64Milli(max(last_seen)) >= {since:Int64}',
    ...(programs ? ['argMax(program, last_seen) IN {programs:Array(String)}'] : []),
    ...(user !== undefined ? ['argMax(user, last_seen) = {user:String}'] : []),
    ...(service !== undefined ? ['argMax(service, last_seen) = {service:String}'] : []),
  ];
  return `SELECT ${KEY_COLUMNS}, ifNull(toUnixTimestamp64Milli(max(exited_at)), 0) AS stop
    FROM processes WHERE ${where.join(' AND ')} GROUP BY ${KEY_COLUMNS} HAVING ${having.join(' AND ')}`;
}

/** SELECT of the key columns, the moment by number, when the value was last known, and the value. */
function samplesAtMoments(metric: ProcessSeriesMetric, source: Source, filtered: boolean, matching: string): string {
  const where = filtered ? `(${KEY_COLUMNS}) IN (SELECT ${KEY_COLUMNS} FROM (${matching}))` : '1';
  if (source.grain === 'raw') {
    return `SELECT ${KEY_COLUMNS}, intDiv(at_ms, {grid:Int64}) AS moment, at_ms, toInt64(assumeNotNull(value)) AS value
      FROM (${processSamples(metric, source, where)})`;
  }
  const columns = metric === 'leakSignal' ? ['rss_anon', 'swap'] : [columnName(metric)];
  return `SELECT ${KEY_COLUMNS}, intDiv(toInt64(toUnixTimestamp(time)) * 1000, {grid:Int64}) AS moment,
      toUnixTimestamp64Milli(max(last_at)) AS at_ms,
      toInt64(assumeNotNull(${columns.map((column) => `argMax(${column}_last, last_at)`).join(' + ')})) AS value
    FROM process_samples_${source.grain}
    WHERE ${where} AND time >= toDateTime(intDiv({since:Int64}, 1000)) AND time < toDateTime(intDiv({until:Int64} + 999, 1000))
    GROUP BY ${KEY_COLUMNS}, time
    HAVING ${columns.map((column) => `max(${column}_last) IS NOT NULL`).join(' AND ')}`;
}

/** Each sample adds its value from its moment on, and takes it away where the next one, silence or exit ends it. */
function edgesQuery(samples: string, matching: string): string {
  return `SELECT edge.1 AS moment, sum(edge.2) AS change, sum(edge.3) AS processes
    FROM (
      SELECT arrayJoin(arrayFlatten(arrayMap(
        (cell, next) -> if(end_of(cell, next) > cell.1,
          [(cell.1, cell.3, 1), (end_of(cell, next), -cell.3, -1)],
          []),
        cells, arrayPushBack(arrayPopFront(cells.1), 9223372036854775807)))) AS edge
      FROM (
        SELECT ${KEY_COLUMNS}, arraySort(cell -> (cell.1, cell.2), groupArray((moment, at_ms, value))) AS cells
        FROM (${samples}) GROUP BY ${KEY_COLUMNS}
      ) AS series
      INNER JOIN (${matching}) AS matching USING (${KEY_COLUMNS})
    )
    GROUP BY moment ORDER BY moment`.replaceAll(
    'end_of(cell, next)',
    'least(next, intDiv(cell.2 + {carry:Int64}, {grid:Int64}), if(stop = 0, 9223372036854775807, intDiv(stop, {grid:Int64})))',
  );
}

interface Edge {
  moment: number;
  change: number;
  processes: number;
}

/** Runs along the moments of the window and means them by step. */
export function sumEdges(edges: readonly Edge[], window: SeriesWindow, gridMs: number, now: number): SeriesPoint[] {
  const { first, last } = steps(window);
  const from = Math.floor((first * window.stepMs) / gridMs);
  const to = Math.min(Math.ceil(((last + 1) * window.stepMs) / gridMs) - 1, Math.floor(now / gridMs));
  const points = new Map<number, { at: number; sum: number; count: number; min: number; max: number }>();
  let total = 0;
  let processes = 0;
  let next = 0;
  for (let moment = from; moment <= to; moment++) {
    while (next < edges.length && edges[next]!.moment <= moment) {
      total += edges[next]!.change;
      processes += edges[next]!.processes;
      next++;
    }
    if (processes === 0) continue;
    const at = Math.max(first, Math.floor((moment * gridMs) / window.stepMs)) * window.stepMs;
    const point = points.get(at) ?? { at, sum: 0, count: 0, min: Infinity, max: -Infinity };
    point.sum += total;
    point.count++;
    point.min = Math.min(point.min, total);
    point.max = Math.max(point.max, total);
    points.set(at, point);
  }
  return [...points.values()].map(({ at, sum, count, min, max }) => ({ at, value: sum / count, min, max }));
}
