import { processKey, type Finding, type LeakState, type NodeId, type SampleChunk } from '@tidemark/contracts';
import {
  closeSeries,
  createSeries,
  leakStatus,
  observe,
  takeServiceTransition,
  type DetectorProfile,
  type LeakStatus,
  type ServiceBook,
  type Transition,
} from '@tidemark/leak';
import { createChunkSequence } from './chunk-sequence.js';
import { toFinding } from './finding-record.js';
import { createMemoryLimits, type MemoryLimits } from './memory-limits.js';
import { factsOf, type ProcessFacts, type WatchedProcess } from './watched-process.js';

/** What was known of a process that is met for the first time since a restart; without facts, when its own are known. */
export type Remembered = (
  pid: number,
  start: number,
  facts: ProcessFacts | undefined,
) => Omit<WatchedProcess, 'pid' | 'start'> | undefined;

/** Judges the processes of one boot of one node, chunk by chunk. */
export interface NodeDetector {
  readonly boot: string;
  /** Processes under watch. */
  readonly size: number;
  /** Data time of the newest chunk. */
  readonly at: number;
  /** Processes whose state is worth more than what the rollups can tell of them: those that are under suspicion. */
  readonly notable: ReadonlySet<WatchedProcess>;
  /** Whether a whole keyframe has named every living process. */
  readonly isComplete: boolean;
  /** The findings that the chunk gives rise to. A chunk seen before gives none and changes nothing. */
  apply(chunk: SampleChunk): Finding[];
  processes(): IterableIterator<WatchedProcess>;
  /** Goes on with what is remembered of processes that are not under suspicion by now. */
  adopt(remembered: Remembered): void;
  status(pid: number, start: number): LeakStatus | undefined;
}

export interface NodeDetectorDeps {
  node: NodeId;
  boot: string;
  profile: DetectorProfile;
  book: ServiceBook;
  remembered: Remembered;
}

interface State extends NodeDetectorDeps {
  watched: Map<number, WatchedProcess>;
  notable: Set<WatchedProcess>;
  limits: MemoryLimits;
  /** Pids named by the parts of the keyframe that is under way; undefined when a part of it was missed. */
  named: Set<number> | undefined;
  isComplete: boolean;
}

export function createNodeDetector(deps: NodeDetectorDeps): NodeDetector {
  const state: State = {
    ...deps,
    watched: new Map(),
    notable: new Set(),
    limits: createMemoryLimits(),
    named: undefined,
    isComplete: false,
  };
  const sequence = createChunkSequence();
  let newest = 0;
  return {
    boot: deps.boot,
    get size() {
      return state.watched.size;
    },
    get at() {
      return newest;
    },
    notable: state.notable,
    get isComplete() {
      return state.isComplete;
    },
    apply(chunk) {
      const { gap, repeated } = sequence.arrive(chunk);
      if (repeated) return [];
      newest = chunk.at;
      const findings: Finding[] = [];
      state.limits.apply(chunk.system);
      leave(state, chunk, findings);
      learn(state, chunk, findings);
      judge(state, chunk, findings);
      sweep(state, chunk, gap, findings);
      return findings;
    },
    processes: () => state.watched.values(),
    adopt: (remembered) => adopt(state, remembered),
    status(pid, start) {
      const process = state.watched.get(pid);
      return process && process.start === start ? leakStatus(process.series) : undefined;
    },
  };
}

function leave(state: State, { exits, at }: SampleChunk, findings: Finding[]): void {
  for (let row = 0; row < exits.pid.length; row++) {
    const process = find(state, exits.pid[row]!, exits.start[row]!);
    if (process) end(state, process, at, findings);
  }
}

/** The process, if it is known, be it from before. Without its facts none can be named: they come with every keyframe. */
function find(state: State, pid: number, start: number): WatchedProcess | undefined {
  const { watched, remembered } = state;
  const known = watched.get(pid);
  if (known) return known.start === start ? known : undefined;
  const before = remembered(pid, start, undefined);
  if (!before) return undefined;
  const process = { pid, start, ...before };
  watched.set(pid, process);
  weigh(state, process);
  return process;
}

function learn(state: State, chunk: SampleChunk, findings: Finding[]): void {
  const { watched, remembered, profile } = state;
  for (let row = 0; row < chunk.facts.pid.length; row++) {
    const pid = chunk.facts.pid[row]!;
    const start = chunk.facts.start[row]!;
    const facts = factsOf(chunk, row);
    const known = watched.get(pid);
    if (known?.start === start) {
      known.facts = facts;
      continue;
    }
    // The pid was given to another process before the exit of the first was reported.
    if (known) end(state, known, chunk.at, findings);
    const before = remembered(pid, start, facts);
    const process = {
      pid,
      start,
      rssAnon: null,
      swap: null,
      series: before?.series ?? createSeries(profile, facts),
      facts,
    };
    watched.set(pid, process);
    weigh(state, process);
  }
}

function adopt(state: State, remembered: Remembered): void {
  for (const process of state.watched.values()) {
    const before = remembered(process.pid, process.start, process.facts);
    if (!before || state.notable.has(process)) continue;
    process.series = before.series;
    weigh(state, process);
  }
}

function weigh({ notable }: State, process: WatchedProcess): void {
  const { state, imminent } = leakStatus(process.series);
  if (imminent || !isQuiet(state)) notable.add(process);
  else notable.delete(process);
}

function judge(state: State, chunk: SampleChunk, findings: Finding[]): void {
  const { pid: pids, start: starts, rssAnon, swap } = chunk.procs;
  for (let row = 0; row < pids.length; row++) {
    const process = find(state, pids[row]!, starts[row]!);
    if (!process) continue;
    process.rssAnon = rssAnon?.[row] ?? process.rssAnon;
    process.swap = swap?.[row] ?? process.swap;
    if (process.rssAnon === null) continue;
    const bytes = process.rssAnon + (process.swap ?? 0);
    const limit = state.limits.limitFor(process.facts.cgroup, bytes);
    const transition = observe(process.series, { at: chunk.at, bytes, limit }, state.book);
    if (!transition) continue;
    weigh(state, process);
    tell(state, process, transition, findings);
  }
}

/** A keyframe names every living process: those that all its parts leave out are gone. */
function sweep(state: State, chunk: SampleChunk, gap: boolean, findings: Finding[]): void {
  if (!chunk.keyframe) return;
  if (chunk.part === 0) state.named = new Set();
  else if (gap) state.named = undefined;
  const { named, watched } = state;
  if (!named) return;
  for (const pid of chunk.procs.pid) named.add(pid);
  if (chunk.part < chunk.parts - 1) return;
  for (const process of [...watched.values()]) {
    if (!named.has(process.pid)) end(state, process, chunk.at, findings);
  }
  state.named = undefined;
  state.isComplete = true;
}

function end(state: State, process: WatchedProcess, at: number, findings: Finding[]): void {
  if (state.watched.get(process.pid) === process) state.watched.delete(process.pid);
  state.notable.delete(process);
  const transition = closeSeries(process.series, at, 'exit', state.book);
  if (transition) tell(state, process, transition, findings);
  else tellService(state, process.facts.service, findings);
}

/** What a transition gives to tell: of the process, and of its service when that changed with it. */
function tell(state: State, process: WatchedProcess, transition: Transition, findings: Finding[]): void {
  const { node, boot } = state;
  const { pid, start, facts } = process;
  const key = processKey(node, boot, pid, start);
  const { program, commandLine, user, service } = facts;
  const about = { key, pid, program, commandLine, user };
  if (isNews(transition)) {
    findings.push(toFinding({ kind: 'PROCESS_LEAK', subject: key, node, service, process: about }, transition));
  }
  tellService(state, service, findings);
}

/** That a process which never grew is known well enough to call it stable is no finding. */
function isNews({ from, to, imminent, imminentBefore }: Transition): boolean {
  return !(isQuiet(from) && isQuiet(to)) || imminent || imminentBefore;
}

function isQuiet(state: LeakState): boolean {
  return state === 'LEARNING' || state === 'STABLE';
}

function tellService({ node, book }: State, service: string, findings: Finding[]): void {
  const transition = takeServiceTransition(book, service);
  // A service that was never under suspicion has nothing to tell.
  if (!transition || isQuiet(transition.to)) return;
  const subject = `${node}/${service}`;
  findings.push(toFinding({ kind: 'SERVICE_LEAK', subject, node, service, process: null }, transition));
}
