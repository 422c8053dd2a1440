import type { NodeId, SystemMemory } from '@tidemark/contracts';
import type { Connection } from '../connection.js';
import type { Retention } from '../retention.js';
import { toNumber } from './process-key-list.js';

/** What the newest heartbeat of a node said. */
export interface StoredNode {
  node: NodeId;
  /** Epoch milliseconds of the heartbeat. */
  at: number;
  state: 'UP' | 'LEAVING';
  boot: string;
  run: string;
  hostname: string;
  kernel: string;
  architecture: string;
  cpus: number;
  pageSize: number;
  bootedAt: number;
  interval: number;
  processes: number;
  limitations: string[];
  collectorVersion: string;
}

const FIELDS = {
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
} as const;

type Field = keyof typeof FIELDS;

export interface NodeMemoryAt {
  node: NodeId;
  at: number;
  memory: SystemMemory;
}

type MemoryRow = { node: NodeId; at_ms: number | string } & Record<string, number | string | null>;

const MINUTE = 60_000;
const DAY = 86_400_000;

/** Nodes of which nothing came for this long are looked up one by one. */
const RECENT_MS = 10 * MINUTE;

/** Nodes of one look-up. */
const LOOK_UP = 200;

/** Every node ever heard of, by its newest heartbeat. */
export async function lastNodes(connection: Connection): Promise<StoredNode[]> {
  const rows = await connection.query<Record<string, number | string> & { node: NodeId; limitations: string[] }>(
    `SELECT node, toUnixTimestamp64Milli(at) AS at_ms, state, boot, run, hostname, kernel, architecture, cpus, page_size,
       toUnixTimestamp64Milli(booted_at) AS booted_ms, interval_ms, processes, limitations, collector_version
     FROM nodes FINAL ORDER BY node`,
  );
  return rows.map((row) => ({
    node: row.node,
    at: Number(row['at_ms']),
    state: row['state'] === 'LEAVING' ? 'LEAVING' : 'UP',
    boot: String(row['boot']),
    run: String(row['run']),
    hostname: String(row['hostname']),
    kernel: String(row['kernel']),
    architecture: String(row['architecture']),
    cpus: Number(row['cpus']),
    pageSize: Number(row['page_size']),
    bootedAt: Number(row['booted_ms']),
    interval: Number(row['interval_ms']),
    processes: Number(row['processes']),
    limitations: row.limitations,
    collectorVersion: String(row['collector_version']),
  }));
}

/** Newest stored memory of every node, as far back as minutes are kept. */
export async function lastNodeMemory(connection: Connection, retention: Retention): Promise<NodeMemoryAt[]> {
  const now = Date.now();
  const recent = await memoryRows(connection, 'time >= toDateTime({since:Int64})', {
    since: Math.floor((now - RECENT_MS) / 1000),
  });
  const heard = await connection.query<{ node: NodeId; at_ms: number | string }>(
    'SELECT node, toUnixTimestamp64Milli(at) AS at_ms FROM nodes FINAL ORDER BY node',
  );
  const known = new Set(recent.map(({ node }) => node));
  const silent = heard
    .map(({ node, at_ms }) => ({ node, at: Number(at_ms) }))
    .filter(({ node, at }) => !known.has(node) && at >= now - retention.minuteDays * DAY);
  const found = [...recent];
  for (let from = 0; from < silent.length; from += LOOK_UP) {
    const some = silent.slice(from, from + LOOK_UP);
    const minutes = some.map(({ at }) => Math.floor(at / MINUTE) * 60);
    found.push(
      ...(await memoryRows(
        connection,
        `node IN {nodes:Array(String)}
         AND time >= toDateTime(transform(node, {nodes:Array(String)}, {minutes:Array(Int64)}, toInt64(0)) - 300)
         AND time >= toDateTime({since:Int64}) AND time <= toDateTime({until:Int64})`,
        {
          nodes: some.map(({ node }) => node),
          minutes,
          since: Math.min(...minutes) - 300,
          until: Math.max(...minutes) + 300,
        },
      )),
    );
  }
  return found.sort((a, b) => (a.node < b.node ? -1 : 1));
}

async function memoryRows(
  connection: Connection,
  where: string,
  parameters: Record<string, unknown>,
): Promise<NodeMemoryAt[]> {
  const values = Object.entries(FIELDS).map(([field, column]) => `argMax(${column}_last, last_at) AS ${field}`);
  const rows = await connection.query<MemoryRow>(
    `SELECT node, toUnixTimestamp64Milli(max(last_at)) AS at_ms, ${values.join(', ')}
     FROM node_samples_1m WHERE ${where} GROUP BY node HAVING total IS NOT NULL`,
    parameters,
  );
  return rows.flatMap((row) => {
    const memory: Partial<Record<Field, number>> = {};
    for (const field of Object.keys(FIELDS) as Field[]) {
      const value = toNumber(row[field]);
      if (value !== null) memory[field] = value;
    }
    const { total, available, used, free } = memory;
    if (total === undefined || available === undefined || used === undefined || free === undefined) return [];
    return [{ node: row.node, at: Number(row.at_ms), memory: { ...memory, total, available, used, free } }];
  });
}
