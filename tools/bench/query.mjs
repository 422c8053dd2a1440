// Queries against the API while it holds 200,000 live processes of 400 nodes and every node goes on sending; over HTTP,
// from another thread. The reference, measured in the same turn, is a query that touches nothing: `{ __typename }`.
import { createControlSender } from '@tidemark/control';
import { createMemoryEventLog } from '@tidemark/event-log';
import { encodeNodeRecord, encodeSampleChunk, PROCESS_NUMBERS, Topic, TOPICS } from '@tidemark/contracts';
import { startGraphServer, startLiveFeed } from '@tidemark/graph';
import { createLiveView } from '@tidemark/live';
import { createSimulatedHost } from '@tidemark/live/simulated-host';
import { Registry, silentLogger } from '@tidemark/service';
import { Agent, request } from 'node:http';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

const NODES = 400;
const PROCESSES = 500;
const CHANGED = 25;
const TURNS = 200;
const TARGET_MS = 50;
const MIB = 1_048_576;
const PROGRAMS = ['chrome', 'postgres', 'java', 'node', 'sshd', 'nginx', 'python3', 'bash'];

const QUERIES = {
  'reference { __typename }': '{ __typename }',
  'node detail': `query ($id: ID!) { node(id: $id) {
    id hostname state lastSeen stale kernel uptime processCount limitations
    memory { total available used free active inactive buffers cached shared swapTotal swapFree }
    load { one five fifteen } pressure { some { avg10 } } cpu { busyPercent } findings { id state }
    processes(first: 50, orderBy: { field: RSS }) { totalCount nodes {
      key pid ppid program commandLine user state startedAt memory { rss pss uss swap anonymous }
      growth { bytesPerHour } leak { state imminent } cpu { percent } } } } }`,
  'aggregate of one program': `{ clusterAggregate(filter: { program: "chrome-7" }) {
    total processes measured nodesReporting nodesExpected max mean p95
    byNode(first: 100) { node { id } total } byProgram { program total } } }`,
  'aggregate of everything': `{ clusterAggregate(filter: {}) {
    total processes measured nodesReporting nodesExpected max mean p95
    byNode(first: 100) { node { id } total } byProgram(first: 100) { program total processes nodes } } }`,
  'top 50 of all processes': `{ processes(first: 50, orderBy: { field: PSS }) { totalCount nodes {
    key node { id } pid program memory { pss rss } } } }`,
  'search in command lines': '{ processes(first: 20, filter: { text: "worker 1234" }) { totalCount nodes { key } } }',
};

const TARGETED = ['node detail', 'aggregate of one program', 'aggregate of everything'];

if (isMainThread) await run();
else await ask(workerData.url);

async function run() {
  const log = await createMemoryEventLog({ maxTopicBytes: 512 * MIB });
  await log.ensureTopics(TOPICS);
  const live = createLiveView();
  const metrics = new Registry();
  const feed = startLiveFeed({ log, live, logger: silentLogger, registry: metrics });
  await feed.ready;
  const server = await startGraphServer({
    ...{
      log,
      control: createControlSender(log),
      feed,
      history: null,
      logger: silentLogger,
      metrics,
      version: 'bench',
      port: 0,
    },
  });
  process.stdout.write(`filling: ${NODES} nodes of ${PROCESSES} processes\n`);
  const hosts = [];
  for (let index = 0; index < NODES; index++) {
    hosts.push(makeHost(index));
    await send(log, hosts[index], true);
  }
  while (live.metrics().processes < NODES * PROCESSES) await new Promise((resolve) => setTimeout(resolve, 50));
  const { heapUsed, arrayBuffers, rss } = process.memoryUsage();
  process.stdout.write(
    `${live.metrics().processes} processes live; this process, with log and simulated hosts: ` +
      `heap ${mib(heapUsed)} + buffers ${mib(arrayBuffers)}, RSS ${mib(rss)} MiB\n`,
  );
  const stopSending = keepSending(log, hosts);
  const delay = monitorEventLoopDelay({ resolution: 5 });
  delay.enable();
  report(await askFromThread(server.url), delay);
  stopSending();
  await server.drain(5_000);
  await feed.drain(5_000);
  await log.close(5_000);
}

function makeHost(index) {
  const host = createSimulatedHost(`node-${String(index).padStart(3, '0')}`);
  for (let pid = 1; pid <= PROCESSES; pid++) {
    const program = `${PROGRAMS[pid % PROGRAMS.length]}-${pid % 40}`;
    const commandLine = `/usr/lib/${program}/bin/${program} --type=worker --name=worker ${index * PROCESSES + pid} --lang=en`;
    host.spawn(pid, { program, commandLine, user: `user${pid % 9}`, service: `${program}.service` });
    const size = () => Math.floor(Math.random() * 500) * 4096;
    host.set(pid, Object.fromEntries(PROCESS_NUMBERS.map((name) => [name, size()])));
    host.set(pid, { ppid: pid === 1 ? 0 : 1 });
  }
  const memory = {
    total: 64_000 * MIB,
    available: 32_000 * MIB,
    used: 32_000 * MIB,
    free: 1_000 * MIB,
    cached: 20_000 * MIB,
  };
  host.setSystem({ memory, load: { one: 1, five: 1, fifteen: 1, running: 1, total: PROCESSES } });
  return host;
}

async function send(log, host, first) {
  const at = Date.now();
  const records = host
    .round(at)
    .map((chunk) => ({ topic: Topic.Samples, key: host.node, ...encodeSampleChunk(chunk) }));
  if (first) records.push({ topic: Topic.Nodes, key: host.node, ...encodeNodeRecord(host.heartbeat(at)) });
  await log.append(records);
}

/** Each node once a second, spread over it, a few changed processes at a time. */
function keepSending(log, hosts) {
  let next = 0;
  const timer = setInterval(() => {
    for (let count = 0; count < NODES / 200; count++) {
      const host = hosts[next++ % NODES];
      for (let row = 0; row < CHANGED; row++) {
        const pid = 1 + Math.floor(Math.random() * PROCESSES);
        host.set(pid, { rss: Math.floor(Math.random() * 500) * 4096, utime: next });
      }
      void send(log, host, false);
    }
  }, 5);
  return () => clearInterval(timer);
}

function askFromThread(url) {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL(import.meta.url), { workerData: { url } });
    worker.once('message', resolve);
    worker.once('error', reject);
  });
}

/** In the thread: every query once a turn, each turn in another order, so that all of them see the same machine. */
async function ask(url) {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const times = Object.fromEntries(Object.keys(QUERIES).map((name) => [name, []]));
  for (let turn = 0; turn < TURNS + 20; turn++) {
    const queries = Object.entries(QUERIES);
    queries.push(...queries.splice(0, turn % queries.length));
    for (const [name, query] of queries) {
      const id = `node-${String((turn * 7) % NODES).padStart(3, '0')}`;
      const variables = query.includes('$id') ? { id } : {};
      const startedAt = performance.now();
      const answer = await post(url, agent, JSON.stringify({ query, variables }));
      const ms = performance.now() - startedAt;
      if (answer.includes('"errors"')) throw new Error(`${name}: ${answer.slice(0, 300)}`);
      // The first turns compile the code.
      if (turn >= 20) times[name].push(ms);
    }
  }
  agent.destroy();
  parentPort.postMessage(times);
}

function post(url, agent, body) {
  return new Promise((resolve, reject) => {
    const asked = request(
      url,
      { method: 'POST', agent, headers: { 'content-type': 'application/json' } },
      (response) => {
        const parts = [];
        response.on('data', (part) => parts.push(part));
        response.on('end', () => resolve(Buffer.concat(parts).toString()));
      },
    );
    asked.on('error', reject);
    asked.end(body);
  });
}

function report(times, delay) {
  const [reference, ...rest] = Object.keys(times);
  const rank = (name, p) => [...times[name]].sort((a, b) => a - b)[Math.ceil(p * times[name].length) - 1];
  const line = (name, verdict) =>
    `${name.padEnd(28)} p50 ${rank(name, 0.5).toFixed(1).padStart(7)} ms   p95 ${rank(name, 0.95).toFixed(1).padStart(7)} ms   ${verdict}\n`;
  process.stdout.write(`${TURNS} turns, while ${NODES} nodes send ${CHANGED} changed processes a second each\n`);
  process.stdout.write(line(reference, 'reference'));
  for (const name of rest) {
    const factor = (rank(name, 0.5) / rank(reference, 0.5)).toFixed(1);
    const met = rank(name, 0.95) <= TARGET_MS ? 'met' : 'MISSED';
    const target = TARGETED.includes(name) ? `; target p95 ≤ ${TARGET_MS} ms: ${met}` : '';
    process.stdout.write(line(name, `${factor} × reference${target}`));
  }
  process.stdout.write(`event loop of the server: p99 delay ${(delay.percentile(99) / 1e6).toFixed(0)} ms\n`);
}

function mib(bytes) {
  return Math.round(bytes / MIB);
}
