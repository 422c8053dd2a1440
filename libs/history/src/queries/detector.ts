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

/** One boot of a node; also the names under which a processor keeps what outlives boots. */
export interface NodeBoot {
  node: NodeId;
  boot: string;
}

/** The snapshots of each, in the order asked for. */
export async function loadSeries(connection: Connection, asked: readonly NodeBoot[]): Promise<KeptSeries[][]> {
  const rows = await connection.query<
    NodeBoot & Record<'pid' | 'start' | 'at_ms', number | string> & { snapshot: string }
  >(
    `SELECT node, boot, pid, start, toUnixTimestamp64Milli(at) AS at_ms, snapshot FROM leak_states FINAL
     WHERE node IN {nodes:Array(String)} AND boot IN {boots:Array(String)} ORDER BY node, boot, pid, start`,
    parametersOf(asked),
  );
  const kept = rows.map(({ node, boot, pid, start, at_ms, snapshot }) => ({
    ...{ node, boot, snapshot },
    ...{ pid: Number(pid), start: Number(start), at: Number(at_ms) },
  }));
  return sortOut(asked, kept);
}

/** Each of some nodes with each of some boots: what was not asked for is left out when the answer is sorted. */
function parametersOf(asked: readonly NodeBoot[]): { nodes: string[]; boots: string[] } {
  return { nodes: [...new Set(asked.map(({ node }) => node))], boots: [...new Set(asked.map(({ boot }) => boot))] };
}

function sortOut<Row extends NodeBoot>(asked: readonly NodeBoot[], rows: readonly Row[]): Row[][] {
  const byBoot = new Map<string, Row[]>();
  for (const row of rows) {
    const key = keyOf(row);
    const list = byBoot.get(key);
    if (list) list.push(row);
    else byBoot.set(key, [row]);
  }
  return asked.map((one) => byBoot.get(keyOf(one)) ?? []);
}

/** A node id has no slash in it. */
export function keyOf({ node, boot }: NodeBoot): string {
  return `${node}/${boot}`;
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
 * Floors of the processes of each, in the order asked for: the last hours by the minute, before that by the hour. The sum
 * of the two parts' floors, which is below the floor of the sum where pages were swapped out within the minute.
 */
export async function loadMinima(connection: Connection, asked: readonly NodeBoot[]): Promise<KeptMinima[][]> {
  const now = Date.now();
  const split = Math.floor((now - MINUTES_BACK * MINUTE) / HOUR) * HOUR;
  const [minutes, hours] = await Promise.all([
    floors(connection, asked, '1m', split, now + HOUR),
    floors(connection, asked, '1h', split - HOURS_BACK * HOUR, split),
  ]);
  return asked.map((_, index) => {
    const kept = new Map<string, KeptMinima>();
    for (const [grain, rows] of [
      ['minute', minutes[index]!],
      ['hour', hours[index]!],
    ] as const) {
      for (const { pid, start, floor } of rows) {
        const entry = kept.get(`${pid}/${start}`) ?? { pid, start, minute: [], hour: [] };
        entry[grain] = floor;
        kept.set(`${pid}/${start}`, entry);
      }
    }
    return [...kept.values()];
  });
}

interface Floors extends NodeBoot {
  pid: number;
  start: number;
  floor: { at: number; bytes: number }[];
}

async function floors(
  connection: Connection,
  asked: readonly NodeBoot[],
  grain: '1m' | '1h',
  from: number,
  to: number,
): Promise<Floors[][]> {
  const rows = await connection.query<
    NodeBoot & Record<'pid' | 'start', number | string> & { floor: [number | string, number | string][] }
  >(
    `SELECT node, boot, pid, start, arraySort(groupArray((at_s, bytes))) AS floor
     FROM (
       SELECT node, boot, pid, start, toInt64(toUnixTimestamp(time)) AS at_s,
         assumeNotNull(min(rss_anon_min) + min(swap_min)) AS bytes
       FROM process_samples_${grain}
       WHERE node IN {nodes:Array(String)} AND boot IN {boots:Array(String)}
         AND time >= toDateTime({from:Int64}) AND time < toDateTime({to:Int64})
       GROUP BY node, boot, pid, start, time
       HAVING min(rss_anon_min) IS NOT NULL AND min(swap_min) IS NOT NULL
     )
     GROUP BY node, boot, pid, start ORDER BY node, boot, pid, start`,
    { ...parametersOf(asked), from: Math.max(0, from / 1000), to: Math.floor(to / 1000) },
  );
  return sortOut(
    asked,
    rows.map(({ node, boot, pid, start, floor }) => ({
      ...{ node, boot, pid: Number(pid), start: Number(start) },
      floor: floor.map(([at, bytes]) => ({ at: Number(at) * 1000, bytes: Number(bytes) })),
    })),
  );
}
