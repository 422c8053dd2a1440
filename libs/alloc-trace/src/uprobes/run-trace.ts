import { setTimeout as sleep } from 'node:timers/promises';
import { TraceError } from '../errors.js';
import type { TraceObservation, TraceSource } from '../trace-source.js';
import type { BlockLedger } from './block-ledger.js';
import { observeLedger } from './observation.js';
import { requireSampled } from './require-sampled.js';
import type { ProbeSession } from './probe-session.js';
import type { SiteBook } from './site-book.js';
import type { TargetProcess } from './target-process.js';
import { traceNow } from './trace-clock.js';
import { warningsOf } from './trace-warnings.js';
import type { WindowControl } from './window-control.js';

export interface RunningTrace {
  target: TargetProcess;
  session: ProbeSession;
  ledger: BlockLedger;
  sites: SiteBook;
  control: WindowControl;
  drain(): void;
  remap(): Promise<void>;
  pollMs: number;
  maxBlocks: number;
  survivorsPerSite: number;
  maxSurvivors: number;
}

interface State {
  beganAt: number;
  mode: TraceObservation['mode'];
  lost: number;
  ended: 'gone' | 'replaced' | null;
  endedAt: number;
  stopped: boolean;
  failure: unknown;
  lookedAt: number;
  remappedAt: number;
}

/** Nanoseconds between two looks at whether the process is still there, and between two readings of its mappings. */
const LOOK_EVERY = 2e8;
const REMAP_EVERY = 1e9;

/** Looks again and again until the process ends or `stop` is called. */
export function runTrace(trace: RunningTrace): TraceSource {
  const state: State = {
    beganAt: traceNow(),
    mode: 'SAMPLED',
    lost: 0,
    ended: null,
    endedAt: 0,
    stopped: false,
    failure: null,
    lookedAt: 0,
    remappedAt: 0,
  };
  const woken = new AbortController();
  const alone = oneAtATime();
  const look = (): Promise<void> => alone(() => (running(state) ? turn(trace, state) : Promise.resolve()));
  const loop = async (): Promise<void> => {
    while (running(state)) {
      await look().catch((cause) => fail(trace, state, cause));
      if (running(state)) await nap(trace.control.fresh ? trace.pollMs / 4 : trace.pollMs, woken.signal);
    }
  };
  const looping = loop();
  return {
    means: 'UPROBES',
    pid: trace.target.pid,
    observe: async () => {
      await look().catch((cause) => fail(trace, state, cause));
      if (state.failure !== null) throw state.failure;
      return observation(trace, state);
    },
    stackOf: (site) => trace.sites.sites[site]?.stack,
    change: (mode) => {
      requireSampled(mode);
      return alone(async () => {
        state.mode = mode;
        if (mode === 'DORMANT') await trace.control.pause();
        else trace.control.resume();
      });
    },
    stop: async () => {
      state.stopped = true;
      woken.abort();
      await looping;
      await alone(() => settle(trace, state));
    },
  };
}

/** Does not hold the program open. */
async function nap(milliseconds: number, signal: AbortSignal): Promise<void> {
  await sleep(milliseconds, undefined, { ref: false, signal }).catch(() => undefined);
}

function running({ ended, stopped, failure }: State): boolean {
  return ended === null && !stopped && failure === null;
}

/** Runs one after the other; a failed one does not hold up the next. */
function oneAtATime(): (work: () => Promise<void>) => Promise<void> {
  let last: Promise<void> = Promise.resolve();
  return (work) => {
    const next = last.then(work);
    last = next.catch(() => undefined);
    return next;
  };
}

async function fail(trace: RunningTrace, state: State, cause: unknown): Promise<void> {
  state.failure ??=
    cause instanceof TraceError
      ? cause
      : new TraceError('TRACE_IO', `uprobes: tracing process ${trace.target.pid} failed: ${String(cause)}`, { cause });
  await trace.session.close().catch(() => undefined);
}

async function turn(trace: RunningTrace, state: State): Promise<void> {
  const now = traceNow();
  if (now - state.lookedAt >= LOOK_EVERY) {
    state.lookedAt = now;
    const found = await trace.target.state();
    if (found !== 'same') return end(trace, state, found);
  }
  trace.drain();
  if (trace.sites.strange && now - state.remappedAt >= REMAP_EVERY) {
    state.remappedAt = now;
    await trace.remap().catch((cause) => {
      if (!(cause instanceof TraceError && cause.code === 'TRACE_GONE')) throw cause;
    });
  }
  await trace.control.steer();
  state.lost = trace.session.pipes.lost();
}

/** The last state stands as it was when the trace was stopped. */
async function settle(trace: RunningTrace, state: State): Promise<void> {
  try {
    if (state.endedAt > 0 || state.failure !== null) return;
    trace.drain();
    await trace.control.pause();
    state.endedAt = traceNow();
  } finally {
    await trace.session.close();
  }
}

async function end(trace: RunningTrace, state: State, how: 'gone' | 'replaced'): Promise<void> {
  trace.drain();
  state.lost = trace.session.pipes.lost();
  await trace.control.pause();
  state.endedAt = traceNow();
  await trace.session.close();
  state.ended = how;
}

function observation(trace: RunningTrace, state: State): TraceObservation {
  const { ledger, sites, control } = trace;
  const now = state.endedAt > 0 ? state.endedAt : traceNow();
  const epoch = Date.now() - traceNow() / 1e6;
  const report = control.report;
  const share = Math.min(1, report.watched / Math.max(1, now - state.beganAt));
  const observed = observeLedger({
    ledger,
    sites: sites.sites,
    now,
    epochOf: (time) => epoch + time / 1e6,
    watchedShare: share,
    lost: state.lost,
    ended: state.ended !== null,
    survivorsPerSite: trace.survivorsPerSite,
    maxSurvivors: trace.maxSurvivors,
  });
  return {
    at: epoch + now / 1e6,
    ended: state.ended !== null,
    mode: state.mode,
    sampleInterval: null,
    birthsUntil: epoch + now / 1e6,
    ...observed,
    warnings: warningsOf(trace, {
      ended: state.ended,
      lost: state.lost,
      dormant: state.mode === 'DORMANT',
      watched: share,
      covered: Math.min(1, report.covered / Math.max(1, now - state.beganAt)),
      elapsed: (now - state.beganAt) / 1e9,
    }),
  };
}
