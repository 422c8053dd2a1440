// A day's series out of history: figures of one and of many processes, of a node, and summed over the processes of one
// program or of all, beside a query that reads nothing, in turns within one run.
//
//   npm run bench -- series          BENCH_PROCESSES=5000 BENCH_TURNS=30 by default
import { processKey } from '@tidemark/contracts';
import { createHistory } from '@tidemark/history';
import { startEmbeddedServer } from '@tidemark/history/embedded';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const PROCESSES = Number(process.env.BENCH_PROCESSES ?? 5000);
const TURNS = Number(process.env.BENCH_TURNS ?? 30);
/** Processes of which every second is kept. */
const SECONDS_OF = 20;
const PROGRAMS = 100;
const TARGET_MS = 300;
const MINUTE = 60_000;
const DAY = 1_440 * MINUTE;
const directory = mkdtempSync(join(tmpdir(), 'tidemark-bench-series-'));

try {
  await run();
} finally {
  rmSync(directory, { recursive: true, force: true });
}

async function run() {
  const server = await startEmbeddedServer({ directory, port: 0 });
  const history = createHistory({ url: server.url, ...server.users.admin, database: 'tidemark' });
  await history.migrate();
  const to = Math.floor(Date.now() / MINUTE) * MINUTE;
  await fill((sql) => ask(server, sql), to - DAY);
  const times = await timeQueries(queries(history, to), () => ask(server, 'SELECT 1'));
  for (const [name, list] of Object.entries(times)) {
    const verdict = name.startsWith('reference')
      ? ''
      : `   target ≤ ${TARGET_MS} ms: ${at(list, 0.95) <= TARGET_MS ? 'met' : 'missed'}`;
    print(`${name.padEnd(62)} p50 ${ms(at(list, 0.5))}   p95 ${ms(at(list, 0.95))} ms${verdict}`);
  }
  await history.close();
  await server.stop(10_000);
}

/** Rows as the writer would have left them, made by the server itself. */
async function fill(sql, from) {
  const key = (row) =>
    `'node-' || toString(${row} % 50) AS node, 'boot' AS boot, toUInt32(1 + ${row}) AS pid, toUInt64(7) AS start`;
  const start = Math.floor(from / 1000);
  await sql(`INSERT INTO processes (node, boot, pid, start, month, first_seen, last_seen, started_at, program, user, service)
    SELECT ${key('number % ' + PROCESSES)}, toStartOfMonth(toDateTime(${start} + intDiv(number, ${PROCESSES}) * 86400)),
      toDateTime64(${start}, 3), toDateTime64(${start + 86_400}, 3), toDateTime64(${start}, 3),
      'program-' || toString(number % ${PROGRAMS}), 'root', 'service'
    FROM numbers(${PROCESSES * 2})`);
  const figures =
    'ppid threads utime stime minflt majflt vms rss shared text data lib dirty rss_anon rss_file rss_shmem swap pss uss';
  // A size that stays, with a few pages up and down.
  const value = (column, index) =>
    `(cityHash64(intDiv(number, 24), ${index}) % 50000 + cityHash64(number, ${index}) % 8) * 4096 AS ${column}`;
  const last = figures.split(' ').map((name, index) => value(`${name}_last`, index));
  const extremes = ['rss', 'rss_anon', 'swap', 'pss', 'uss'].flatMap((name, index) => [
    value(`${name}_min`, index),
    value(`${name}_max`, index),
  ]);
  for (const [table, rows, seconds] of [
    ['process_samples_1m', 1_440, 60],
    ['process_samples_1h', 24, 3_600],
  ]) {
    const columns = `node, boot, pid, start, time, last_at, ${[...last, ...extremes].map((one) => one.split(' AS ')[1]).join(', ')}`;
    await sql(`INSERT INTO ${table} (${columns})
      SELECT ${key(`intDiv(number, ${rows})`)}, toDateTime(${start} + (number % ${rows}) * ${seconds}) AS time,
        toDateTime64(time, 3) + ${seconds - 1} AS last_at, ${[...last, ...extremes].join(', ')}
      FROM numbers(${PROCESSES * rows})`);
  }
  await sql(`INSERT INTO process_samples (node, boot, pid, start, at, batch, rss, rss_anon, swap)
    SELECT ${key('intDiv(number, 86400)')}, toDateTime64(${start} + number % 86400, 3) AS at, number AS batch,
      ${['rss', 'rss_anon', 'swap'].map(value).join(', ')}
    FROM numbers(${SECONDS_OF * 86_400})`);
  await sql(`INSERT INTO node_samples_1m (node, time, last_at, used_last, used_min, used_max)
    SELECT 'node-' || toString(intDiv(number, 1440)) AS node, toDateTime(${start} + (number % 1440) * 60) AS time,
      toDateTime64(time, 3) AS last_at, ${['used_last', 'used_min', 'used_max'].map(value).join(', ')}
    FROM numbers(50 * 1440)`);
  const counts = await sql(
    `SELECT table, sum(rows) FROM system.parts WHERE active AND database = 'tidemark' AND table LIKE '%samples%' GROUP BY table ORDER BY table`,
  );
  print(`rows: ${counts.replaceAll('\t', ' ').replaceAll('\n', ', ')}`);
}

function queries(history, to) {
  const keys = (count) => Array.from({ length: count }, (_, row) => processKey(`node-${row % 50}`, 'boot', 1 + row, 7));
  const day = (points) => ({ from: to - DAY, to, stepMs: Math.ceil(DAY / points / 1000) * 1000 });
  const some = (result) => (result.size ?? result.length) > 0;
  const list = {
    'one process, a day, 300 points, from minutes': () => history.processSeries(keys(1), 'rss', day(300)),
    'one process, a day, 1,920 points, from seconds': () => history.processSeries(keys(1), 'rss', day(1_920)),
    'one process, leak signal, a day, 300 points': () => history.processSeries(keys(1), 'leakSignal', day(300)),
    '50 processes, a day, 300 points': () => history.processSeries(keys(50), 'pss', day(300)),
    'a node, a day, 300 points': () => history.nodeSeries(['node-1'], 'used', day(300)),
    [`sum of one program of ${PROCESSES / PROGRAMS} processes, a day, 300 points`]: () =>
      history.aggregateSeries({ programs: ['program-7'] }, 'pss', day(300)),
    [`sum of all ${PROCESSES} processes, a day, 24 points`]: () => history.aggregateSeries({}, 'pss', day(24)),
  };
  return Object.fromEntries(
    Object.entries(list).map(([name, query]) => [
      name,
      async () => {
        if (!some(await query())) throw new Error(`${name}: no points`);
      },
    ]),
  );
}

async function timeQueries(named, reference) {
  const all = Object.entries({ 'reference: SELECT 1': reference, ...named });
  const times = Object.fromEntries(all.map(([name]) => [name, []]));
  for (let turn = -3; turn < TURNS; turn++) {
    for (const [name, query] of all) {
      const startedAt = performance.now();
      await query();
      if (turn >= 0) times[name].push(performance.now() - startedAt);
    }
  }
  return times;
}

async function ask(server, sql) {
  const { username, password } = server.users.admin;
  const headers = { 'X-ClickHouse-User': username, 'X-ClickHouse-Key': password };
  const response = await fetch(`${server.url}/?database=tidemark`, { method: 'POST', headers, body: sql });
  const text = await response.text();
  if (!response.ok) throw new Error(text);
  return text.trim();
}

function at(list, share) {
  const sorted = list.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}

function ms(value) {
  return value.toFixed(1).padStart(7);
}

function print(line) {
  process.stdout.write(`${line}\n`);
}
