// What the page of a large cluster asks history for, with the nodes that BENCH_NODES says: every node's newest heartbeat,
// and its newest memory, when all nodes are heard of and when a tenth of them has been silent for an hour.
//
//   npm run bench -- nodes          BENCH_NODES=10000 BENCH_TURNS=20 by default
import { createHistory } from '@tidemark/history';
import { startEmbeddedServer } from '@tidemark/history/embedded';
import { mkdtempSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';

const NODES = Number(process.env.BENCH_NODES ?? 10_000);
const TURNS = Number(process.env.BENCH_TURNS ?? 20);
/** Rows of which the minutes table is made: what is asked for must be found among a day of others. */
const MINUTES = 120;
const TARGET_MS = 300;
const directory = mkdtempSync(join(tmpdir(), 'tidemark-bench-nodes-'));

try {
  await run();
} finally {
  rmSync(directory, { recursive: true, force: true });
}

async function run() {
  const server = await startEmbeddedServer({ directory, port: 0 });
  const history = createHistory({ url: server.url, ...server.users.admin, database: 'tidemark' });
  await history.migrate();
  const sql = (statement) => ask(server, statement);
  const now = Math.floor(Date.now() / 60_000) * 60;
  const node = `'node-' || leftPad(toString(number % ${NODES}), 6, '0') AS node`;
  await sql(`INSERT INTO nodes (node, at, boot, run, state, hostname, kernel, architecture, cpus, page_size, booted_at,
      interval_ms, processes, limitations, collector_version)
    SELECT ${node}, toDateTime64(${now}, 3) - (number % 10 = 0) * 3600, 'boot', 'run', 'UP', 'host.example', 'Linux 6.1',
      'x86_64', 32, 4096, toDateTime64(${now - 86_400}, 3), 1000, 500, [], '0.1.0' FROM numbers(${NODES})`);
  await minutes(sql, node, now);
  const calls = {
    'reference: SELECT 1': () => sql('SELECT 1'),
    'newest heartbeat of every node': () => history.lastNodes(),
    'newest memory of every node, a tenth silent for an hour': () => history.lastNodeMemory(),
  };
  const times = Object.fromEntries(Object.keys(calls).map((name) => [name, []]));
  for (let turn = 0; turn < TURNS; turn++) {
    for (const [name, call] of Object.entries(calls)) {
      const began = performance.now();
      const answer = await call();
      times[name].push(performance.now() - began);
      if (Array.isArray(answer) && answer.length !== NODES) throw new Error(`${name}: ${answer.length} of ${NODES}`);
    }
  }
  print(`${NODES} nodes, ${MINUTES} minutes of each, load ${loadavg()[0].toFixed(1)}`);
  for (const [name, list] of Object.entries(times)) {
    const verdict = name.startsWith('reference') ? '' : `  target ≤ ${TARGET_MS} ms`;
    print(`  ${name.padEnd(58)} p50 ${ms(at(list, 0.5))}  p95 ${ms(at(list, 0.95))} ms${verdict}`);
  }
  await history.close();
  await server.stop(10_000);
}

/** Every node's minutes up to now; of each tenth node up to an hour ago. */
async function minutes(sql, node, now) {
  const figure = (name, index) => `toUInt64(cityHash64(number, ${index}) % 100000 * 4096) AS ${name}`;
  const names = ['total_last', 'available_last', 'used_last', 'free_last', 'swap_total_last', 'swap_free_last'];
  const time = `toDateTime(${now}) - 60 * (${MINUTES - 1} - intDiv(number, ${NODES})) - (number % 10 = 0) * 3600 AS time`;
  await sql(`INSERT INTO node_samples_1m (node, time, last_at, ${names.join(', ')})
    SELECT ${node}, ${time}, toDateTime64(time, 3) AS last_at, ${names.map(figure).join(', ')}
    FROM numbers(${NODES * MINUTES}) SETTINGS max_block_size = 65536, max_partitions_per_insert_block = 0`);
}

async function ask({ url, users }, sql) {
  const { username, password } = users.admin;
  const headers = { 'X-ClickHouse-User': username, 'X-ClickHouse-Key': password };
  const answer = await fetch(`${url}/?database=tidemark`, { method: 'POST', body: sql, headers });
  if (!answer.ok) throw new Error(await answer.text());
  return answer.text();
}

function at(list, share) {
  return [...list].sort((a, b) => a - b)[Math.min(list.length - 1, Math.floor(list.length * share))];
}

function ms(value) {
  return value.toFixed(1).padStart(7);
}

function print(line) {
  process.stdout.write(`${line}\n`);
}
