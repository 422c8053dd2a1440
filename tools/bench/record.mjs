// The writer at the pace of a cluster: hosts tell each second, over all sixteen partitions of the samples' topic. How many
// inserts that makes, what they cost, and how old a record is when it is in its tables: with one writer, whose partitions
// share their inserts, and beside it with sixteen, each of which has one partition and inserts alone.
//
//   npm run bench -- record          BENCH_HOSTS=50 BENCH_PROCESSES=1000 BENCH_ROUNDS=40 by default
import { encodeSampleChunk, Topic, TOPICS } from '@tidemark/contracts';
import { createMemoryEventLog } from '@tidemark/event-log';
import { createHistory } from '@tidemark/history';
import { startEmbeddedServer } from '@tidemark/history/embedded';
import { startRecord } from '@tidemark/pipeline';
import { Registry, silentLogger } from '@tidemark/service';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { busyHost, change, systemOf } from './parts/busy-hosts.mjs';

const HOSTS = Number(process.env.BENCH_HOSTS ?? 50);
const PROCESSES = Number(process.env.BENCH_PROCESSES ?? 1000);
const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 40);
const directory = mkdtempSync(join(tmpdir(), 'tidemark-bench-record-'));

try {
  const server = await startEmbeddedServer({ directory: join(directory, 'history'), port: 0 });
  await measure('sixteen writers', server, 'alone', 16);
  await measure('one writer', server, 'shared', 1);
  await server.stop(30_000);
} finally {
  rmSync(directory, { recursive: true, force: true });
}

async function measure(name, server, database, writers) {
  const history = createHistory({ url: server.url, ...server.users.admin, database });
  await history.migrate();
  const inserts = new Map();
  const ages = [];
  const write = (blocks, options) =>
    history.write(blocks, {
      ...options,
      onBlock(block) {
        inserts.set(block.table, (inserts.get(block.table) ?? 0) + 1);
        if (block.trace && block.table === 'process_samples') ages.push(Date.now() - block.trace.from);
      },
    });
  const log = await createMemoryEventLog();
  await log.ensureTopics(TOPICS);
  const deps = { log, history: { ...history, write }, logger: silentLogger };
  const stages = Array.from({ length: writers }, () => startRecord({ ...deps, registry: new Registry() }));
  await Promise.all(stages.map(({ ready }) => ready));
  const hosts = Array.from({ length: HOSTS }, (_, index) => busyHost(index, PROCESSES));
  const child = cpuOf(server.pid);
  let samples = 0;
  const startedAt = performance.now();
  for (let round = 0; round < ROUNDS; round++) {
    for (const host of hosts) {
      for (let pid = 1; pid <= PROCESSES; pid++) change(host, pid, round);
      host.setSystem(systemOf(round, PROCESSES));
      const chunks = host.round(Date.now(), { keyframe: round % 60 === 0 });
      for (const chunk of chunks) samples += chunk.procs.pid.length;
      await log.append(chunks.map((chunk) => ({ topic: Topic.Samples, key: host.node, ...encodeSampleChunk(chunk) })));
    }
    await pause(Math.max(0, (round + 1) * 1000 - (performance.now() - startedAt)));
  }
  while ((await log.lag(Topic.Samples, 'record')).some(({ lag }) => lag > 0)) await pause(50);
  const seconds = (performance.now() - startedAt) / 1000;
  const all = [...inserts.values()].reduce((sum, count) => sum + count, 0);
  ages.sort((a, b) => a - b);
  const at = (share) => (ages[Math.floor((ages.length - 1) * share)] / 1000).toFixed(1);
  const engine = ((cpuOf(server.pid) - child) * 1000) / samples;
  process.stdout.write(
    `${name.padEnd(16)} ${Math.round(samples / seconds)} samples/s   inserts/s ${(all / seconds).toFixed(1)},` +
      ` into each table ${((inserts.get('process_samples') ?? 0) / seconds).toFixed(1)}   history ${engine.toFixed(2)} µs a sample` +
      `   oldest sample of a batch when it is there: median ${at(0.5)} s, 95 % ${at(0.95)} s\n`,
  );
  await Promise.all(stages.map((stage) => stage.drain(5_000)));
  await log.close(5_000);
  const [row] = await askRows(server, database);
  if (row !== samples) throw new Error(`${database} has ${row} rows, ${samples} were sent`);
  await history.close();
}

async function askRows(server, database) {
  const { username, password } = server.users.admin;
  const response = await fetch(server.url, {
    method: 'POST',
    headers: { 'X-ClickHouse-User': username, 'X-ClickHouse-Key': password },
    body: `SELECT count() FROM ${database}.process_samples`,
  });
  return [Number(await response.text())];
}

/** CPU time of a process, milliseconds; ticks are hundredths of a second. */
function cpuOf(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
