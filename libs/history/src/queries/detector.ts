import type { NodeId } from '@tidemark/contracts';
import type { Connection } from '../connection.js';
import { identifier } from '../connection.js';
import {
  countColumn,
  dictionaryColumn,
  nativeBlock,
  textColumn,
  timeColumn,
  words32Column,
} from '../write/native-columns.js';

/** A judged process as it was kept, so that judging goes on after a restart instead of beginning anew. */
export interface KeptSeries {
  node: NodeId;
  boot: string;
  pid: number;
  start: number;
  /** Data time of the newest sample in it. */
  at: number;
  /** JSON of the detector's snapshot. */
  snapshot: string;
}

/** Lowest leak signal (rssAnon + swap, bytes) of each minute and hour of one process, oldest first. */
export interface KeptMinima {
  pid: number;
  start: number;
  minute: { at: number; bytes: number }[];
  hour: { at: number; bytes: number }[];
}

const MINUTE = 60_000;
const HOUR = 3_600_000;

/** How far back the detector's rings reach: its shortest in minutes, its longest in hours. */
const MINUTES_BACK = 6 * 60;
const HOURS_BACK = 14 * 24;

export async function loadSeries(connection: Connection, node: NodeId, boot: string): Promise<KeptSeries[]> {
  const rows = await connection.query<Record<'pid' | 'start' | 'at_ms', number | string> & { snapshot: string }>(
    `SELECT pid, start, toUnixTimestamp64Milli(at) AS at_ms, snapshot FROM leak_states FINAL
     WHERE node = {node:String} AND boot = {boot:String} ORDER BY pid, start`,
    { node, boot },
  );
  return rows.map((row) => ({
    node,
    boot,
    pid: Number(row.pid),
    start: Number(row.start),
    at: Number(row.at_ms),
    snapshot: row.snapshot,
  }));
}

/** A newer snapshot of a process takes the place of its older one. */
export async function saveSeries(connection: Connection, rows: readonly KeptSeries[]): Promise<void> {
  if (rows.length === 0) return;
  const columns = [
    dictionaryColumn(
      'node',
      rows.map(({ node }) => ({ text: node, rows: 1 })),
    ),
    dictionaryColumn(
      'boot',
      rows.map(({ boot }) => ({ text: boot, rows: 1 })),
    ),
    words32Column(
      'pid',
      Uint32Array.from(rows, ({ pid }) => pid),
    ),
    countColumn(
      'start',
      rows.map(({ start }) => start),
    ),
    timeColumn(
      'at',
      rows.map(({ at }) => at),
    ),
    textColumn(
      'snapshot',
      rows.map(({ snapshot }) => snapshot),
    ),
  ];
  await connection.insert(
    `INSERT INTO leak_states (${columns.map(({ name }) => identifier(name)).join(', ')})
     SETTINGS insert_deduplicate = 0, async_insert = 0 FORMAT Native`,
    nativeBlock(rows.length, columns),
  );
}

/**
 * Floors of the node's processes: the last hours by the minute, before that by the hour. The sum of the two parts'
 * floors, which is below the floor of the sum where pages were swapped out within the minute.
 */
export async function loadMinima(connection: Connection, node: NodeId, boot: string): Promise<KeptMinima[]> {
  const now = Date.now();
  const split = Math.floor((now - MINUTES_BACK * MINUTE) / HOUR) * HOUR;
  const [minutes, hours] = await Promise.all([
    floors(connection, node, boot, '1m', split, now + HOUR),
    floors(connection, node, boot, '1h', split - HOURS_BACK * HOUR, split),
  ]);
  const kept = new Map<string, KeptMinima>();
  for (const [grain, rows] of [
    ['minute', minutes],
    ['hour', hours],
  ] as const) {
    for (const { pid, start, floor } of rows) {
      const entry = kept.get(`${pid}/${start}`) ?? { pid, start, minute: [], hour: [] };
      entry[grain] = floor;
      kept.set(`${pid}/${start}`, entry);
    }
  }
  return [...kept.values()];
}

async function floors(
  connection: Connection,
  node: NodeId,
  boot: string,
  grain: '1m' | '1h',
  from: number,
  to: number,
): Promise<{ pid: number; start: number; floor: { at: number; bytes: number }[] }[]> {
  const rows = await connection.query<{
    pid: number | string;
    start: number | string;
    floor: [number | string, number | string][];
  }>(
    `SELECT pid, start, arraySort(groupArray((at_s, bytes))) AS floor
     FROM (
       SELECT pid, start, toInt64(toUnixTimestamp(time)) AS at_s, assumeNotNull(min(rss_anon_min) + min(swap_min)) AS bytes
       FROM process_samples_${grain}
       WHERE node = {node:String} AND boot = {boot:String}
         AND time >= toDateTime({from:Int64}) AND time < toDateTime({to:Int64})
       GROUP BY pid, start, time
       HAVING min(rss_anon_min) IS NOT NULL AND min(swap_min) IS NOT NULL
     )
     GROUP BY pid, start ORDER BY pid, start`,
    { node, boot, from: Math.max(0, from / 1000), to: Math.floor(to / 1000) },
  );
  return rows.map(({ pid, start, floor }) => ({
    pid: Number(pid),
    start: Number(start),
    floor: floor.map(([at, bytes]) => ({ at: Number(at) * 1000, bytes: Number(bytes) })),
  }));
}
