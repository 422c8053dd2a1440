import type { NodeId } from '@tidemark/contracts';
import type { Connection } from '../connection.js';
import { HistoryError } from '../errors.js';
import type { Retention } from '../retention.js';
import { checkWindow, chooseSource, type SeriesPoint, type SeriesWindow, type Source } from './series-window.js';
import { stepMeans, type StepRow } from './step-means.js';
import { stepRows } from './step-rows.js';

/** Column of each metric of a node. */
const COLUMNS = {
  total: 'total',
  available: 'available',
  used: 'used',
  free: 'free',
  active: 'active',
  inactive: 'inactive',
  buffers: 'buffers',
  cached: 'cached',
  shared: 'shared',
  swapTotal: 'swap_total',
  swapFree: 'swap_free',
  swapUsed: 'swap_used',
  loadOne: 'load_one',
  loadFive: 'load_five',
  loadFifteen: 'load_fifteen',
  /** Percent of the last 10 s in which some, or all, tasks waited for memory. */
  pressureSome: 'pressure_some_avg10',
  pressureFull: 'pressure_full_avg10',
} as const;

export type NodeSeriesMetric = keyof typeof COLUMNS;

const WITH_EXTREMES: readonly string[] = ['available', 'used', 'swap_used', 'load_one', 'pressure_some_avg10'];

const MAX_NODES = 500;

/** Figures of nodes over time; a node without points is absent. */
export async function nodeSeries(
  connection: Connection,
  retention: Retention,
  nodes: readonly NodeId[],
  metric: NodeSeriesMetric,
  window: SeriesWindow,
): Promise<Map<NodeId, SeriesPoint[]>> {
  checkWindow(window);
  if (nodes.length > MAX_NODES) {
    throw new HistoryError('HISTORY_RANGE', `${nodes.length} nodes asked for at once, at most ${MAX_NODES}`, false);
  }
  if (nodes.length === 0) return new Map();
  const source = chooseSource(window, nodes.length, retention, Date.now());
  const samples = nodeSamples(COLUMNS[metric], source);
  const rows = await stepRows<{ node: NodeId }>(connection, 'node', samples, window, source, { nodes });
  const byNode = new Map<NodeId, StepRow[]>();
  for (const row of rows) {
    const list = byNode.get(row.node);
    if (list) list.push(row);
    else byNode.set(row.node, [row]);
  }
  const result = new Map<NodeId, SeriesPoint[]>();
  for (const [node, list] of byNode) {
    const points = stepMeans(list, window, source, null);
    if (points.length > 0) result.set(node, points);
  }
  return result;
}

function nodeSamples(column: string, source: Source): string {
  if (source.grain === 'raw') {
    const value = column === 'swap_used' ? 'if(swap_total >= swap_free, swap_total - swap_free, NULL)' : column;
    return `SELECT node, toUnixTimestamp64Milli(at) AS at_ms, ${value} AS value, value AS low, value AS high
      FROM node_samples
      WHERE node IN {nodes:Array(String)} AND value IS NOT NULL
        AND at >= fromUnixTimestamp64Milli({since:Int64}) AND at < fromUnixTimestamp64Milli({until:Int64})`;
  }
  const extremes = WITH_EXTREMES.includes(column);
  return `SELECT node, toInt64(toUnixTimestamp(time)) * 1000 AS at_ms,
      argMax(${column}_last, last_at) AS value,
      ${extremes ? `min(${column}_min)` : 'NULL'} AS low,
      ${extremes ? `max(${column}_max)` : 'NULL'} AS high
    FROM node_samples_${source.grain}
    WHERE node IN {nodes:Array(String)}
      AND time >= toDateTime(intDiv({since:Int64}, 1000)) AND time < toDateTime(intDiv({until:Int64} + 999, 1000))
    GROUP BY node, time
    HAVING value IS NOT NULL`;
}
