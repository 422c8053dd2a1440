import {
  parseProcessKey,
  type ChunkState,
  type ProcessKey,
  type SiteFigures,
  type StackFrame,
  type Survivor,
  type TraceMeans,
  type TraceMode,
  type TraceTotals,
} from '@tidemark/contracts';
import type { Connection } from '../connection.js';
import { HistoryError } from '../errors.js';
import { checkWindow, CARRY_MS, type SeriesPoint, type SeriesWindow } from './series-window.js';
import { stepMeans } from './step-means.js';
import { stepRows } from './step-rows.js';

/** The newest trace of a process, as its last chunk told of it. */
export interface StoredTrace {
  key: ProcessKey;
  /** Id of the request that began it, and run of the collector that told last. */
  trace: string;
  run: string;
  at: number;
  startedAt: number;
  program: string;
  commandLine: string | null;
  /** ACTIVE also when the collector died: then nothing newer than `at` is known. */
  state: ChunkState;
  means: TraceMeans;
  mode: TraceMode;
  sampleInterval: number | null;
  totals: TraceTotals;
  birthsUntil: number;
  anonymousBytes: number | null;
  survivorsTotal: number;
  warnings: string[];
}

/** A site of the newest trace with its last figures. */
export interface StoredSite {
  /** `siteId`; null when its stack never came. */
  id: string | null;
  frames: StackFrame[];
  truncated: boolean;
  figures: SiteFigures;
  /** When the figures were read, and the end of the bins of births in them; epoch milliseconds. */
  at: number;
  birthsUntil: number;
}

export type SiteOrder = 'liveBytes' | 'liveCount' | 'allocatedBytes' | 'allocations';

const ORDERS: Readonly<Record<SiteOrder, string>> = {
  liveBytes: 'live_bytes',
  liveCount: 'live_count',
  allocatedBytes: 'allocated_bytes',
  allocations: 'allocations',
};

const MAX_SITES = 1_000;
const MAX_AT_RISK = 10_000;

const OF_PROCESS = 'node = {node:String} AND boot = {boot:String} AND pid = {pid:UInt32} AND start = {start:UInt64}';
const OF_TRACE = `${OF_PROCESS} AND trace = {trace:String} AND run = {run:String}`;

type Cell = number | string;

interface TraceRow extends Record<string, unknown> {
  trace: string;
  run: string;
  program: string;
  command_line: string | null;
  state: ChunkState;
  means: TraceMeans;
  mode: TraceMode;
  warnings: string[];
}

/** The newest trace of a process; null when it was never traced, or so long ago that it is forgotten. */
export async function traceOf(connection: Connection, key: ProcessKey): Promise<StoredTrace | null> {
  const parts = parseProcessKey(key);
  if (!parts) return null;
  const [row] = await connection.query<TraceRow>(
    `SELECT *, toUnixTimestamp64Milli(at) AS at_ms, toUnixTimestamp64Milli(started_at) AS started_ms,
       toUnixTimestamp64Milli(births_until) AS until_ms
     FROM allocation_traces FINAL WHERE ${OF_PROCESS} ORDER BY at DESC, started_at DESC LIMIT 1`,
    { ...parts },
  );
  return row ? toTrace(key, row) : null;
}

function toTrace(key: ProcessKey, row: TraceRow): StoredTrace {
  const number = (column: string): number => Number(row[column] as Cell);
  const orNull = (column: string): number | null => (row[column] === null ? null : number(column));
  const hasError = row['error_live_bytes'] !== null;
  return {
    key,
    ...{ trace: row.trace, run: row.run, program: row.program, commandLine: row.command_line },
    ...{ state: row.state, means: row.means, mode: row.mode, warnings: row.warnings },
    ...{ at: number('at_ms'), startedAt: number('started_ms'), birthsUntil: number('until_ms') },
    ...{ sampleInterval: orNull('sample_interval'), anonymousBytes: orNull('anonymous_bytes') },
    survivorsTotal: number('survivors_total'),
    totals: {
      ...{ allocations: number('allocations'), frees: number('frees') },
      ...{ allocatedBytes: number('allocated_bytes'), freedBytes: number('freed_bytes') },
      ...{ liveCount: number('live_count'), liveBytes: number('live_bytes') },
      ...{ issued: number('issued'), recorded: number('recorded') },
      ...{ cancelled: number('cancelled'), dropped: number('dropped') },
      standardError: hasError
        ? {
            ...{ allocations: number('error_allocations'), allocatedBytes: number('error_allocated_bytes') },
            ...{ liveCount: number('error_live_count'), liveBytes: number('error_live_bytes') },
          }
        : null,
    },
  };
}

interface SiteRow extends Record<string, Cell | Cell[] | boolean | null> {
  births: Cell[];
  site_id: string;
  frames: string;
}

/** Sites of the newest trace, the first of the order first. */
export async function tracedSites(
  connection: Connection,
  key: ProcessKey,
  order: SiteOrder,
  limit: number,
): Promise<StoredSite[]> {
  checkLimit('sites', limit, MAX_SITES);
  const trace = await traceOf(connection, key);
  if (!trace) return [];
  const rows = await connection.query<SiteRow>(
    `SELECT figures.*, figures.site AS site_number, toUnixTimestamp64Milli(at) AS at_ms, toUnixTimestamp64Milli(first_at) AS first_ms,
       toUnixTimestamp64Milli(births_until) AS until_ms, names.site_id AS site_id, stacks.frames AS frames,
       stacks.truncated AS truncated
     FROM (SELECT * FROM allocation_sites WHERE ${OF_TRACE} ORDER BY site, at DESC LIMIT 1 BY site) AS figures
     LEFT JOIN (SELECT site, site_id FROM allocation_site_names FINAL WHERE ${OF_TRACE}) AS names
       ON figures.site = names.site
     LEFT JOIN (
       SELECT site_id, frames, truncated FROM allocation_stacks FINAL
       WHERE site_id IN (SELECT site_id FROM allocation_site_names WHERE ${OF_TRACE})
     ) AS stacks ON names.site_id = stacks.site_id
     ORDER BY ${ORDERS[order]} DESC, figures.site LIMIT ${limit}`,
    parametersOf(trace),
  );
  return rows.map(toSite);
}

function toSite(row: SiteRow): StoredSite {
  const number = (column: string): number => Number(row[column] as Cell);
  return {
    id: row.site_id === '' ? null : row.site_id,
    frames: row.frames === '' ? [] : (JSON.parse(row.frames) as StackFrame[]),
    truncated: Boolean(row['truncated']),
    at: number('at_ms'),
    birthsUntil: number('until_ms'),
    figures: {
      ...{ site: number('site_number'), allocations: number('allocations'), frees: number('frees') },
      ...{ allocatedBytes: number('allocated_bytes'), freedBytes: number('freed_bytes') },
      ...{ liveCount: number('live_count'), liveBytes: number('live_bytes'), oldFrees: number('old_frees') },
      ...{ liveSamples: number('live_samples'), liveVariance: number('live_variance') },
      ...{ firstAt: number('first_ms'), births: row.births.map(Number) },
    },
  };
}

/** Allocations of the newest trace that no free was seen of, oldest first; `site` is the number of the site in it. */
export async function atRisk(
  connection: Connection,
  key: ProcessKey,
  limit: number,
): Promise<(Survivor & { siteId: string | null })[]> {
  checkLimit('allocations', limit, MAX_AT_RISK);
  const trace = await traceOf(connection, key);
  if (!trace || trace.survivorsTotal === 0) return [];
  const rows = await connection.query<Record<'address' | 'micros' | 'size' | 'site', Cell> & { site_id: string }>(
    `SELECT address, toUnixTimestamp64Micro(time) AS micros, size, blocks.site AS site, names.site_id AS site_id
     FROM (SELECT * FROM unmatched_allocations FINAL WHERE ${OF_TRACE}) AS blocks
     LEFT JOIN (SELECT site, site_id FROM allocation_site_names FINAL WHERE ${OF_TRACE}) AS names
       ON blocks.site = names.site
     WHERE NOT freed
       AND at >= (SELECT max(at) FROM unmatched_allocations WHERE ${OF_TRACE} AND keyframe)
     ORDER BY time, address LIMIT ${limit}`,
    parametersOf(trace),
  );
  return rows.map(({ address, micros, size, site, site_id }) => ({
    ...{ address: Number(address), time: Number(micros) / 1000, size: Number(size), site: Number(site) },
    siteId: site_id === '' ? null : site_id,
  }));
}

/** Live bytes of a site of the newest trace over time; empty when it is not known. */
export async function siteSeries(
  connection: Connection,
  key: ProcessKey,
  siteId: string,
  window: SeriesWindow,
): Promise<SeriesPoint[]> {
  checkWindow(window);
  const trace = await traceOf(connection, key);
  if (!trace) return [];
  // A keyframe every minute repeats what stands.
  const source = { grain: 'raw' as const, grainMs: 0, carryMs: CARRY_MS };
  const samples = `SELECT site, toUnixTimestamp64Milli(at) AS at_ms, live_bytes AS value, live_bytes AS low, live_bytes AS high
    FROM allocation_sites FINAL
    WHERE ${OF_TRACE} AND at >= fromUnixTimestamp64Milli({since:Int64}) AND at < fromUnixTimestamp64Milli({until:Int64})
      AND site = (SELECT min(site) FROM allocation_site_names WHERE ${OF_TRACE} AND site_id = {site_id:String})`;
  const parameters = { ...parametersOf(trace), site_id: siteId };
  const rows = await stepRows(connection, 'site', samples, window, source, parameters);
  return stepMeans(rows, window, source, trace.state === 'ACTIVE' ? null : trace.at + 1);
}

function parametersOf({ key, trace, run }: StoredTrace): Record<string, unknown> {
  return { ...parseProcessKey(key), trace, run };
}

function checkLimit(what: string, limit: number, most: number): void {
  if (Number.isInteger(limit) && limit >= 1 && limit <= most) return;
  throw new HistoryError('HISTORY_RANGE', `${limit} ${what} asked for, allowed are 1 to ${most}`, false);
}
