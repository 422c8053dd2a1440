import type { TraceRequest, TraceSource } from '@tidemark/alloc-trace';
import { processKey, type NodeId, type TraceStatusRecord } from '@tidemark/contracts';
import type { Logger } from '@tidemark/service';
import type { Clock } from '../collect/clock.js';
import type { ControlDecision, TraceWish } from './control-book.js';
import { reasonOf, type OpenTrace, type ProcessLookup, type Symbolize, type TracedIdentity } from './trace-ports.js';
import type { TraceMetrics } from './trace-metrics.js';
import type { TraceOutbox } from './trace-outbox.js';
import { traceProcess, type TracedProcess } from './traced-process.js';

export interface ActiveTracesDeps {
  node: NodeId;
  boot: string;
  run: string;
  maxTraces: number;
  interval: number;
  openTimeoutMs: number;
  openTrace: OpenTrace;
  symbolize: Symbolize;
  processes: ProcessLookup;
  outbox: TraceOutbox;
  clock: Clock;
  logger: Logger;
  metrics: TraceMetrics;
}

/** The traces of this node: does what was decided, one thing after the other for each pid, and answers. */
export interface ActiveTraces {
  /** Never rejects. */
  carryOut(decision: ControlDecision): Promise<void>;
  /** Looks at the process with this key were not sent. */
  dropped(key: string, looks: number): void;
  readonly size: number;
  /** Stops all and answers STOPPED. */
  stopAll(): Promise<void>;
}

interface Running {
  traced: TracedProcess;
  wish: TraceWish;
}

interface State {
  deps: ActiveTracesDeps;
  running: Map<number, Running>;
  opening: number;
  stopping: boolean;
}

export function createActiveTraces(deps: ActiveTracesDeps): ActiveTraces {
  const state: State = { deps, running: new Map(), opening: 0, stopping: false };
  const turns = new Map<number, Promise<void>>();
  return {
    carryOut(decision) {
      const pid = decision.kind === 'stop' ? decision.pid : decision.wish.pid;
      const turn = (turns.get(pid) ?? Promise.resolve()).then(() => carryOut(state, decision));
      turns.set(pid, turn);
      return turn.finally(() => {
        if (turns.get(pid) === turn) turns.delete(pid);
      });
    },
    dropped(key, looks) {
      for (const { traced } of state.running.values()) if (traced.key === key) traced.dropped(looks);
    },
    get size() {
      return state.running.size;
    },
    async stopAll() {
      state.stopping = true;
      await Promise.all(turns.values());
      await Promise.all([...state.running.values()].map(({ traced }) => traced.stop()));
    },
  };
}

/** Whatever goes wrong with one process is its answer, and nobody else's trouble. */
async function carryOut(state: State, decision: ControlDecision): Promise<void> {
  const { deps } = state;
  try {
    if (decision.kind === 'stop') return await stop(state, decision.id, decision.pid);
    if (decision.kind === 'start') return await start(state, decision.wish);
    const { wish, state: told, code, reason } = decision;
    answer(state, wish, { state: told, reason, code });
  } catch (error) {
    const { code, reason } = reasonOf(error);
    deps.logger.debug({ kind: decision.kind, reason }, 'a control record could not be carried out');
    if (decision.kind === 'stop') return;
    const { wish } = decision;
    answer(state, wish, { state: wish.resumedFrom === null ? 'REFUSED' : 'STOPPED', reason, code });
  }
}

async function start(state: State, wish: TraceWish): Promise<void> {
  const { deps, running } = state;
  const identity = deps.processes.find(wish.pid);
  const isOther = (wish.start !== null && identity?.start !== wish.start) || (wish.boot ?? deps.boot) !== deps.boot;
  if (wish.resumedFrom !== null && (!identity || isOther)) {
    return answer(state, wish, { state: 'ENDED', reason: 'The process ended while nobody watched.', code: null });
  }
  if (!identity) return refuse(state, wish, 'TRACE_GONE', `No process has the pid ${wish.pid}.`);
  if (isOther) {
    return refuse(state, wish, 'TRACE_GONE', `The process is gone: pid ${wish.pid} is ${identity.program} now.`);
  }
  const known = running.get(wish.pid);
  if (known) {
    if (sameWish(known.wish, wish)) {
      known.wish = { ...known.wish, id: wish.id };
      return answer(state, wish, { state: 'ACTIVE', traced: known.traced });
    }
    running.delete(wish.pid);
    await known.traced.stop();
  }
  if (running.size + state.opening >= deps.maxTraces) {
    const reason = `This node traces ${running.size} processes already, which is its limit: stop one of them first.`;
    return refuse(state, wish, 'TRACE_BUSY', reason);
  }
  state.opening++;
  try {
    const source = await open(deps, wish);
    if (state.stopping) return void (await source.stop());
    begin(state, wish, identity, source);
  } finally {
    state.opening--;
  }
}

function begin(state: State, wish: TraceWish, identity: TracedIdentity, source: TraceSource): void {
  const { deps, running } = state;
  const startedAt = wish.resumedFrom ?? deps.clock.wall();
  const traced = traceProcess({ ...deps, trace: wish.id, identity, source, startedAt });
  const entry = { traced, wish };
  running.set(wish.pid, entry);
  // A trace that goes on needs no second answer, which would also move the time that the first one tells.
  if (wish.resumedFrom === null) answer(state, wish, { state: 'ACTIVE', traced, means: source.means });
  deps.logger.info({ process: traced.key, means: source.means, mode: wish.mode }, 'tracing allocations');
  void traced.over.then((end) => {
    if (running.get(wish.pid) !== entry) return;
    running.delete(wish.pid);
    answer(state, entry.wish, { ...end, traced, means: source.means });
  });
}

async function stop(state: State, id: string, pid: number): Promise<void> {
  const { deps, running } = state;
  const known = running.get(pid);
  if (known) {
    running.delete(pid);
    const end = await known.traced.stop();
    return answer(state, { ...known.wish, id }, { ...end, traced: known.traced });
  }
  // Nobody traces it: then it is as it was asked to be.
  const identity = deps.processes.find(pid);
  const wish: TraceWish = {
    id,
    pid,
    start: identity?.start ?? null,
    boot: null,
    mode: 'SAMPLED',
    sampleInterval: null,
    maxFrames: null,
    resumedFrom: null,
  };
  answer(state, wish, { state: 'STOPPED', reason: 'It was not traced.', code: null });
}

/** Opening may hang on a process that does not move; what opens too late is closed again. */
async function open({ openTrace, openTimeoutMs, logger }: ActiveTracesDeps, wish: TraceWish): Promise<TraceSource> {
  const { pid, mode, sampleInterval, maxFrames } = wish;
  const request: TraceRequest = {
    pid,
    mode,
    ...(sampleInterval === null ? {} : { sampleInterval }),
    ...(maxFrames === null ? {} : { maxFrames }),
  };
  const opening = openTrace(request);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => (timer = setTimeout(resolve, openTimeoutMs, undefined)));
  const source = await Promise.race([opening, late]).finally(() => clearTimeout(timer));
  if (source) return source;
  opening
    .then((tooLate) => tooLate.stop())
    .catch((error: unknown) => logger.warn({ pid, reason: reasonOf(error).reason }, 'a trace that came too late'));
  throw Object.assign(new Error(`The process did not answer within ${openTimeoutMs / 1000} s.`), {
    code: 'TRACE_TIMEOUT',
  });
}

function refuse(state: State, wish: TraceWish, code: string, reason: string): void {
  answer(state, wish, { state: 'REFUSED', reason, code });
}

interface Answer {
  state: TraceStatusRecord['state'];
  reason?: string | null;
  code?: string | null;
  traced?: TracedProcess;
  means?: TraceStatusRecord['means'];
}

function answer({ deps }: State, wish: TraceWish, answer: Answer): void {
  const { node, boot, clock, outbox, metrics, logger, processes } = deps;
  const start = wish.start ?? processes.find(wish.pid)?.start;
  const key = answer.traced?.key ?? (start === undefined ? null : processKey(node, wish.boot ?? boot, wish.pid, start));
  const record: TraceStatusRecord = {
    v: 1,
    type: 'trace-status',
    id: wish.id,
    node,
    pid: wish.pid,
    key,
    state: answer.state,
    means: answer.means ?? answer.traced?.means ?? null,
    mode: wish.mode,
    sampleInterval: wish.sampleInterval,
    maxFrames: wish.maxFrames,
    reason: answer.reason ?? null,
    code: answer.code ?? null,
    at: clock.wall(),
  };
  outbox.answer(record);
  metrics.answers.inc({ state: record.state });
  if (record.code !== null) logger.warn({ pid: wish.pid, state: record.state, reason: record.reason }, 'not traced');
}

function sameWish(a: TraceWish, b: TraceWish): boolean {
  return a.mode === b.mode && a.sampleInterval === b.sampleInterval && a.maxFrames === b.maxFrames;
}
