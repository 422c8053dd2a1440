// The collector benchmark: CPU time of one round beside that of a C program which only reads the same kernel files, in
// turns within one run; bytes on the wire beside the text that was read; memory of a collector that runs by itself.
//
//   npm run bench -- collector          BENCH_PROCESSES=1000 BENCH_ROUNDS=60 by default
import { execFileSync, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { median } from './parts/median.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const programs = join(root, '.cache', 'proc-reader');
const dist = (path) => import(pathToFileURL(join(root, 'libs', path)).href);
const { decodeSampleChunk } = await dist('contracts/dist/index.js');
const { Collector } = await dist('pipeline/dist/collect/collector.js');
const { completeConfig } = await dist('pipeline/dist/collect/config.js');
const { systemClock } = await dist('pipeline/dist/collect/clock.js');

const processes = Number(process.env.BENCH_PROCESSES ?? 1000);
const rounds = Number(process.env.BENCH_ROUNDS ?? 60);
const children = new Set();

execFileSync('make', ['-s', '-C', join(root, 'tools', 'proc-reader')], { stdio: ['ignore', 2, 2] });
try {
  process.stdout.write(`${processes} processes beside those of this machine, ${rounds} rounds of each, medians\n`);
  await benchCrowd('all idle', 0);
  await benchCrowd('3 in 10 active', Math.floor(processes * 0.3));
  await benchCrowd('all active', processes);
  await benchOnItsOwn();
} finally {
  for (const child of children) child.kill();
}

/** Rounds of the C readers and of the collector in turns, over a crowd of which `active` processes run. */
async function benchCrowd(name, active) {
  const crowd = await startCrowd(active);
  const readers = {
    'stat+statm': await startReader(['stat', 'statm']),
    'stat+status': await startReader(['stat', 'status']),
  };
  const collector = startCollector();
  const cost = { 'stat+statm': [], 'stat+status': [], collector: [] };
  const wire = [];
  for (let round = -20; round < rounds; round++) {
    const spent = {};
    for (const [files, reader] of Object.entries(readers)) spent[files] = (await reader.round()).cpuMs;
    const before = collector.text();
    const chunk = await collector.round();
    spent.collector = collector.lastCpuMs();
    if (round >= 0) {
      for (const key of Object.keys(cost)) cost[key].push(spent[key]);
      if (!chunk.keyframe) wire.push({ ...chunk, text: collector.text() - before });
    }
    await pause(active > 0 ? 300 : 60);
  }
  const watched = collector.processes();
  report(name, watched, cost, wire);
  await collector.close();
  for (const reader of Object.values(readers)) await stop(reader.child);
  await stop(crowd);
}

function report(name, watched, cost, wire) {
  const medians = Object.fromEntries(Object.entries(cost).map(([key, values]) => [key, median(values)]));
  const perThousand = (ms) => ((ms * 1000) / watched).toFixed(2);
  print(`\n${name}: ${watched} processes`);
  for (const [key, ms] of Object.entries(medians)) {
    const who = key === 'collector' ? 'collector, whole round' : `C, ${key}`;
    print(`  ${who.padEnd(24)} ${ms.toFixed(2).padStart(7)} ms a round  ${perThousand(ms).padStart(6)} ms per 1,000`);
  }
  print(`  collector to C stat+statm ${(medians.collector / medians['stat+statm']).toFixed(2)}`);
  print(`  collector to C stat+status ${(medians.collector / medians['stat+status']).toFixed(2)}`);
  const value = median(wire.map((one) => one.value));
  const text = median(wire.map((one) => one.text));
  const rows = median(wire.map((one) => one.rows));
  print(`  wire ${value} bytes a round, ${((100 * value) / text).toFixed(2)} % of ${text} bytes of text read`);
  if (rows >= 100) {
    const perRow = median(wire.filter((one) => one.rows > 0).map((one) => one.rowBytes / one.rows));
    print(`  ${rows} changed samples a round, ${perRow.toFixed(1)} bytes each, compressed`);
  }
}

/** The collector as it is, in this process, with a log that throws everything away; its rounds begin when asked. */
function startCollector() {
  let sent = [];
  const log = {
    append: async (records) => void sent.push(...records),
  };
  const logger = { debug() {}, info() {}, warn() {}, error() {}, child: () => logger };
  const config = completeConfig({ node: 'bench' });
  const collector = new Collector({ log, config, logger, clock: systemClock });
  const sources = ['processes', 'memory', 'load', 'pressure', 'uptime', 'cpus', 'network', 'disks'];
  let rounds = 0;
  return {
    async round() {
      sent = [];
      // As at the default rates: control groups in every fifth round.
      const due = new Set(rounds++ % 5 === 0 ? [...sources, 'cgroups'] : sources);
      await collector.round({ due, latenessMs: 0, skipped: new Map() });
      await new Promise((resolve) => setImmediate(resolve));
      return describeRecords(sent);
    },
    lastCpuMs: () => collector.stats().lastCpuMs,
    smapsCpuMs: () => collector.stats().smapsCpuMs,
    text: () => collector.stats().bytesRead,
    processes: () => collector.stats().processes,
    close: () => collector.close(1000),
  };
}

function describeRecords(records) {
  const chunks = records.map(({ value, headers }) => decodeSampleChunk(value, headers));
  const value = records.reduce((sum, record) => sum + record.value.byteLength, 0);
  // What the node's own sections take is no cost of a process sample.
  const rows = chunks.reduce((sum, chunk) => sum + chunk.procs.pid.length, 0);
  return { value, rows, rowBytes: value, keyframe: chunks.some((chunk) => chunk.keyframe) };
}

/** A collector of its own at one round a second, timers and all: CPU time and memory of its whole process. */
async function benchOnItsOwn() {
  const crowd = await startCrowd(0);
  const child = start(process.execPath, [join(root, 'tools', 'proc-reader', 'run-collector.mjs')]);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  await lines.next();
  const ask = async () => {
    child.stdin.write('\n');
    return { ...JSON.parse((await lines.next()).value), ...usage(child.pid) };
  };
  await pause(10_000);
  const before = await ask();
  const seconds = 20;
  await pause(seconds * 1000);
  const after = await ask();
  const perRound = (field) => ((after[field] - before[field]) / (after.rounds - before.rounds)).toFixed(2);
  print(`\non its own, all idle, ${after.rounds - before.rounds} rounds at 1 a second`);
  print(`  rounds ${perRound('cpuMs')} ms of CPU time a round, smaps_rollup ${perRound('smapsCpuMs')} ms`);
  print(`  whole process ${perRound('processMs')} ms, ${after.rssMb} MB resident, ${perRound('opens')} opens a round`);
  await stop(child);
  await stop(crowd);
}

function usage(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1].split(' ');
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  const rssKb = Number(/^VmRSS:\s+(\d+)/m.exec(status)[1]);
  return { processMs: (Number(fields[11]) + Number(fields[12])) * 10, rssMb: Math.round(rssKb / 1024) };
}

async function startCrowd(active) {
  const crowd = start(join(programs, 'sleepers'), [String(processes), String(active)]);
  await firstLine(crowd);
  return crowd;
}

async function startReader(files) {
  const child = start(join(programs, 'proc-reader'), files);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    child,
    async round() {
      child.stdin.write('\n');
      const { value } = await lines.next();
      const [, reads, bytes, cpuUs] = value.split(' ').map(Number);
      return { reads, bytes, cpuMs: cpuUs / 1000 };
    },
  };
}

function start(command, args) {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  children.add(child);
  child.on('exit', () => children.delete(child));
  return child;
}

async function firstLine(child) {
  const [text] = await once(child.stdout, 'data');
  return String(text);
}

/** Every one of these programs ends when its standard input does. */
async function stop(child) {
  if (child.exitCode !== null) return;
  const ended = once(child, 'exit');
  child.stdout.resume();
  child.stdin.end();
  await ended;
}

function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function print(line) {
  process.stdout.write(`${line}\n`);
}
