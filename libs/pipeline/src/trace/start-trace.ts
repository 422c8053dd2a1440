import { randomUUID } from 'node:crypto';
import type { ControlChannel, NodeId } from '@tidemark/contracts';
import type { EventLog } from '@tidemark/event-log';
import type { Logger, Registry } from '@tidemark/service';
import { systemClock, type Clock } from '../collect/clock.js';
import type { Stage } from '../stage.js';
import { createActiveTraces, type ActiveTraces } from './active-traces.js';
import { createControlBook } from './control-book.js';
import { createProcessLookup } from './process-lookup.js';
import { createTraceMetrics } from './trace-metrics.js';
import { createTraceOutbox, type TraceOutbox } from './trace-outbox.js';
import type { OpenTrace, ProcessLookup, Symbolize } from './trace-ports.js';

export interface TraceDeps {
  /** Takes what the traced processes tell. */
  log: Pick<EventLog, 'append'>;
  /** Brings what is asked of this node, and takes the answers. */
  control: ControlChannel;
  node: NodeId;
  /** Kernel boot id. */
  boot: string;
  openTrace: OpenTrace;
  symbolize: Symbolize;
  logger: Logger;
  registry: Registry;
  /** Those of `/proc` when left out. */
  processes?: ProcessLookup;
  clock?: Clock;
  /** Processes traced at once, at most. Default 16. */
  maxTraces?: number;
  /** Milliseconds between two looks at a process. Default 1,000. */
  interval?: number;
  /** How long a process may take until it can be traced, milliseconds. Default 30,000. */
  openTimeoutMs?: number;
  /** Removes what processes that were killed left behind, and names it; called now and then. */
  sweep?: () => readonly string[];
  /** Bytes of one trace that may wait while the log is away. Default 4 MiB. */
  bytesPerTrace?: number;
}

export interface TraceStage extends Stage {
  /** Processes traced now. */
  readonly active: number;
}

const SWEEP_MS = 60_000;

/**
 * Traces the processes of this node as the control topic asks: requests → `mem.allocations.v1` and answers.
 *
 * The control topic is heard from its beginning at every start, so that a trace that was active when the collector was
 * killed goes on, and one that was answered is not begun again.
 */
export function startTrace(deps: TraceDeps): TraceStage {
  const { node, control, logger, clock = systemClock } = deps;
  const stop = new AbortController();
  let condition: 'starting' | 'running' | 'stopped' | 'failed' = 'starting';
  const { traces, outbox } = createParts(deps, clock);
  const book = createControlBook(node);
  // What was asked before this run is only acted upon when all answers to it are known, too.
  let isCaughtUp = false;
  // Not waited for: a process that takes long to open must not hold up the stopping of another.
  const act = () => {
    for (const decision of book.decide(clock.wall())) void traces.carryOut(decision);
  };

  const listening = control.listen((record) => {
    book.note(record);
    if (isCaughtUp) act();
  });
  const ready = listening.then(async (listener) => {
    listener.failed.catch((error: Error) => {
      condition = 'failed';
      logger.error({ error: error.message }, 'trace requests are no longer heard');
    });
    await listener.caughtUp;
    if (stop.signal.aborted) return;
    isCaughtUp = true;
    act();
    condition = 'running';
    void sweepNowAndThen(deps, clock, stop.signal);
  });
  ready.catch(() => (condition = 'failed'));

  let draining: Promise<void> | undefined;
  async function drain(deadlineMs: number): Promise<void> {
    const until = clock.monotonic() + deadlineMs;
    stop.abort();
    const listener = await listening.catch(() => undefined);
    await listener?.drain(deadlineMs / 4);
    const late = new AbortController();
    await Promise.race([traces.stopAll(), clock.sleep(deadlineMs / 2, late.signal)]);
    late.abort();
    await outbox.drain(Math.max(0, until - clock.monotonic()));
    condition = 'stopped';
  }

  return {
    ready,
    get active() {
      return traces.size;
    },
    health: () => ({
      live: condition !== 'failed',
      ready: condition === 'running',
      detail: condition === 'running' ? describe(traces, outbox) : condition,
    }),
    drain: (deadlineMs) => (draining ??= drain(deadlineMs)),
  };
}

async function sweepNowAndThen({ sweep, logger }: TraceDeps, clock: Clock, stopped: AbortSignal): Promise<void> {
  while (sweep && !stopped.aborted) {
    const removed = sweep();
    if (removed.length > 0) logger.info({ removed: removed.length }, 'ring files of killed processes were removed');
    await clock.sleep(SWEEP_MS, stopped);
  }
}

function createParts(deps: TraceDeps, clock: Clock) {
  const { log, control, registry, logger, openTrace, symbolize, node, boot } = deps;
  const metrics = createTraceMetrics(registry, () => ({ active: traces.size, waitingBytes: outbox.waitingBytes }));
  const outbox = createTraceOutbox({
    log,
    control,
    clock,
    logger,
    bytesPerTrace: deps.bytesPerTrace ?? 4 * 1024 * 1024,
    onDrop(key, looks) {
      metrics.dropped.inc(looks);
      traces.dropped(key, looks);
    },
  });
  const traces: ActiveTraces = createActiveTraces({
    node,
    boot,
    run: randomUUID(),
    maxTraces: deps.maxTraces ?? 16,
    interval: deps.interval ?? 1_000,
    openTimeoutMs: deps.openTimeoutMs ?? 30_000,
    openTrace,
    symbolize,
    processes: deps.processes ?? createProcessLookup(),
    outbox,
    clock,
    logger,
    metrics,
  });
  return { traces, outbox };
}

function describe(traces: ActiveTraces, outbox: TraceOutbox): string {
  const waiting = outbox.failing === null ? '' : `; event log away, ${outbox.waitingBytes} bytes wait`;
  return `${traces.size} processes traced${waiting}`;
}
