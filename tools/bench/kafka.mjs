// The Kafka benchmark: process samples a second through a real broker, one processor and one writer to rows in ClickHouse,
// everything on this machine. The load is offered at a steady rate; what tells whether it is sustained is the lag of both
// groups, which must not grow. The same rate is then offered by 10, 100 and 1,000 hosts, and the CPU time of a sample
// compared. The reference, measured in the same run: the same load into the broker alone, nobody reading it.
//
// A machine that is shared is not as fast in one minute as in the next: the numbers of hosts take turns, several times,
// and the medians are compared.
//
//   npm run bench -- kafka     BENCH_RATE=50000 BENCH_SECONDS=40 BENCH_NODES=10,100,1000 BENCH_TURNS=3 BENCH_INTERVAL=1000 BENCH_PREPARE=40 by default
import { Topic, TOPICS } from '@tidemark/contracts';
import { createKafkaEventLog } from '@tidemark/event-log/kafka';
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { startKafka } from '../kafka/cluster.mjs';
import { askClickHouse, startClickHouse } from './parts/clickhouse-process.mjs';
import { cpuOfTree, rssOfTree } from './parts/process-tree.mjs';
import { startNode } from './parts/node-process.mjs';
import { median } from './parts/median.mjs';

const RATE = Number(process.env.BENCH_RATE ?? 50_000);
/** Between two rounds of a host, milliseconds. */
const INTERVAL = Number(process.env.BENCH_INTERVAL ?? 1_000);
const SECONDS = Number(process.env.BENCH_SECONDS ?? 40);
const TURNS = Number(process.env.BENCH_TURNS ?? 3);
const NODES = (process.env.BENCH_NODES ?? '10,100,1000').split(',').map(Number);
/**
 * The load is made before it is played: hosts make theirs elsewhere, and to make 1,000 hosts' takes twice the time of 10
 * hosts', which the parts that are measured would have to do without.
 */
const PREPARE_S = Number(process.env.BENCH_PREPARE ?? 40);
/** What comes first is not measured: first keyframes, and what the parts load at their start. */
const WARM_UP_MS = 15_000;
const LOOK_MS = 5_000;
const CATCH_UP_MS = 60_000;
const FLAT = 1.2;
/** As many for every number of hosts: they are to be compared by what hosts cost, not by what traces do. */
const TRACES = 100;
/** What the images and the README start processors and writers with. */
const FLAGS = ['--max-semi-space-size=32'];
const directory = mkdtempSync(join(tmpdir(), 'tidemark-bench-kafka-'));
const parts = [];

// A broker and an engine that are left behind would compute beside whatever is measured next.
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => void end().then(() => process.exit(130)));

try {
  await run();
} finally {
  await end();
}

async function end() {
  for (const part of parts.splice(0).reverse()) await part.stop();
  rmSync(directory, { recursive: true, force: true });
}

async function run() {
  print(
    `${cpus().length} cores, load ${loadavg()[0].toFixed(1)}; ${RATE.toLocaleString('en')} samples/s offered, each of a process that changed; processor and writer with ${FLAGS.join(' ')}`,
  );
  const kafka = await startKafka({ directory: join(directory, 'kafka') });
  parts.push(kafka);
  const clickhouse = await startClickHouse(join(directory, 'clickhouse'));
  parts.push(clickhouse);
  const broker = kafka.brokers[0];
  const log = await createKafkaEventLog({ brokers: kafka.bootstrap, prefix: 'reference.' });
  await log.ensureTopics(TOPICS);
  await log.close();
  const alone = await brokerAlone(kafka, broker);
  print(
    `reference: broker alone       CPU a sample: broker ${alone.broker.toFixed(2)} µs, load ${alone.load.toFixed(2)} µs`,
  );

  const costs = NODES.map(() => []);
  for (let turn = 1; turn <= TURNS; turn++) {
    for (const [index, nodes] of NODES.entries()) {
      costs[index].push(await measure({ kafka, broker, clickhouse, nodes, turn }));
    }
  }
  const medians = costs.map(median);
  print(
    `CPU a sample, median of ${TURNS}: ${NODES.map((nodes, index) => `${nodes} hosts ${medians[index].toFixed(2)} µs`).join(', ')}`,
  );
  if (NODES.length < 2) return;
  const ratio = Math.max(...medians) / medians[0];
  print(
    `most over that of ${NODES[0]} hosts: ${ratio.toFixed(2)} ×   target ≤ ${FLAT}: ${ratio <= FLAT ? 'met' : 'missed'}`,
  );
}

function processesOf(nodes) {
  return Math.max(1, Math.round((RATE * INTERVAL) / 1_000 / nodes));
}

function load({ kafka, prefix, nodes, seconds, prepare = 0 }) {
  const processes = processesOf(nodes);
  const args = ['--brokers', kafka.bootstrap.join(','), '--prefix', prefix, '--nodes', nodes, '--processes', processes];
  const play = ['--seconds', seconds, '--changing', 1, '--interval', INTERVAL, '--prepare', prepare];
  return startNode('tools/load.mjs', [...args, '--traces', TRACES, ...play].map(String));
}

async function brokerAlone(kafka, broker) {
  const player = load({ kafka, prefix: 'reference.', nodes: 100, seconds: SECONDS / 2 });
  parts.push(player);
  await pause(5_000);
  const [cpu, own, from] = [cpuOfTree(broker.pid), cpuOfTree(player.pid), performance.now()];
  await pause((SECONDS / 2) * 1000 - 8_000);
  const samples = (RATE * (performance.now() - from)) / 1000;
  const result = {
    broker: ((cpuOfTree(broker.pid) - cpu) * 1000) / samples,
    load: ((cpuOfTree(player.pid) - own) * 1000) / samples,
  };
  await player.ended;
  return result;
}

async function measure({ kafka, broker, clickhouse, nodes, turn }) {
  const [prefix, database] = [`turn-${turn}-nodes-${nodes}.`, `turn_${turn}_nodes_${nodes}`];
  const env = {
    TIDEMARK_KAFKA_BROKERS: kafka.bootstrap.join(','),
    TIDEMARK_KAFKA_PREFIX: prefix,
    TIDEMARK_HISTORY_URL: clickhouse.url,
    TIDEMARK_HISTORY_USERNAME: clickhouse.username,
    TIDEMARK_HISTORY_PASSWORD: clickhouse.password,
    TIDEMARK_HISTORY_DATABASE: database,
    TIDEMARK_STATUS_PORT: '0',
    TIDEMARK_LOG_LEVEL: 'error',
  };
  const writer = startNode('apps/writer/dist/main.js', [], env, FLAGS);
  const processor = startNode('apps/processor/dist/main.js', [], env, FLAGS);
  parts.push(writer, processor);
  const log = await createKafkaEventLog({ brokers: kafka.bootstrap, prefix });
  await log.ensureTopics(TOPICS);
  await pause(5_000);
  const player = load({ kafka, prefix, nodes, seconds: SECONDS + WARM_UP_MS / 1000, prepare: PREPARE_S });
  parts.push(player);
  await pause(PREPARE_S * 1000 + WARM_UP_MS);

  const watched = { broker: broker.pid, processor: processor.pid, writer: writer.pid, clickhouse: clickhouse.pid };
  const before = cpuNow(watched);
  const rows = () => askClickHouse(clickhouse, `SELECT count() FROM ${database}.process_samples`).then(Number);
  const [rowsBefore, from] = [await rows(), performance.now()];
  const lags = [];
  while (performance.now() - from < SECONDS * 1000 - LOOK_MS) {
    await pause(LOOK_MS);
    lags.push({ detect: await behind(log, 'detect'), record: await behind(log, 'record') });
  }
  const after = cpuNow(watched);
  const inserts = await insertsOf(writer);
  const [written, seconds] = [(await rows()) - rowsBefore, (performance.now() - from) / 1000];
  const told = await player.ended;
  const sent = Number(/^([\d,]+) process samples/m.exec(told)?.[1]?.replaceAll(',', '') ?? NaN);
  await caughtUp(log);
  const stored = await rows();
  const cost = Object.fromEntries(
    Object.keys(watched).map((name) => [name, ((after[name] - before[name]) * 1000) / written]),
  );
  const total = Object.values(cost).reduce((sum, one) => sum + one, 0);
  const rss = Object.entries(watched).map(([name, pid]) => `${name} ${Math.round(rssOfTree(pid) / 2 ** 20)}`);
  print(
    `${String(nodes).padStart(5)} hosts of ${processesOf(nodes)}   ${Math.round(written / seconds).toLocaleString('en')} rows/s over ${seconds.toFixed(0)} s`,
    `    CPU a sample ${total.toFixed(2)} µs: ${Object.entries(cost)
      .map(([name, one]) => `${name} ${one.toFixed(2)}`)
      .join(', ')}`,
    `    chunks behind, every ${LOOK_MS / 1000} s: record ${lags.map(({ record }) => record).join(' ')}; detect ${lags.map(({ detect }) => detect).join(' ')}`,
    `    RSS MiB: ${rss.join(', ')}   rows an insert: ${inserts}`,
    `    sent ${sent.toLocaleString('en')}, rows in ClickHouse ${stored.toLocaleString('en')}   ${sent === stored ? 'all there, once' : 'NOT THE SAME'}`,
  );
  await Promise.all([writer.stop(), processor.stop(), log.close()]);
  // Neither its merges nor the removal of its files are to be paid for by the next: on ext4, files that were removed
  // make new ones dearer for five minutes.
  await askClickHouse(clickhouse, `DETACH DATABASE ${database}`);
  return total;
}

/** Rows of an insert into the largest table, by the writer's own count. */
async function insertsOf(writer) {
  const address = /Status (http:\/\/[^/\s]+)/.exec(writer.output())[1];
  const metrics = await (await fetch(`${address}/metrics`)).text();
  const count = (name) => Number(new RegExp(`^${name}\\{table="process_samples"\\} (\\d+)`, 'm').exec(metrics)[1]);
  const rows = count('tidemark_record_rows_total') / count('tidemark_record_inserts_total');
  return Math.round(rows).toLocaleString('en');
}

async function behind(log, group) {
  return (await log.lag(Topic.Samples, group)).reduce((sum, { lag }) => sum + lag, 0);
}

async function caughtUp(log) {
  const end = performance.now() + CATCH_UP_MS;
  while ((await behind(log, 'record')) > 0 && performance.now() < end) await pause(200);
}

function cpuNow(pids) {
  return Object.fromEntries(Object.entries(pids).map(([name, pid]) => [name, cpuOfTree(pid)]));
}

function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function print(...lines) {
  for (const line of lines) process.stdout.write(`${line}\n`);
}
