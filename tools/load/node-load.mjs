// One made-up host with its collector: the chunks, heartbeats, allocation chunks and findings that it sends.
import { processKey, toNodeId } from '@tidemark/contracts';
import { createSimulatedTrace } from '@tidemark/live/simulated-trace';
import { createProcesses } from './processes.mjs';
import { createRandom } from './random.mjs';
import { createSystem } from './system.mjs';

const NO_FACTS = () => ({
  ...{ pid: [], start: [], startedAt: [], program: [], commandLine: [], uid: [], gid: [], user: [], cgroup: [] },
  service: [],
});
const DAY = 86_400_000;
/** Share of the processes that end, and are followed by others, in a round. */
const TURNOVER = 0.001;

/**
 * Everything follows from `seed`, `index`, `incarnation` and the times that it is given.
 *
 * @param {import('./play.d.mts').NodeLoadOptions} options
 */
export function createNodeLoad(options) {
  const {
    name = 'load',
    index,
    seed,
    incarnation = 0,
    processes: count,
    changing,
    leaks,
    interval,
    at: begin,
  } = options;
  if (!(count >= 1 && count <= 20_000)) throw new RangeError(`processes ${count}: must be from 1 to 20000 a node`);
  const node = toNodeId(`${name}-${String(index).padStart(4, '0')}`);
  const boot = `boot-${seed}-${index}`;
  const run = `run-${seed}-${index}-${incarnation}`;
  const random = createRandom(seed * 1_000_003 + index * 101 + incarnation);
  const bootedAt = Math.floor(begin / DAY) * DAY - DAY;
  const processes = createProcesses({ random, count, changing, leaks, bootedAt });
  const system = createSystem({ random, processes: count, index });
  // One start for all incarnations of a host, or a restart would be a host of other processes.
  for (let slot = 0; slot < count; slot++) processes.spawn(slot, bootedAt + 60_000 + slot * 20 + incarnation * 10);
  const traces = Array.from({ length: options.traces ?? 0 }, (_, slot) =>
    createSimulatedTrace({
      ...{ node, boot, pid: processes.pid[slot % count], start: processes.start[slot % count] },
      ...{ startedAt: begin, trace: `trace-${seed}-${index}-${incarnation}-${slot}` },
    }),
  );
  for (const trace of traces) trace.restart(run);
  let seq = 0;
  let opened = 0;

  /** Some end and others begin; a process that leaks stays. */
  function turnOver(at) {
    const exits = { pid: [], start: [] };
    const fresh = new Set();
    for (let left = count * TURNOVER; random() < left; left--) {
      const slot = Math.floor(random() * count);
      if (processes.isLeak(slot) || fresh.has(slot) || slot < traces.length) continue;
      exits.pid.push(processes.pid[slot]);
      exits.start.push(processes.start[slot]);
      processes.spawn(slot, at);
      fresh.add(slot);
    }
    return { exits, fresh };
  }

  return {
    node,
    run,
    /** The round that begins at `at`; the first of a run has to be a keyframe. */
    round(number, at, keyframe) {
      const { exits, fresh } = turnOver(at);
      const changed = processes.round(number, fresh);
      const told = keyframe ? Array.from({ length: count }, (_, slot) => slot) : [...fresh];
      return {
        ...{ v: 1, node, boot, run, seq: seq++, at, keyframe, part: 0, parts: 1 },
        procs: keyframe ? processes.all() : changed,
        facts: told.length > 0 ? processes.facts(told) : NO_FACTS(),
        exits,
        system: system.round(number, { at, bootedAt, keyframe }),
      };
    },
    heartbeat: (at) => heartbeat({ node, boot, run, at, bootedAt, interval, count, begin, seq }),
    allocations: (at) => traces.map((trace) => trace.chunk(at)),
    /** A verdict on the process that leaks, or on the first where none does; each with an id of its own. */
    finding(at) {
      const key = processKey(node, boot, processes.pid[0], processes.start[0]);
      return finding({
        id: `${key}@${run}/${opened++}`,
        key,
        node,
        at,
        pid: processes.pid[0],
        bytes: processes.anonBytes(0),
      });
    },
  };
}

function heartbeat({ node, boot, run, at, bootedAt, interval, count, begin, seq }) {
  return {
    ...{ v: 1, node, boot, run, at, state: 'UP', hostname: node, kernel: '6.1.0', architecture: 'x64', cpus: 4 },
    ...{ pageSize: 4096, bootedAt, interval, processes: count, limitations: [] },
    collector: {
      ...{
        version: '0.1.0',
        pid: 1,
        startedAt: begin,
        rounds: seq,
        cpuMs: 0,
        rss: 0,
        reads: 0,
        opens: 0,
        bytesRead: 0,
      },
      ...{
        bytesSent: 0,
        spooledBytes: 0,
        droppedBytes: 0,
        droppedChunks: 0,
      },
      ...{ latenessMs: 0, skippedRounds: 0, clockJumps: 0 },
    },
  };
}

function finding({ id, key, node, at, pid, bytes }) {
  return {
    ...{ v: 1, type: 'finding', id, kind: 'PROCESS_LEAK', subject: key, node, service: 'postgres.service', site: null },
    process: { key, pid, program: 'postgres', commandLine: null, user: null },
    ...{ state: 'SUSPECTED', previous: 'GROWING', imminent: false, confidence: 0.8, openedAt: at, at, bytes },
    ...{ limit: null, growth: { bytesPerHour: 6e8, low: 5e8, high: 7e8, window: 600 }, secondsToExhaustion: null },
    ...{ message: 'a process of the load generator grows', evidence: { rounds: 1 } },
  };
}
