// Plays many hosts of many processes into an event log, through the encoders that collectors use.
import {
  encodeAllocationChunk,
  encodeFindingRecord,
  encodeNodeRecord,
  encodeSampleChunk,
  HEARTBEAT_MS,
  Topic,
} from '@tidemark/contracts';
import { createGathering } from './gathering.mjs';
import { createLane } from './lane.mjs';
import { chunkFigures } from './ledger.mjs';
import { createNodeLoad } from './node-load.mjs';

const LANES = 4;
const KEYFRAME_MS = 60_000;
/** Allocation chunks and findings come this often from a node that has any, milliseconds. */
const TRACE_MS = 5_000;
/** What is due within this is made at once, milliseconds. */
const AHEAD_MS = 10;
const SLICE_MS = 10;

/**
 * Plays until `seconds` are over or `signal` aborts, then waits until the log has taken everything. The same options give the
 * same records, but for the times, which begin at `at`. Throws RangeError for options out of range, and when `prepareMs` is
 * less than it takes to make all records.
 *
 * @type {typeof import('./play.d.mts').playLoad}
 */
export async function playLoad(options) {
  const plan = planOf(options);
  const tally = createTally(plan);
  const lanes = Array.from({ length: plan.lanes }, () =>
    createLane({ log: plan.log, onAcknowledged: tally.acknowledged, onRefused: tally.refused }),
  );
  const nodes = Array.from({ length: plan.nodes }, (_, index) => nodeOf(plan, index));
  const waiting = () => lanes.reduce((sum, lane) => sum + lane.waitingBytes, 0);
  const gatherings = nodes.map((_, index) => createGathering(plan, index));
  const put = (index, records) => {
    for (const { entry, ...record } of records) lanes[index % lanes.length].send(record, entry);
  };
  const send = (index, records) => {
    for (const { entry, value } of records) tally.made(entry, value.byteLength);
    put(index, gatherings[index].gather(records));
  };
  const prepared = plan.prepareMs > 0 ? await prepare(plan, nodes) : undefined;
  const cpu = process.cpuUsage();
  const startedAt = performance.now();
  await playRounds({ plan, nodes, prepared, send, waiting, tally, startedAt });
  const played = performance.now();
  gatherings.forEach((gathering, index) => put(index, gathering.end()));
  const drained = await drainLanes(lanes, plan);
  const { user, system } = process.cpuUsage(cpu);
  return {
    ...tally.summary(),
    drained,
    seconds: (played - startedAt) / 1000,
    drainSeconds: (performance.now() - played) / 1000,
    cpuSeconds: (user + system) / 1e6,
  };
}

function planOf(options) {
  const { nodes, processes, interval = 1_000, seconds } = options;
  for (const [name, value] of Object.entries({ nodes, processes, interval })) {
    if (!Number.isSafeInteger(value) || value < 1)
      throw new RangeError(`${name} ${value}: must be a whole number from 1`);
  }
  if (!(seconds > 0)) throw new RangeError(`seconds ${seconds}: must be above 0`);
  const { changing = 0.2, leaks = Math.ceil((nodes * processes) / 5_000), traces = nodes / 10 } = options;
  const at = Date.now() + (options.prepareMs ?? 0);
  return {
    ...{ name: 'load', first: 0, seed: 1, incarnation: 0, at, lanes: LANES, findingsPerMinute: 0, prepareMs: 0 },
    lingerMs: 0,
    ...{ paced: true, waitingBytes: 32 * 1024 * 1024, drainMs: 60_000, figures: false, signal: undefined },
    ...{ onMade: () => {}, onAcknowledged: () => {}, onProgress: () => {}, onRefused: () => {} },
    ...Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)),
    ...{ interval, changing, leaks, traces, rounds: Math.max(1, Math.round((seconds * 1000) / interval)) },
  };
}

function nodeOf(plan, offset) {
  const { name, seed, incarnation, processes, changing, interval, at, leaks, nodes, traces, first } = plan;
  const share = (total) => Math.floor(((offset + 1) * total) / nodes) - Math.floor((offset * total) / nodes);
  return createNodeLoad({
    ...{ name, seed, incarnation, processes, changing, interval, at, index: first + offset },
    ...{ leaks: share(leaks), traces: share(traces) },
  });
}

/** Each host begins at its own moment of the interval. */
function dueOf({ interval, nodes }, round, index) {
  return round * interval + Math.floor((index * interval) / nodes);
}

/** Makes the records of all rounds before the first is due, so that to make them takes nobody's time later. */
async function prepare(plan, nodes) {
  const from = performance.now();
  const rounds = [];
  for (let round = 0; round < plan.rounds && !plan.signal?.aborted; round++) {
    rounds.push(nodes.map((_, index) => makeRound(plan, nodes, round, index)));
    await nextTurn();
  }
  const early = plan.at - Date.now();
  if (early < 0 && !plan.signal?.aborted) {
    const took = ((performance.now() - from) / 1000).toFixed(1);
    throw new RangeError(`prepareMs ${plan.prepareMs}: to make ${plan.rounds} rounds took ${took} s, give more`);
  }
  await sleep(Math.max(0, early), plan.signal);
  return rounds;
}

/** Rounds of all hosts in the order of time. */
async function playRounds(run) {
  const { plan, nodes, waiting, tally, startedAt } = run;
  let slice = performance.now();
  for (let round = 0; round < plan.rounds; round++) {
    for (let index = 0; index < nodes.length; index++) {
      if (plan.signal?.aborted) return;
      const due = dueOf(plan, round, index);
      const early = plan.paced ? due - AHEAD_MS - (performance.now() - startedAt) : 0;
      if (early > 0) await sleep(early + AHEAD_MS, plan.signal);
      else if (performance.now() - slice > SLICE_MS) await nextTurn();
      else {
        tally.late(-early - AHEAD_MS);
        playRound(run, round, index);
        continue;
      }
      slice = performance.now();
      while (waiting() > plan.waitingBytes && !plan.signal?.aborted) await sleep(5);
      plan.onProgress(tally.summary());
      tally.late(plan.paced ? performance.now() - startedAt - due : 0);
      playRound(run, round, index);
    }
  }
}

function playRound({ plan, nodes, prepared, send }, round, index) {
  send(index, prepared ? prepared[round][index] : makeRound(plan, nodes, round, index));
  // What was sent is the log's.
  if (prepared) prepared[round][index] = undefined;
}

/** All records of one round of one host, each with its entry. */
function makeRound(plan, nodes, round, index) {
  const node = nodes[index];
  const at = plan.at + dueOf(plan, round, index);
  // Nodes take turns: what comes seldom from each comes in every round from as many of them as in any other.
  const every = (ms) => {
    const rounds = Math.max(1, Math.round(ms / plan.interval));
    return (round + Math.floor((index * rounds) / Math.min(rounds, plan.nodes))) % rounds === 0;
  };
  const made = [];
  const add = (kind, given, topic, key, { value, headers }) => {
    const entry = { kind, node: node.node, run: node.run, at, ...given };
    made.push({ entry, topic, key, value, headers, timestamp: at });
  };
  const chunk = node.round(round, at, round === 0 || every(KEYFRAME_MS));
  const figures = plan.figures ? { figures: chunkFigures(chunk) } : {};
  const samples = { seq: chunk.seq, rows: chunk.procs.pid.length, ...figures };
  add('samples', samples, Topic.Samples, node.node, encodeSampleChunk(chunk));
  if (round === 0 || every(HEARTBEAT_MS)) {
    add('heartbeat', { rows: 1 }, Topic.Nodes, node.node, encodeNodeRecord(node.heartbeat(at)));
  }
  if (every(TRACE_MS)) {
    for (const one of node.allocations(at)) {
      const rows = one.sites.length + one.survivors.length + 1;
      const given = { seq: one.seq, rows, trace: one.trace };
      add('allocations', given, Topic.Allocations, one.key, encodeAllocationChunk(one));
    }
  }
  if (plan.findingsPerMinute > 0 && every(60_000 / plan.findingsPerMinute)) {
    const record = node.finding(at);
    add('finding', { rows: 1, id: record.id }, Topic.Findings, record.subject, encodeFindingRecord(record));
  }
  return made;
}

/** True when the log has taken everything before the deadline. */
async function drainLanes(lanes, { drainMs }) {
  const deadline = performance.now() + drainMs;
  while (lanes.some(({ idle }) => !idle) && performance.now() < deadline) await sleep(10);
  const drained = lanes.every(({ idle }) => idle);
  for (const lane of lanes) lane.stop();
  return drained;
}

function createTally({ onMade, onAcknowledged, onRefused }) {
  const none = () => ({ samples: 0, chunks: 0, heartbeats: 0, allocations: 0, findings: 0 });
  const [made, taken] = [none(), none()];
  const count = { bytes: 0, refusals: 0, lateMs: 0 };
  const add = (sum, { kind, rows }) => {
    if (kind === 'samples') {
      sum.chunks++;
      sum.samples += rows;
    } else if (kind === 'heartbeat') sum.heartbeats++;
    else if (kind === 'allocations') sum.allocations++;
    else sum.findings++;
  };
  return {
    made(entry, bytes) {
      add(made, entry);
      count.bytes += bytes;
      onMade(entry);
    },
    acknowledged(entry) {
      add(taken, entry);
      onAcknowledged(entry);
    },
    refused(error) {
      count.refusals++;
      onRefused(error);
    },
    late(ms) {
      count.lateMs = Math.max(count.lateMs, ms);
    },
    summary: () => ({ made: { ...made }, acknowledged: { ...taken }, ...count }),
  };
}

function sleep(ms, signal) {
  if (signal?.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal?.addEventListener('abort', end, { once: true });
  });
}

function nextTurn() {
  return new Promise((resolve) => setImmediate(resolve));
}
