import type { ExitColumns, FactColumns, NodeId, ProcessNumber, SampleChunk } from '@tidemark/contracts';

/** One life of one process, as it really was. */
export interface SimulatedProcess {
  pid: number;
  start: number;
  program: string;
  bornAt: number;
  /** Null while it lives. */
  diedAt: number | null;
  /** Every change of every figure, by time. */
  changes: { at: number; values: Partial<Record<ProcessNumber, number>> }[];
}

export interface SimulationOptions {
  node: string;
  from: number;
  rounds: number;
  /** Milliseconds between two rounds. */
  roundMs: number;
  processes: number;
  seed: number;
  /** Rounds between two keyframes. */
  keyframeEvery: number;
}

export interface Simulation {
  chunks: SampleChunk[];
  processes: SimulatedProcess[];
}

const FIGURES = ['ppid', 'threads', 'utime', 'stime', 'minflt', 'vms', 'rss', 'rssAnon', 'swap', 'pss', 'uss'] as const;

/** Reproducible numbers from 0 to below 1. */
export function randomSource(seed: number): () => number {
  let state = seed | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 4_294_967_296;
  };
}

/** A node whose processes come, change and go, told as a collector tells it: changed cells only, keyframes, exits. */
export function simulateNode(options: SimulationOptions): Simulation {
  const random = randomSource(options.seed);
  const living: { process: SimulatedProcess; values: Record<string, number> }[] = [];
  const all: SimulatedProcess[] = [];
  let pid = 100;

  const give = (at: number): void => {
    const process: SimulatedProcess = {
      pid: pid++,
      start: Math.floor(random() * 1e9),
      program: `program-${Math.floor(random() * 3)}`,
      bornAt: at,
      diedAt: null,
      changes: [],
    };
    const values = Object.fromEntries(FIGURES.map((name) => [name, Math.floor(random() * 2 ** 34)]));
    living.push({ process, values });
    all.push(process);
  };

  const chunks: SampleChunk[] = [];
  for (let round = 0; round < options.rounds; round++) {
    const at = options.from + round * options.roundMs + Math.floor(random() * options.roundMs * 0.2);
    const keyframe = round % options.keyframeEvery === 0;
    const exits: ExitColumns = { pid: [], start: [] };
    for (const entry of [...living]) {
      if (random() > 0.02) continue;
      entry.process.diedAt = at;
      exits.pid.push(entry.process.pid);
      exits.start.push(entry.process.start);
      living.splice(living.indexOf(entry), 1);
    }
    const fresh = new Set<SimulatedProcess>();
    while (living.length < options.processes) {
      give(at);
      fresh.add(living.at(-1)!.process);
    }
    const rows: { process: SimulatedProcess; values: Record<string, number> }[] = [];
    for (const entry of living) {
      const told: Record<string, number> = {};
      for (const name of FIGURES) {
        if (!fresh.has(entry.process) && random() < 0.7) continue;
        entry.values[name] = Math.floor(random() * 2 ** 34);
        told[name] = entry.values[name];
      }
      if (Object.keys(told).length > 0) entry.process.changes.push({ at, values: told });
      if (keyframe) rows.push({ process: entry.process, values: { ...entry.values } });
      else if (Object.keys(told).length > 0) rows.push({ process: entry.process, values: told });
    }
    const named = living.filter(({ process }) => keyframe || fresh.has(process)).map(({ process }) => process);
    chunks.push(chunkOf(options.node, at, round, keyframe, rows, named, exits));
  }
  return { chunks, processes: all };
}

function chunkOf(
  node: string,
  at: number,
  seq: number,
  keyframe: boolean,
  rows: readonly { process: SimulatedProcess; values: Record<string, number> }[],
  named: readonly SimulatedProcess[],
  exits: ExitColumns,
): SampleChunk {
  const procs: SampleChunk['procs'] = {
    pid: rows.map(({ process }) => process.pid),
    start: rows.map(({ process }) => process.start),
  };
  for (const name of FIGURES) {
    const cells = rows.map(({ values }) => values[name] ?? null);
    if (cells.some((cell) => cell !== null)) procs[name] = cells;
  }
  const facts: FactColumns = {
    pid: named.map(({ pid }) => pid),
    start: named.map(({ start }) => start),
    startedAt: named.map(({ bornAt }) => bornAt),
    program: named.map(({ program }) => program),
    commandLine: named.map(({ program, pid }) => `/usr/bin/${program} --id ${pid}`),
    uid: named.map(() => 1000),
    gid: named.map(() => null),
    user: named.map(({ pid }) => (pid % 2 === 0 ? 'ada' : null)),
    cgroup: named.map(() => '/user.slice'),
    service: named.map(({ program }) => `${program}.service`),
  };
  const used = 4_000_000_000 + seq * 4096;
  return {
    v: 1,
    node: node as NodeId,
    boot: `boot-of-${node}`,
    run: 'run-1',
    seq,
    at,
    keyframe,
    part: 0,
    parts: 1,
    procs,
    facts,
    exits,
    system:
      keyframe || seq % 3 === 0
        ? {
            memory: {
              total: 16_000_000_000,
              available: 16_000_000_000 - used,
              used,
              free: 1_000_000_000,
              swapTotal: 1_000_000,
              swapFree: 1_000_000 - seq,
            },
            load: { one: seq / 10, five: 1, fifteen: 2, running: 1, total: 300 },
            cpus: [{ name: 'cpu', user: seq, nice: 0, system: seq, idle: seq * 10 }],
          }
        : {},
  };
}
