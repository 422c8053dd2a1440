// What history takes on disk after merges, from real samples: a collector watches this machine for a while, what it sent
// is written as batches of a second, all parts are merged, and the bytes are divided by the values. Then the same rows go
// into copies of the table with other codecs, which is how the codecs in the migrations were chosen.
//
//   npm run bench -- storage          BENCH_SECONDS=300 by default
import { decodeSampleChunk, PROCESS_NUMBERS, Topic, TOPICS } from '@tidemark/contracts';
import { createMemoryEventLog } from '@tidemark/event-log';
import { createHistory, sampleBlocks } from '@tidemark/history';
import { startEmbeddedServer } from '@tidemark/history/embedded';
import { startCollect } from '@tidemark/pipeline';
import { silentLogger } from '@tidemark/service';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const SECONDS = Number(process.env.BENCH_SECONDS ?? 300);
const TARGET = 1.2;
/** Codecs of the values, of the time and of the batch number. */
const VARIANTS = [
  ...['LZ4', 'ZSTD(1)', 'ZSTD(3)', 'ZSTD(6)', 'Delta, ZSTD(3)', 'T64, ZSTD(3)'].map((value) => ({ value })),
  ...['ZSTD(1)', 'Delta, ZSTD(1)', 'DoubleDelta, ZSTD(1)'].map((time) => ({ time })),
  ...['ZSTD(1)', 'Delta, ZSTD(1)', 'DoubleDelta, ZSTD(1)'].map((batch) => ({ batch })),
];
const directory = mkdtempSync(join(tmpdir(), 'tidemark-bench-storage-'));

try {
  await run();
} finally {
  rmSync(directory, { recursive: true, force: true });
}

async function run() {
  const chunks = await collect();
  const server = await startEmbeddedServer({ directory, port: 0 });
  const history = createHistory({ url: server.url, ...server.users.admin, database: 'tidemark' });
  const ask = (sql) => askServer(server, sql);
  await history.migrate();
  for (const [index, chunk] of chunks.entries()) {
    await history.write(
      sampleBlocks([chunk], () => (index + 1) * 1024),
      { token: `storage/${index}`, again: false },
    );
  }
  await reportTables(ask, chunks);
  for (const table of ['process_samples', 'node_samples', 'device_samples', 'process_samples_1m']) {
    await compareCodecs(ask, table);
  }
  await history.close();
  await server.stop(30_000);
}

async function collect() {
  const log = await createMemoryEventLog();
  await log.ensureTopics(TOPICS);
  const chunks = [];
  const subscription = await log.subscribe({
    ...{ topic: Topic.Samples, group: 'bench', from: 'earliest', ephemeral: true },
    assign: (context) => ({
      async handle(records) {
        for (const { value, headers } of records) chunks.push(decodeSampleChunk(value, headers));
        context.acknowledge(records.at(-1).offset);
      },
    }),
  });
  await subscription.ready;
  const collector = startCollect({ log, config: { node: 'this-host' }, logger: silentLogger });
  await collector.ready;
  print(`watching this machine for ${SECONDS} s`);
  await new Promise((resolve) => setTimeout(resolve, SECONDS * 1_000));
  await collector.drain(5_000);
  await log.close(5_000);
  return chunks;
}

async function reportTables(ask, chunks) {
  const rows = chunks.reduce((sum, { procs }) => sum + procs.pid.length, 0);
  const values = chunks.reduce(
    (sum, { procs }) =>
      sum + PROCESS_NUMBERS.flatMap((name) => procs[name] ?? []).filter((cell) => cell !== null).length,
    0,
  );
  print(
    `${chunks.length} chunks, ${rows} process samples with ${values} new values (${(values / rows).toFixed(1)} each)`,
  );
  for (const table of (
    await ask("SELECT name FROM system.tables WHERE database = 'tidemark' AND engine LIKE '%MergeTree'")
  ).split('\n')) {
    await ask(`OPTIMIZE TABLE ${table} FINAL`);
    const [parts, count, bytes] = (await sizeOf(ask, table)).map(Number);
    if (count > 0)
      print(
        `  ${table.padEnd(20)} ${String(count).padStart(7)} rows ${String(bytes).padStart(9)} bytes (${(bytes / count).toFixed(2)} a row, ${parts} parts)`,
      );
  }
  const [, , bytes] = await sizeOf(ask, 'process_samples');
  const stated = rows * PROCESS_NUMBERS.length;
  print(
    `process_samples: ${(bytes / stated).toFixed(3)} bytes for each of the ${PROCESS_NUMBERS.length} values that a row states ` +
      `(null: as before), ${(bytes / values).toFixed(2)} for each new value; target ≤ ${TARGET} a value`,
  );
}

/** The rows of a table in copies that differ in one codec. */
async function compareCodecs(ask, table) {
  const made = await ask(`SHOW CREATE TABLE ${table} FORMAT TSVRaw`);
  const reference = Number((await sizeOf(ask, table))[2]);
  print(`codecs, bytes of ${table} after merges (chosen: ${reference}):`);
  for (const { value, time, batch } of VARIANTS) {
    let sql = made.replace(`tidemark.${table}`, 'tidemark.variant');
    if (value) sql = sql.replace(/(Nullable\(UInt64\)\)?) CODEC\([^\n]*\)/g, `$1 CODEC(${value})`);
    if (time) sql = sql.replace(/(`at` DateTime64\(3, 'UTC'\)) CODEC\([^\n]*\)/, `$1 CODEC(${time})`);
    if (batch) sql = sql.replace(/(`batch` UInt64) CODEC\([^\n]*\)/, `$1 CODEC(${batch})`);
    if (sql === made.replace(`tidemark.${table}`, 'tidemark.variant') && !value) continue;
    await ask('DROP TABLE IF EXISTS variant SYNC');
    await ask(sql);
    await ask(`INSERT INTO variant SELECT * FROM ${table}`);
    await ask('OPTIMIZE TABLE variant FINAL');
    const bytes = Number((await sizeOf(ask, 'variant'))[2]);
    const name = value ? `values ${value}` : time ? `time ${time}` : `batch ${batch}`;
    print(`  ${name.padEnd(28)} ${String(bytes).padStart(9)}  ${((bytes / reference) * 100).toFixed(1)} %`);
  }
}

/** Active parts, rows and compressed bytes of a table. */
async function sizeOf(ask, table) {
  return (
    await ask(
      `SELECT count(), sum(rows), sum(data_compressed_bytes) FROM system.parts WHERE active AND database = 'tidemark' AND table = '${table}'`,
    )
  ).split('\t');
}

async function askServer(server, sql) {
  const { username, password } = server.users.admin;
  const headers = { 'X-ClickHouse-User': username, 'X-ClickHouse-Key': password };
  const response = await fetch(`${server.url}/?database=tidemark`, { method: 'POST', headers, body: sql });
  const text = await response.text();
  if (!response.ok) throw new Error(text);
  return text.trim();
}

function print(line) {
  process.stdout.write(`${line}\n`);
}
