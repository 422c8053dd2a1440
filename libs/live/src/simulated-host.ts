import {
  PROCESS_NUMBERS,
  toNodeId,
  type Cell,
  type FactColumns,
  type NodeId,
  type NodeRecord,
  type ProcessColumns,
  type ProcessNumber,
  type SampleChunk,
  type SystemSample,
} from '@tidemark/contracts';

/** A process as the made-up kernel has it; null is a figure that this kernel does not give. */
export interface SimulatedProcess {
  pid: number;
  start: number;
  startedAt: number;
  program: string;
  commandLine: string | null;
  user: string | null;
  uid: number | null;
  cgroup: string | null;
  service: string;
  state: string;
  numbers: Record<ProcessNumber, number | null>;
}

/**
 * A made-up host with a collector, for tests and benchmarks: what its processes are is known exactly (`processes`), and
 * its chunks say only what changed, as a real collector's do.
 */
export interface SimulatedHost {
  readonly node: NodeId;
  readonly processes: ReadonlyMap<number, SimulatedProcess>;
  spawn(pid: number, given?: Partial<Omit<SimulatedProcess, 'pid' | 'numbers'>>): SimulatedProcess;
  set(pid: number, numbers: Partial<Record<ProcessNumber, number | null>>): void;
  exit(pid: number): void;
  setSystem(system: SystemSample): void;
  /** The collector starts again; a new boot ends every process. */
  restart(newBoot: boolean): void;
  /** What the collector sends for the round that begins at `at`; a keyframe may come in parts. */
  round(at: number, options?: { keyframe?: boolean; rowsPerPart?: number }): SampleChunk[];
  heartbeat(at: number, state?: NodeRecord['state']): NodeRecord;
}

interface Sent {
  start: number;
  state: string;
  numbers: Record<ProcessNumber, number | null>;
}

const BOOTED_AT = 1_700_000_000_000;
const TICK_MS = 10;

interface Collector {
  boot: number;
  run: number;
  seq: number;
  /** What the log knows of each living process. */
  sent: Map<number, Sent>;
  /** Exits since the last round. */
  ended: { pid: number; start: number }[];
  system: SystemSample;
  systemSent: boolean;
}

export function createSimulatedHost(name: string): SimulatedHost {
  const node = toNodeId(name);
  const processes = new Map<number, SimulatedProcess>();
  const collector: Collector = {
    ...{ boot: 1, run: 1, seq: 0, sent: new Map(), ended: [], system: {}, systemSent: false },
  };
  let starts = 0;
  const host: SimulatedHost = {
    node,
    processes,
    spawn(pid, given = {}) {
      if (processes.has(pid)) host.exit(pid);
      const start = given.start ?? ++starts;
      const process: SimulatedProcess = {
        ...{ pid, start, startedAt: BOOTED_AT + start * TICK_MS, program: 'idle', commandLine: null, user: 'root' },
        ...{ uid: 0, cgroup: '/', service: 'idle', state: 'S' },
        ...given,
        numbers: unknownNumbers(),
      };
      processes.set(pid, process);
      return process;
    },
    set(pid, numbers) {
      Object.assign(processes.get(pid)?.numbers ?? {}, numbers);
    },
    exit(pid) {
      const process = processes.get(pid);
      if (process) collector.ended.push({ pid, start: process.start });
      processes.delete(pid);
    },
    setSystem(system) {
      Object.assign(collector, { system, systemSent: false });
    },
    restart(newBoot) {
      Object.assign(collector, { run: collector.run + 1, seq: 0, sent: new Map(), systemSent: false });
      if (!newBoot) return;
      Object.assign(collector, { boot: collector.boot + 1, ended: [] });
      processes.clear();
    },
    round: (at, { keyframe = collector.seq === 0, rowsPerPart = 20_000 } = {}) =>
      collectRound(node, processes, collector, { at, keyframe, rowsPerPart }),
    heartbeat: (at, state = 'UP') => ({
      ...{ v: 1, node, boot: `boot-${collector.boot}`, run: `run-${collector.run}`, at, state, hostname: name },
      ...{ kernel: '6.1.0', architecture: 'x64', cpus: 2, pageSize: 4096, bootedAt: BOOTED_AT, interval: 1000 },
      ...{ processes: processes.size, limitations: [], collector: quietCollector() },
    }),
  };
  return host;
}

function collectRound(
  node: NodeId,
  processes: ReadonlyMap<number, SimulatedProcess>,
  collector: Collector,
  { at, keyframe, rowsPerPart }: { at: number; keyframe: boolean; rowsPerPart: number },
): SampleChunk[] {
  const { sent, ended, boot, run, system, systemSent } = collector;
  const changed = [...processes.values()].filter((process) => keyframe || differs(process, sent.get(process.pid)));
  const parts = Math.max(1, Math.ceil(changed.length / rowsPerPart));
  const chunks = Array.from({ length: parts }, (_, part): SampleChunk => {
    const rows = changed.slice(part * rowsPerPart, (part + 1) * rowsPerPart);
    const last = part === parts - 1;
    return {
      ...{ v: 1, node, boot: `boot-${boot}`, run: `run-${run}`, seq: collector.seq++, at, keyframe, part, parts },
      ...columnsOf(rows, sent, keyframe),
      exits: { pid: last ? ended.map((one) => one.pid) : [], start: last ? ended.map((one) => one.start) : [] },
      system: last && (keyframe || !systemSent) ? system : {},
    };
  });
  for (const { pid, start } of ended) if (sent.get(pid)?.start === start) sent.delete(pid);
  for (const { pid, start, state, numbers } of changed) sent.set(pid, { start, state, numbers: { ...numbers } });
  collector.ended = [];
  collector.systemSent = true;
  return chunks;
}

function unknownNumbers(): Record<ProcessNumber, number | null> {
  return Object.fromEntries(PROCESS_NUMBERS.map((name) => [name, null])) as Record<ProcessNumber, number | null>;
}

function differs(process: SimulatedProcess, sent: Sent | undefined): boolean {
  if (!sent || sent.start !== process.start || sent.state !== process.state) return true;
  return PROCESS_NUMBERS.some((name) => sent.numbers[name] !== process.numbers[name]);
}

function columnsOf(rows: readonly SimulatedProcess[], sent: ReadonlyMap<number, Sent>, keyframe: boolean) {
  const procs: ProcessColumns = { pid: [], start: [], state: [] };
  const facts = noFacts();
  for (const process of rows) {
    const known = sent.get(process.pid);
    const before = known?.start === process.start ? known : undefined;
    procs.pid.push(process.pid);
    procs.start.push(process.start);
    procs.state?.push(!keyframe && before?.state === process.state ? null : process.state);
    if (keyframe || !before) addFacts(facts, process);
  }
  for (const name of PROCESS_NUMBERS) {
    const cells = rows.map(({ pid, start, numbers }): Cell => {
      const known = sent.get(pid);
      return !keyframe && known?.start === start && known.numbers[name] === numbers[name] ? null : numbers[name];
    });
    if (cells.some((cell) => cell !== null)) procs[name] = cells;
  }
  return { procs, facts };
}

function noFacts(): FactColumns {
  return {
    ...{ pid: [], start: [], startedAt: [], program: [], commandLine: [], uid: [], gid: [], user: [], cgroup: [] },
    service: [],
  };
}

function addFacts(facts: FactColumns, process: SimulatedProcess): void {
  facts.pid.push(process.pid);
  facts.start.push(process.start);
  facts.startedAt.push(process.startedAt);
  facts.program.push(process.program);
  facts.commandLine.push(process.commandLine);
  facts.uid.push(process.uid);
  facts.gid.push(process.uid);
  facts.user.push(process.user);
  facts.cgroup.push(process.cgroup);
  facts.service.push(process.service);
}

function quietCollector(): NodeRecord['collector'] {
  return {
    ...{ version: '0.0.0', pid: 1, startedAt: BOOTED_AT, rounds: 0, cpuMs: 0, rss: 0, reads: 0, opens: 0 },
    ...{ bytesRead: 0, bytesSent: 0, spooledBytes: 0, droppedBytes: 0, droppedChunks: 0, latenessMs: 0 },
    ...{ skippedRounds: 0, clockJumps: 0 },
  };
}
