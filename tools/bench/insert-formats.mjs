// Three ways to bring the rows of sample chunks into a table, with the CPU time of both sides, in turns within one run;
// by this the writer's way was chosen. The table has no rollups, so that only the way in differs.
//
//   npm run bench -- insert-formats          BENCH_TURNS=10 by default; BENCH_FULL=1 for rows with every figure
import { encodeSampleChunk, PROCESS_NUMBERS } from '@tidemark/contracts';
import { createHistory, sampleBlocks } from '@tidemark/history';
import { startEmbeddedServer } from '@tidemark/history/embedded';
import { createSimulatedHost } from '@tidemark/live/simulated-host';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';

const TURNS = Number(process.env.BENCH_TURNS ?? 10);
/** Rows with every figure, as in keyframes, instead of four. */
const FULL = process.env.BENCH_FULL === '1';
const HOSTS = 20;
const PROCESSES = 1000;
const ROUNDS = 2;
const directory = mkdtempSync(join(tmpdir(), 'tidemark-bench-formats-'));
const column = (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

try {
  await run();
} finally {
  rmSync(directory, { recursive: true, force: true });
}

async function run() {
  const server = await startEmbeddedServer({ directory, port: 0 });
  const history = createHistory({ url: server.url, ...server.users.admin, database: 'tidemark' });
  await history.migrate();
  await history.close();
  const ask = (sql, body) => askServer(server, sql, body);
  const ways = {
    'chunks as JSONEachRow, ARRAY JOIN in the server': { table: 'joined', make: chunkRows, sql: arrayJoinSql },
    'JSONColumns made here': {
      table: 'columns',
      make: jsonColumns,
      sql: (table) => `INSERT INTO ${table} FORMAT JSONColumns`,
    },
    'Native made here from typed arrays': { table: 'native', make: nativeBlocks, sql: nativeSql },
  };
  for (const { table } of Object.values(ways)) await ask(`CREATE TABLE ${table} AS process_samples`);
  const hosts = Array.from({ length: HOSTS }, (_, index) => makeHost(index));
  const cost = Object.fromEntries(Object.keys(ways).map((name) => [name, { here: 0, server: 0, wall: 0, bytes: 0 }]));
  let rows = 0;
  for (let turn = -2; turn < TURNS; turn++) {
    const records = makeRecords(hosts, turn + 2);
    if (turn >= 0) rows += records.rows;
    for (const [name, way] of Object.entries(ways)) {
      const spent = await spend(server, () => insert(ask, way, records, turn));
      if (turn >= 0) for (const key of Object.keys(spent)) cost[name][key] += spent[key];
    }
  }
  print(`${rows} rows each way, ${rows / TURNS} an insert; microseconds and bytes a row`);
  for (const [name, spent] of Object.entries(cost)) {
    const [here, there, wall, bytes] = ['here', 'server', 'wall', 'bytes'].map((key) => (spent[key] / rows).toFixed(2));
    print(
      `  ${name.padEnd(50)} CPU here ${here.padStart(5)}, server ${there.padStart(5)}; wall ${wall.padStart(5)}; ${bytes} bytes`,
    );
  }
  for (const { table } of Object.values(ways))
    print(
      `  ${table}: ${await ask(`SELECT count() FROM ${table}`)} rows, sum of rss ${await ask(`SELECT sum(rss) FROM ${table}`)}`,
    );
  await server.stop(10_000);
}

/** From decoded chunks (or, where that is enough, their text) to rows in the table. */
async function insert(ask, { table, make, sql }, records, turn) {
  let bytes = 0;
  for (const { columns, body } of make(records, turn)) {
    bytes += body.byteLength;
    await ask(sql(table, columns), body);
  }
  return bytes;
}

function chunkRows({ texts }) {
  return [{ body: Buffer.concat(texts.map((text) => Buffer.concat([text(), Buffer.from('\n')]))) }];
}

function arrayJoinSql(table) {
  const structure = PROCESS_NUMBERS.map((name) => `${name} Array(Nullable(UInt64))`).join(', ');
  const cells = (name) =>
    `if(empty(procs.${name}), arrayResize(emptyArrayUInt64()::Array(Nullable(UInt64)), length(procs.pid)), procs.${name}) AS c_${name}`;
  return `INSERT INTO ${table} (node, boot, pid, start, at, ${PROCESS_NUMBERS.map(column).join(', ')})
    SELECT node, boot, p, s, fromUnixTimestamp64Milli(at), ${PROCESS_NUMBERS.map((name) => `c_${name}`).join(', ')}
    FROM input('node String, boot String, at Int64, procs Tuple(pid Array(UInt32), start Array(UInt64), ${structure})')
    ARRAY JOIN procs.pid AS p, procs.start AS s, ${PROCESS_NUMBERS.map(cells).join(', ')}
    SETTINGS input_format_skip_unknown_fields = 1 FORMAT JSONEachRow`;
}

function jsonColumns({ chunks }) {
  const table = { node: [], boot: [], pid: [], start: [], at: [] };
  for (const { node, boot, at, procs } of chunks) {
    for (let row = 0; row < procs.pid.length; row++) {
      table.node.push(node);
      table.boot.push(boot);
      table.at.push(at);
    }
    table.pid.push(...procs.pid);
    table.start.push(...procs.start);
  }
  for (const name of PROCESS_NUMBERS) {
    if (chunks.every(({ procs }) => procs[name] === undefined)) continue;
    table[column(name)] = chunks.flatMap(({ procs }) => procs[name] ?? procs.pid.map(() => null));
  }
  return [{ body: Buffer.from(JSON.stringify(table)) }];
}

function nativeBlocks({ chunks }, turn) {
  return sampleBlocks(chunks, () => turn + 10)
    .filter(({ table }) => table === 'process_samples')
    .map(({ columns, body }) => ({ columns, body: Buffer.concat(body) }));
}

function nativeSql(table, columns) {
  return `INSERT INTO ${table} (${columns.join(', ')}) FORMAT Native`;
}

function makeHost(index) {
  const host = createSimulatedHost(`node-${index}`);
  for (let pid = 1; pid <= PROCESSES; pid++) {
    host.spawn(pid);
    host.set(pid, Object.fromEntries(PROCESS_NUMBERS.map((name) => [name, Math.floor(Math.random() * 1e6) * 4096])));
  }
  return host;
}

/** Chunks as a consumer has them, decoded; and what a consumer that does not decode would pass on. */
function makeRecords(hosts, turn) {
  const chunks = [];
  const texts = [];
  for (let round = 0; round < ROUNDS; round++) {
    for (const host of hosts) {
      for (let pid = 1; pid <= PROCESSES; pid++) {
        const { utime, minflt, rss } = host.processes.get(pid).numbers;
        host.set(pid, { utime: utime + 10, minflt: minflt + (pid % 7), rss: rss + 4096, rssAnon: rss });
      }
      for (const chunk of host.round(Date.now() - 100_000 + (turn * ROUNDS + round) * 1000, { keyframe: FULL })) {
        const { value, headers } = encodeSampleChunk(chunk);
        chunks.push(chunk);
        texts.push(() => (headers.encoding === 'gzip' ? gunzipSync(value) : Buffer.from(value)));
      }
    }
  }
  return { chunks, texts, rows: chunks.reduce((sum, { procs }) => sum + procs.pid.length, 0) };
}

/** Microseconds. */
async function spend(server, work) {
  const before = { own: process.cpuUsage(), server: cpuOf(server.pid), at: performance.now() };
  const bytes = await work();
  const { user, system } = process.cpuUsage(before.own);
  return {
    here: user + system,
    server: cpuOf(server.pid) - before.server,
    wall: (performance.now() - before.at) * 1000,
    bytes,
  };
}

function cpuOf(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10_000;
}

async function askServer(server, sql, body) {
  const { username, password } = server.users.admin;
  const headers = { 'X-ClickHouse-User': username, 'X-ClickHouse-Key': password };
  const query = body ? `&query=${encodeURIComponent(sql)}` : '';
  const response = await fetch(`${server.url}/?database=tidemark${query}`, {
    method: 'POST',
    headers,
    body: body ?? sql,
  });
  const text = await response.text();
  if (!response.ok) throw new Error(text);
  return text.trim();
}

function print(line) {
  process.stdout.write(`${line}\n`);
}
