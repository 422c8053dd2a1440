import type { Connection } from '../connection.js';
import type { WrittenRun } from '../write/written-chunks-block.js';

/** The newest chunk of every run that came through one partition of the log. */
export async function writtenChunks(connection: Connection, topic: string, partition: number): Promise<WrittenRun[]> {
  await connection.sync('written_chunks');
  const rows = await connection.query<{ node: string; run: string; last: number | string }>(
    `SELECT node, run, max(seq) AS last FROM written_chunks
     WHERE topic = {topic:String} AND partition = {partition:UInt32} GROUP BY node, run`,
    { topic, partition },
  );
  return rows.map(({ node, run, last }) => ({ node, run, seq: Number(last) }));
}

/** What tells one record from another of the same node or finding. */
export interface WrittenRecord {
  /** The node's or the finding's. */
  id: string;
  /** Epoch milliseconds. */
  at: number;
  /** Of a heartbeat its run and state, of a finding its state and whether it is imminent. */
  mark: string;
}

/** Most ids in one statement. */
const IDS_AT_ONCE = 1_000;

/** Heartbeats of the nodes, from this moment on, that another batch than this one brought. */
export function writtenHeartbeats(
  connection: Connection,
  ids: readonly string[],
  from: number,
  batch: number,
): Promise<WrittenRecord[]> {
  return writtenRecords(connection, 'heartbeats', 'node', "concat(run, ' ', state)", ids, from, batch);
}

/** Findings of these ids, from this moment on, that another batch than this one brought. */
export function writtenFindings(
  connection: Connection,
  ids: readonly string[],
  from: number,
  batch: number,
): Promise<WrittenRecord[]> {
  return writtenRecords(connection, 'findings', 'id', "concat(state, ' ', toString(imminent))", ids, from, batch);
}

async function writtenRecords(
  connection: Connection,
  table: 'heartbeats' | 'findings',
  key: 'node' | 'id',
  mark: string,
  ids: readonly string[],
  from: number,
  batch: number,
): Promise<WrittenRecord[]> {
  const found: WrittenRecord[] = [];
  await connection.sync(table);
  for (let first = 0; first < ids.length; first += IDS_AT_ONCE) {
    const rows = await connection.query<{ id: string; at_ms: number | string; mark: string }>(
      `SELECT ${key} AS id, toUnixTimestamp64Milli(at) AS at_ms, ${mark} AS mark FROM ${table}
       WHERE ${key} IN {ids:Array(String)} AND batch != {batch:UInt64}
         AND at >= fromUnixTimestamp64Milli({from:Int64})`,
      { ids: ids.slice(first, first + IDS_AT_ONCE), batch, from },
    );
    for (const row of rows) found.push({ id: row.id, at: Number(row.at_ms), mark: row.mark });
  }
  return found;
}
