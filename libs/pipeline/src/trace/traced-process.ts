import type { TraceObservation, TraceSource } from '@tidemark/alloc-trace';
import {
  cutAllocationChunk,
  encodeAllocationChunk,
  processKey,
  Topic,
  TRACE_KEYFRAME_MS,
  type AllocationChunk,
  type ChunkState,
  type NodeId,
  type ProcessKey,
  type TraceMeans,
} from '@tidemark/contracts';
import type { Logger } from '@tidemark/service';
import type { Clock } from '../collect/clock.js';
import { createChunkDiffer, type ChunkDiffer } from './chunk-differ.js';
import { createStackBook, type StackBook } from './stack-book.js';
import { reasonOf, type ProcessLookup, type Symbolize, type TracedIdentity } from './trace-ports.js';
import type { TraceMetrics } from './trace-metrics.js';
import type { TraceOutbox } from './trace-outbox.js';

export interface TracedProcessDeps {
  node: NodeId;
  boot: string;
  /** Of this run of the collector. */
  run: string;
  /** Id of the request that began the trace. */
  trace: string;
  identity: TracedIdentity;
  source: TraceSource;
  startedAt: number;
  /** Milliseconds between two looks. */
  interval: number;
  symbolize: Symbolize;
  processes: ProcessLookup;
  outbox: TraceOutbox;
  clock: Clock;
  logger: Logger;
  metrics: TraceMetrics;
}

/** Why a trace is over. */
export interface TraceEnd {
  state: 'STOPPED' | 'ENDED';
  reason: string | null;
  code: string | null;
}

/** One process being traced: looked at, told of, and at the end left as if it had never been traced. */
export interface TracedProcess {
  readonly key: ProcessKey;
  readonly means: TraceMeans;
  readonly trace: string;
  /** Resolves when the last chunk is on its way and the process is left alone; never rejects. */
  readonly over: Promise<TraceEnd>;
  stop(): Promise<TraceEnd>;
  /** Looks that were not sent: the next one is a keyframe and says so. */
  dropped(looks: number): void;
}

/** Looks take at most this share of the time, and there is one at least this often. */
const SHARE = 0.1;
const LONGEST_PAUSE_MS = 10_000;
/** A look that found nothing new is sent this often all the same: it says that time went by. */
const SIGN_OF_LIFE_MS = 5_000;
/** Looks that may fail one after the other. */
const TRIES = 5;
/** How long the last chunk waits for the names of stacks. */
const LAST_NAMES_MS = 5_000;

interface State {
  deps: TracedProcessDeps;
  key: ProcessKey;
  differ: ChunkDiffer;
  stacks: StackBook;
  seq: number;
  keyframeAt: number;
  sentAt: number;
  needsKeyframe: boolean;
  droppedLooks: number;
  last: TraceObservation | undefined;
}

export function traceProcess(deps: TracedProcessDeps): TracedProcess {
  const { source, symbolize, logger, identity } = deps;
  const stop = new AbortController();
  const state: State = {
    deps,
    key: processKey(deps.node, deps.boot, identity.pid, identity.start),
    differ: createChunkDiffer(),
    stacks: createStackBook({ rawStackOf: (site) => source.stackOf(site), symbolize, logger }),
    seq: 0,
    keyframeAt: -Infinity,
    sentAt: -Infinity,
    needsKeyframe: true,
    droppedLooks: 0,
    last: undefined,
  };
  const over = watch(state, stop.signal);
  return {
    key: state.key,
    means: source.means,
    trace: deps.trace,
    over,
    stop() {
      stop.abort();
      return over;
    },
    dropped(looks) {
      state.droppedLooks += looks;
      state.needsKeyframe = true;
    },
  };
}

async function watch(state: State, signal: AbortSignal): Promise<TraceEnd> {
  const { source, clock, interval, logger, metrics } = state.deps;
  let failed = 0;
  let end: TraceEnd = { state: 'STOPPED', reason: null, code: null };
  while (!signal.aborted) {
    const began = clock.monotonic();
    try {
      state.last = await source.observe();
      failed = 0;
      if (state.last.ended) {
        end = { state: 'ENDED', reason: 'The process ended.', code: null };
        break;
      }
      await tell(state, state.last, 'ACTIVE');
    } catch (error) {
      const { code, reason } = reasonOf(error);
      metrics.failures.inc();
      if (code === 'TRACE_GONE') {
        end = { state: 'ENDED', reason: 'The process ended.', code: null };
        break;
      }
      logger.warn({ process: state.key, reason }, 'a traced process could not be looked at');
      if (++failed >= TRIES) {
        end = { state: 'STOPPED', reason, code };
        break;
      }
    }
    const took = clock.monotonic() - began;
    metrics.seconds.observe(took / 1000);
    const pause = Math.min(Math.max(interval, took / SHARE), Math.max(interval, LONGEST_PAUSE_MS));
    await clock.sleep(Math.max(0, pause - took), signal);
  }
  await finish(state, end);
  return end;
}

/** The last look and its names, then the process is let go. */
async function finish(state: State, end: TraceEnd): Promise<void> {
  const { source, logger } = state.deps;
  try {
    if (end.state === 'STOPPED' && end.code === null) state.last = await source.observe();
  } catch (error) {
    logger.warn({ process: state.key, reason: reasonOf(error).reason }, 'the last look at a traced process failed');
  }
  const { last } = state;
  if (last) {
    for (const { site } of last.sites) state.stacks.stackOf(site);
    await state.stacks.settled(LAST_NAMES_MS);
    state.needsKeyframe = true;
    await tell(state, last, end.state);
  }
  try {
    await source.stop();
  } catch (error) {
    logger.warn({ process: state.key, reason: reasonOf(error).reason }, 'a process could not be let go of tracing');
  }
}

async function tell(state: State, look: TraceObservation, chunkState: ChunkState): Promise<void> {
  const { deps, key, differ, stacks } = state;
  const { clock, outbox, metrics, logger } = deps;
  const now = clock.monotonic();
  const keyframe = state.needsKeyframe || now - state.keyframeAt >= TRACE_KEYFRAME_MS;
  const lists = differ.next(look, (site) => stacks.stackOf(site), keyframe);
  const isNew = Object.values(lists).some((list: readonly unknown[]) => list.length > 0);
  if (!keyframe && !isNew && now - state.sentAt < SIGN_OF_LIFE_MS) return;
  // From here on something may be dropped, and then the next look must be a keyframe.
  state.needsKeyframe = false;
  try {
    const parts = cutAllocationChunk({ ...headOf(state, look, chunkState), ...lists, keyframe });
    const records = await encodeParts(parts);
    state.seq += parts.length;
    state.sentAt = now;
    if (keyframe) state.keyframeAt = now;
    outbox.look(key, records);
    metrics.chunks.inc(records.length);
    metrics.bytes.inc(records.reduce((sum, { value }) => sum + value.byteLength, 0));
  } catch (error) {
    // A figure that cannot be written must not end the trace; the next look tells everything anew.
    state.needsKeyframe = true;
    metrics.failures.inc();
    logger.error({ process: key, reason: reasonOf(error).reason }, 'a look at a traced process could not be told');
  }
}

/** A large look has many parts: others get their turn between two of them. */
async function encodeParts(parts: readonly AllocationChunk[]) {
  const records = [];
  for (const part of parts) {
    if (records.length > 0) await new Promise((resolve) => setImmediate(resolve));
    records.push({ topic: Topic.Allocations, key: part.key, ...encodeAllocationChunk(part), timestamp: part.at });
  }
  return records;
}

function headOf(
  state: State,
  look: TraceObservation,
  chunkState: ChunkState,
): Omit<AllocationChunk, 'sites' | 'stacks' | 'survivors' | 'freed'> {
  const { deps, key, seq, droppedLooks } = state;
  const { identity, node, boot, run, trace, source, startedAt, processes } = deps;
  const warnings =
    droppedLooks === 0
      ? look.warnings
      : [...look.warnings, `The event log was away: ${droppedLooks} looks were left out, their time series has a gap.`];
  return {
    v: 1,
    node,
    boot,
    pid: identity.pid,
    start: identity.start,
    key,
    program: identity.program,
    commandLine: identity.commandLine,
    run,
    seq,
    part: 0,
    parts: 1,
    keyframe: false,
    trace,
    at: look.at,
    state: chunkState,
    means: source.means,
    mode: look.mode,
    sampleInterval: look.sampleInterval,
    startedAt,
    totals: look.totals,
    birthsUntil: look.birthsUntil,
    anonymousBytes: look.ended ? null : processes.anonymousBytes(identity.pid),
    survivorsTotal: look.survivorsTotal,
    warnings,
  };
}
