import { randomUUID } from 'node:crypto';
import { ContractError, decodeControlRecord, Topic, type NodeId } from '@tidemark/contracts';
import type { EventLog, LogRecord, PartitionContext, PartitionHandler } from '@tidemark/event-log';
import type { Logger, Registry } from '@tidemark/service';
import { systemClock, type Clock } from '../collect/clock.js';
import type { Stage } from '../stage.js';
import { createActiveTraces, type ActiveTraces } from './active-traces.js';
import { createControlBook, type ControlBook } from './control-book.js';
import { createProcessLookup } from './process-lookup.js';
import { createTraceMetrics, type TraceMetrics } from './trace-metrics.js';
import { createTraceOutbox, type TraceOutbox } from './trace-outbox.js';
import type { OpenTrace, ProcessLookup, Symbolize } from './trace-ports.js';

export interface TraceDeps {
  log: EventLog;
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

/** How long the control topic may be silent before its end counts as reached. */
const QUIET_MS = 1_000;
const SWEEP_MS = 60_000;

interface Desk {
  book: ControlBook;
  traces: ActiveTraces;
  clock: Clock;
  logger: Logger;
  metrics: TraceMetrics;
  /** Offset behind the last record that each partition had at the start, of those not read that far. */
  behind: Map<number, number>;
  /** What was asked before this run is only acted upon when all answers to it are known, too. */
  open: boolean;
  heardAt: number;
}

/**
 * Traces the processes of this node as the control topic asks: `mem.control.v1` → `mem.allocations.v1` and answers.
 *
 * The control topic is read from its beginning at every start, so that a trace that was active when the collector was
 * killed goes on, and one that was answered is not begun again.
 */
export function startTrace(deps: TraceDeps): TraceStage {
  const { log, node, logger, clock = systemClock } = deps;
  const stop = new AbortController();
  let condition: 'starting' | 'running' | 'stopped' | 'failed' = 'starting';
  const { traces, outbox, metrics } = createParts(deps, clock);
  const desk: Desk = {
    book: createControlBook(node),
    traces,
    clock,
    logger,
    metrics,
    behind: new Map(),
    open: false,
    heardAt: clock.monotonic(),
  };

  const subscribed = subscribe(log, desk);
  const ready = subscribed.then(async (subscription) => {
    subscription.failed.catch((error: Error) => {
      condition = 'failed';
      logger.error({ error: error.message }, 'trace requests are no longer heard');
    });
    await subscription.ready;
    await openDesk(desk, stop.signal);
    condition = 'running';
    void sweepNowAndThen(deps, clock, stop.signal);
  });
  ready.catch(() => {});

  let draining: Promise<void> | undefined;
  async function drain(deadlineMs: number): Promise<void> {
    const until = clock.monotonic() + deadlineMs;
    stop.abort();
    await (await subscribed).drain(deadlineMs / 4);
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
  const { log, registry, logger, openTrace, symbolize, node, boot } = deps;
  const metrics = createTraceMetrics(registry, () => ({ active: traces.size, waitingBytes: outbox.waitingBytes }));
  const outbox = createTraceOutbox({
    log,
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
  return { traces, outbox, metrics };
}

async function subscribe(log: EventLog, desk: Desk) {
  for (const { partition, end } of await log.lag(Topic.Control, 'trace')) {
    if (end > 0) desk.behind.set(partition, end);
  }
  return log.subscribe({
    topic: Topic.Control,
    group: 'trace',
    // Every collector reads all of it: the topic is compacted, and small.
    ephemeral: true,
    from: 'earliest',
    assign: (context) => createControlReader(desk, context),
  });
}

function createControlReader(desk: Desk, context: PartitionContext): PartitionHandler {
  return {
    async handle(records) {
      for (const record of records) {
        noteRecord(desk, record);
        if (desk.open) act(desk);
        context.acknowledge(record.offset);
      }
      desk.heardAt = desk.clock.monotonic();
      const end = desk.behind.get(context.partition);
      if (end !== undefined && (records.at(-1)?.offset ?? 0) >= end - 1) desk.behind.delete(context.partition);
    },
  };
}

/** A damaged record concerns whoever wrote it; nobody else waits for it. */
function noteRecord({ book, metrics, logger }: Desk, { value, headers, offset, partition }: LogRecord): void {
  if (value === null) return;
  try {
    book.note(decodeControlRecord(value, headers));
  } catch (error) {
    if (!(error instanceof ContractError)) throw error;
    metrics.rejected.inc();
    logger.warn({ offset, partition, error: error.message }, 'control record is damaged and was passed over');
  }
}

/** Reads up to where the topic ended at the start: retention may have taken its last records, so silence counts too. */
async function openDesk(desk: Desk, signal: AbortSignal): Promise<void> {
  const { clock } = desk;
  while (desk.behind.size > 0 && clock.monotonic() - desk.heardAt < QUIET_MS && !signal.aborted) {
    await clock.sleep(20, signal);
  }
  desk.open = true;
  act(desk);
}

/** Not waited for: a process that takes long to open must not hold up the stopping of another. */
function act({ book, traces, clock }: Desk): void {
  for (const decision of book.decide(clock.wall())) void traces.carryOut(decision);
}

function describe(traces: ActiveTraces, outbox: TraceOutbox): string {
  const waiting = outbox.failing === null ? '' : `; event log away, ${outbox.waitingBytes} bytes wait`;
  return `${traces.size} processes traced${waiting}`;
}
