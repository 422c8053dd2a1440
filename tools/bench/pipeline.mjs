// The pipeline benchmark: process samples a second from a collector's chunk to a row that can be asked for, in the
// standalone's own arrangement: event log with journal, live view, leak detector and writer in this process, the
// embedded history in a child. Rows are counted in ClickHouse at the end. The references, measured in the same run: the
// same rows, made into blocks before, inserted into a bare table, and into the tables with their rollups.
//
//   npm run bench -- pipeline          BENCH_HOSTS=50 BENCH_PROCESSES=1000 BENCH_ROUNDS=60 by default
import { encodeNodeRecord, encodeSampleChunk, Topic, TOPICS } from '@tidemark/contracts';
import { createMemoryEventLog } from '@tidemark/event-log';
import { startLiveFeed } from '@tidemark/graph';
import { createHistory, sampleBlocks } from '@tidemark/history';
import { startEmbeddedServer } from '@tidemark/history/embedded';
import { PRODUCTION_PROFILE } from '@tidemark/leak';
import { createLiveView } from '@tidemark/live';
import { startDetect, startRecord } from '@tidemark/pipeline';
import { Registry, silentLogger } from '@tidemark/service';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { busyHost, change, systemOf } from './parts/busy-hosts.mjs';

const HOSTS = Number(process.env.BENCH_HOSTS ?? 50);
const PROCESSES = Number(process.env.BENCH_PROCESSES ?? 1000);
const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 60);
const TARGET = 100_000;
const directory = mkdtempSync(join(tmpdir(), 'tidemark-bench-pipeline-'));

try {
  await run();
} finally {
  rmSync(directory, { recursive: true, force: true });
}

async function run() {
  const { records, samples, cells, chunks } = makeRecords();
  const bytes = records.reduce((sum, { value }) => sum + value.byteLength, 0);
  print(
    `${HOSTS} hosts of ${PROCESSES} processes, all of them changing, ${ROUNDS} rounds of a second:`,
    `${samples} process samples, ${(cells / samples).toFixed(1)} new values each, ${(bytes / samples).toFixed(1)} bytes each on the wire`,
  );
  const server = await startEmbeddedServer({ directory: join(directory, 'history'), port: 0 });
  const connect = (database) => createHistory({ url: server.url, ...server.users.admin, database });
  const ask = (sql) => askServer(server, sql);
  await measure('pipeline: chunk to row', samples, server, () => runPipeline(records, connect('tidemark')));
  await expectRows(ask, 'tidemark.process_samples', samples);

  const blocks = referenceBlocks(chunks);
  await ask('CREATE DATABASE bare');
  await ask('CREATE TABLE bare.process_samples AS tidemark.process_samples');
  await measure('reference: bare table', samples, server, () => insertBlocks(connect('bare'), blocks));
  await expectRows(ask, 'bare.process_samples', samples);

  const full = connect('full');
  await full.migrate();
  await measure('reference: table with rollups', samples, server, () => insertBlocks(full, blocks));
  await expectRows(ask, 'full.process_samples', samples);
  await server.stop(30_000);
}

/** Everything that the hosts tell, encoded as their collectors would send it, in the order of time. */
function makeRecords() {
  const hosts = Array.from({ length: HOSTS }, (_, index) => busyHost(index, PROCESSES));
  const start = Date.now() - ROUNDS * 1_000;
  const records = hosts.map((host) => ({
    topic: Topic.Nodes,
    key: host.node,
    ...encodeNodeRecord(host.heartbeat(start)),
  }));
  const chunks = [];
  for (let round = 0; round < ROUNDS; round++) {
    for (const host of hosts) {
      for (let pid = 1; pid <= PROCESSES; pid++) change(host, pid, round);
      host.setSystem(systemOf(round, PROCESSES));
      for (const chunk of host.round(start + round * 1_000, { keyframe: round % 60 === 0 })) {
        chunks.push(chunk);
        records.push({ topic: Topic.Samples, key: host.node, ...encodeSampleChunk(chunk) });
      }
    }
  }
  const samples = chunks.reduce((sum, { procs }) => sum + procs.pid.length, 0);
  const cells = chunks.reduce((sum, { procs: { pid, start, ...columns } }) => {
    return (
      sum +
      Object.values(columns)
        .flat()
        .filter((cell) => cell !== null).length
    );
  }, 0);
  return { records, samples, cells, chunks };
}

/** Appends as fast as the log takes it, until the writer has committed past everything. */
async function runPipeline(records, history) {
  await history.migrate();
  const log = await createMemoryEventLog({ journal: { directory: join(directory, 'log') } });
  await log.ensureTopics(TOPICS);
  const registry = new Registry();
  const stages = { logger: silentLogger, registry };
  const live = createLiveView();
  const feed = startLiveFeed({ log, live, ...stages });
  const detect = startDetect({ log, profile: PRODUCTION_PROFILE, history, ...stages });
  const record = startRecord({ log, history, ...stages });
  await Promise.all([feed.ready, detect.ready, record.ready]);
  for (let from = 0; from < records.length; from += 50) await log.append(records.slice(from, from + 50));
  const behind = async (group) => (await log.lag(Topic.Samples, group)).reduce((sum, { lag }) => sum + lag, 0);
  while ((await behind('record')) > 0 || (await behind('detect')) > 0) await pause(20);
  const seen = live.metrics().processes;
  if (seen !== HOSTS * PROCESSES) throw new Error(`the live view has ${seen} processes of ${HOSTS * PROCESSES}`);
  return async () => {
    await Promise.all([feed.drain(5_000), detect.drain(5_000), record.drain(5_000)]);
    await log.close(5_000);
    await history.close();
  };
}

/** The samples' own blocks of about 100,000 rows. */
function referenceBlocks(chunks) {
  const size = Math.max(1, Math.floor(100_000 / PROCESSES));
  const blocks = [];
  for (let from = 0; from < chunks.length; from += size) {
    const some = sampleBlocks(chunks.slice(from, from + size), () => from * 1024);
    blocks.push(...some.filter(({ table }) => table === 'process_samples').map((block) => ({ block, from })));
  }
  return blocks;
}

async function insertBlocks(history, blocks) {
  for (const { block, from } of blocks) await history.write([block], { token: `reference/${from}`, again: false });
  return () => history.close();
}

/** Time, and CPU time of both processes, of what `work` does until it resolves; then its own clean-up. */
async function measure(name, samples, server, work) {
  const own = process.cpuUsage();
  const child = cpuOf(server.pid);
  const startedAt = performance.now();
  const cleanUp = await work();
  const seconds = (performance.now() - startedAt) / 1000;
  const { user, system } = process.cpuUsage(own);
  const micros = (ms) => ((ms * 1000) / samples).toFixed(2);
  const rate = samples / seconds;
  print(
    `${name.padEnd(30)} ${Math.round(rate).toLocaleString('en').padStart(9)} samples/s` +
      `   CPU per sample: this process ${micros((user + system) / 1000)} µs, history ${micros(cpuOf(server.pid) - child)} µs` +
      `   RSS ${mib(process.memoryUsage().rss)} and ${mib(rssOf(server.pid))} MiB` +
      (name.startsWith('pipeline')
        ? `   target ≥ ${TARGET.toLocaleString('en')}: ${rate >= TARGET ? 'met' : 'missed'}`
        : ''),
  );
  await cleanUp();
}

async function expectRows(ask, table, samples) {
  const rows = Number(await ask(`SELECT count() FROM ${table}`));
  if (rows !== samples) throw new Error(`${table} has ${rows} rows, ${samples} were sent`);
  print(`  counted in ClickHouse: ${rows} rows in ${table}`);
}

async function askServer(server, sql) {
  const { username, password } = server.users.admin;
  const headers = { 'X-ClickHouse-User': username, 'X-ClickHouse-Key': password };
  const response = await fetch(server.url, { method: 'POST', headers, body: sql });
  const text = await response.text();
  if (!response.ok) throw new Error(text);
  return text.trim();
}

/** CPU time of a process, milliseconds; ticks are hundredths of a second. */
function cpuOf(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

function rssOf(pid) {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0) * 1024;
}

function mib(bytes) {
  return Math.round(bytes / 1_048_576);
}

function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function print(...lines) {
  for (const line of lines) process.stdout.write(`${line}\n`);
}
