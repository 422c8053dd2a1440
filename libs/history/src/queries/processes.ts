import { MEMORY_METRICS, type MemoryMetric, type NodeId, type ProcessKey } from '@tidemark/contracts';
import type { Connection } from '../connection.js';
import { HistoryError } from '../errors.js';
import type { Retention } from '../retention.js';
import { columnName } from '../write/block.js';
import { KEY_COLUMNS, KEY_LIST, keyList, keyOf, toNumber, type KeyRow } from './process-key-list.js';
import { CARRY_MS } from './series-window.js';

/** What history remembers of a process that may be gone. */
export interface StoredProcess {
  key: ProcessKey;
  ppid: number | null;
  program: string;
  commandLine: string | null;
  user: string | null;
  uid: number | null;
  gid: number | null;
  service: string;
  cgroup: string | null;
  /** Epoch milliseconds. */
  startedAt: number;
  /** Null when no exit was recorded. */
  exitedAt: number | null;
  /** Time of the newest stored sample. */
  lastSampleAt: number | null;
  /** Last known value of each metric, bytes; null is unknown. */
  memory: Readonly<Record<MemoryMetric, number | null>>;
}

type Value = number | string | null;

interface FactsRow extends KeyRow {
  program: string | null;
  command_line: string | null;
  uid: Value;
  gid: Value;
  user: string | null;
  cgroup: string | null;
  service: string | null;
  started: Value;
  exited: Value;
  seen: Value;
  first: Value;
}

type MemoryRow = KeyRow & { at_ms: number | string; ppid: Value } & Record<string, Value>;

const FACTS = `argMax(program, last_seen) AS program, argMax(command_line, last_seen) AS command_line,
  argMax(uid, last_seen) AS uid, argMax(gid, last_seen) AS gid, argMax(user, last_seen) AS user,
  argMax(cgroup, last_seen) AS cgroup, argMax(service, last_seen) AS service,
  toUnixTimestamp64Milli(argMax(started_at, last_seen)) AS started,
  toUnixTimestamp64Milli(max(exited_at)) AS exited,
  toUnixTimestamp64Milli(max(last_seen)) AS seen,
  toUnixTimestamp64Milli(min(first_seen)) AS first`;

const MEMORY_COLUMNS = ['ppid', ...MEMORY_METRICS.map(columnName)];

/** The last value of every metric in a rollup, and in the raw table. */
const ROLLUP_MEMORY = MEMORY_COLUMNS.map((column) => `argMax(${column}_last, last_at) AS ${column}`).join(', ');
const RAW_MEMORY = MEMORY_COLUMNS.map((column) => `argMax(${column}, at) AS ${column}_v`).join(', ');

/** The last keyframe of a process lies at most this long before it was last seen. */
const LOOK_BACK_S = 180;

const DAY = 86_400_000;

const MAX_PAGE = 1_000;

/** Processes that history knows; the others are absent. */
export async function processes(
  connection: Connection,
  keys: readonly ProcessKey[],
): Promise<Map<ProcessKey, StoredProcess>> {
  const list = keyList(keys);
  if (list.length === 0) return new Map();
  const facts = await connection.query<FactsRow>(
    `SELECT ${KEY_COLUMNS}, ${FACTS} FROM processes WHERE ${KEY_LIST} GROUP BY ${KEY_COLUMNS}`,
    { keys: list },
  );
  if (facts.length === 0) return new Map();
  const memory = await lastMemory(connection, list, facts);
  return new Map(facts.map((row) => [keyOf(row), toStored(row, memory.get(keyOf(row)))]));
}

/** From the minutes, and from the hours for what the minutes no longer have. */
async function lastMemory(
  connection: Connection,
  keys: ReturnType<typeof keyList>,
  facts: readonly FactsRow[],
): Promise<Map<ProcessKey, MemoryRow>> {
  const found = new Map<ProcessKey, MemoryRow>();
  const since = Math.floor(Math.min(...facts.map(({ seen }) => Number(seen))) / 1000) - LOOK_BACK_S;
  for (const grain of ['1m', '1h']) {
    if (found.size >= facts.length) break;
    const rows = await connection.query<MemoryRow>(
      `SELECT ${KEY_COLUMNS}, toUnixTimestamp64Milli(max(last_at)) AS at_ms, ${ROLLUP_MEMORY}
       FROM process_samples_${grain}
       WHERE ${KEY_LIST} AND time >= toStartOfHour(toDateTime({since:Int64}))
       GROUP BY ${KEY_COLUMNS}`,
      { keys, since: Math.max(0, since) },
    );
    for (const row of rows) if (!found.has(keyOf(row))) found.set(keyOf(row), row);
  }
  return found;
}

/**
 * The processes of a node that lived at a moment, by pid and start, strictly after `after` in that order, with their
 * memory as it was then (of the minute, where samples are no longer kept).
 */
export async function processesAt(
  connection: Connection,
  retention: Retention,
  node: NodeId,
  at: number,
  after: { pid: number; start: number } | null,
  limit: number,
): Promise<StoredProcess[]> {
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_PAGE) {
    throw new HistoryError('HISTORY_RANGE', `${limit} processes asked for, allowed are 1 to ${MAX_PAGE}`, false);
  }
  const parameters = { node, at, carry: CARRY_MS, pid: after?.pid ?? 0, start: after?.start ?? 0 };
  const facts = await connection.query<FactsRow>(
    `SELECT ${KEY_COLUMNS}, ${FACTS} FROM processes
     WHERE node = {node:String}
       AND month >= toStartOfMonth(fromUnixTimestamp64Milli({at:Int64} - {carry:Int64}))
       AND month <= toStartOfMonth(fromUnixTimestamp64Milli({at:Int64} + {carry:Int64}))
       ${after ? 'AND (pid, start) > ({pid:UInt32}, {start:UInt64})' : ''}
     GROUP BY ${KEY_COLUMNS}
     HAVING first <= {at:Int64} AND seen >= {at:Int64} - {carry:Int64} AND ifNull(exited > {at:Int64}, 1)
     ORDER BY pid, start LIMIT ${limit}`,
    parameters,
  );
  if (facts.length === 0) return [];
  const last = facts.at(-1);
  const raw = Date.now() - at < retention.rawDays * DAY - CARRY_MS;
  const rows = await connection.query<MemoryRow>(
    raw
      ? `SELECT ${KEY_COLUMNS}, toUnixTimestamp64Milli(max(at)) AS at_ms, ${RAW_MEMORY} FROM process_samples
         WHERE node = {node:String} AND pid >= {first_pid:UInt32} AND pid <= {last_pid:UInt32}
           AND at > fromUnixTimestamp64Milli({at:Int64} - {carry:Int64}) AND at <= fromUnixTimestamp64Milli({at:Int64})
         GROUP BY ${KEY_COLUMNS}`
      : `SELECT ${KEY_COLUMNS}, toUnixTimestamp64Milli(max(last_at)) AS at_ms, ${ROLLUP_MEMORY} FROM process_samples_1m
         WHERE node = {node:String} AND pid >= {first_pid:UInt32} AND pid <= {last_pid:UInt32}
           AND time > toDateTime(intDiv({at:Int64} - {carry:Int64}, 1000)) AND time <= toDateTime(intDiv({at:Int64}, 1000))
         GROUP BY ${KEY_COLUMNS}`,
    { ...parameters, first_pid: facts[0]?.pid, last_pid: last?.pid },
  );
  const memory = new Map(rows.map((row) => [keyOf(row), row]));
  return facts.map((row) => toStored(row, memory.get(keyOf(row))));
}

function toStored(facts: FactsRow, memory: MemoryRow | undefined): StoredProcess {
  const value = (column: string): number | null => toNumber(memory?.[column] ?? memory?.[`${column}_v`]);
  return {
    key: keyOf(facts),
    ppid: value('ppid'),
    program: facts.program ?? '',
    commandLine: facts.command_line,
    user: facts.user,
    uid: toNumber(facts.uid),
    gid: toNumber(facts.gid),
    service: facts.service ?? facts.program ?? '',
    cgroup: facts.cgroup,
    startedAt: toNumber(facts.started) ?? Number(facts.first),
    exitedAt: toNumber(facts.exited),
    lastSampleAt: toNumber(memory?.at_ms),
    memory: Object.fromEntries(
      MEMORY_METRICS.map((metric) => [metric, value(columnName(metric))]),
    ) as StoredProcess['memory'],
  };
}
