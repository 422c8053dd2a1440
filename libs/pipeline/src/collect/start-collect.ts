import { HEARTBEAT_MS } from '@tidemark/contracts';
import type { EventLog } from '@tidemark/event-log';
import type { Logger, Registry } from '@tidemark/service';
import type { Stage } from '../stage.js';
import { systemClock, type Clock } from './clock.js';
import { Collector } from './collector.js';
import { completeConfig, type CollectConfigInput } from './config.js';
import { createHeartbeat, type Heartbeat } from './heartbeat.js';
import { createSchedule, type Schedule } from './schedule.js';
import { registerMetrics, type CollectStats } from './self-metrics.js';
import { sourcePeriods, type SourceName } from './system-sources.js';

export interface CollectDeps {
  log: EventLog;
  config: CollectConfigInput;
  logger: Logger;
  /** Gets the metrics `tidemark_collect_…`. */
  registry?: Registry;
  /** The system's when left out. */
  clock?: Clock;
}

export interface CollectStage extends Stage {
  /** What it tells of itself; undefined when it could not start. */
  stats(): CollectStats | undefined;
  /** What this host cannot show, each in one line; empty before `ready`. */
  limitations(): string[];
}

/** Of the deadline of a drain, what is kept for the last word of the node. */
const LAST_WORD_MS = 500;

/** Why there is no round yet, or no good one any more; null when the last one was good. */
interface Condition {
  failure: string | null;
}

/**
 * Watches the processes of this host: reads, merges and sends one round after the other. `ready` resolves after the
 * first round; it rejects with CollectError or ProcfsError when a setting is wrong or /proc is not one.
 */
export function startCollect(deps: CollectDeps): CollectStage {
  const { log, logger, registry, clock = systemClock } = deps;
  const stop = new AbortController();
  const heartbeat = createHeartbeat(log);
  const condition: Condition = { failure: 'the first round has not ended' };
  let collector: Collector | undefined;
  let loop = Promise.resolve();
  let unregister: (() => void) | undefined;

  const ready = new Promise<void>((resolve, reject) => {
    try {
      const config = completeConfig(deps.config);
      const started = (collector = new Collector({ log, config, logger, clock }));
      if (registry) unregister = registerMetrics(registry, () => started.stats());
      for (const limitation of started.host.limitations)
        logger.warn({ limitation }, 'this host cannot show everything');
      const schedule = createSchedule(sourcePeriods(config, HEARTBEAT_MS), clock.monotonic());
      loop = runRounds(
        { collector: started, schedule, heartbeat, clock, logger, condition, signal: stop.signal },
        resolve,
      );
    } catch (error) {
      condition.failure = (error as Error).message;
      reject(error as Error);
    }
  });
  // Whoever starts the stage hears of it through `ready`; nobody asking must not end the process.
  ready.catch(() => {});

  let draining: Promise<void> | undefined;
  async function drain(deadlineMs: number): Promise<void> {
    const until = clock.monotonic() + deadlineMs;
    const left = (): number => Math.max(0, until - clock.monotonic());
    stop.abort();
    await loop;
    unregister?.();
    if (collector) {
      await collector.close(Math.max(0, left() - LAST_WORD_MS));
      await heartbeat.leave(collector.record('LEAVING'), Math.min(left(), LAST_WORD_MS));
    }
    condition.failure = 'stopped';
  }

  return {
    ready,
    drain: (deadlineMs) => (draining ??= drain(deadlineMs)),
    health: () => ({
      live: true,
      ready: condition.failure === null,
      detail: condition.failure ?? describe(collector),
    }),
    stats: () => collector?.stats(),
    limitations: () => collector?.limitations() ?? [],
  };
}

interface Loop {
  collector: Collector;
  schedule: Schedule<SourceName>;
  heartbeat: Heartbeat;
  clock: Clock;
  logger: Logger;
  condition: Condition;
  signal: AbortSignal;
}

/** One round after the other until the signal; never rejects. `first` is called after each good round. */
async function runRounds(loop: Loop, first: () => void): Promise<void> {
  const { collector, schedule, heartbeat, clock, logger, condition, signal } = loop;
  let failing = false;
  while (!signal.aborted) {
    await clock.sleep(Math.max(0, schedule.next() - clock.monotonic()), signal);
    const turn = schedule.take(clock.monotonic());
    if (signal.aborted || turn.due.size === 0) continue;
    try {
      await collector.round(turn);
      if (failing) logger.info({}, 'collecting again');
      failing = false;
      condition.failure = null;
      first();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (!failing) logger.error({ reason }, 'a round of the collector failed; the next one tries again');
      failing = true;
      condition.failure = reason;
    }
    if (turn.due.has('heartbeat')) heartbeat.beat(collector.record('UP'));
  }
}

function describe(collector: Collector | undefined): string {
  if (!collector) return 'not started';
  const { processes, rounds, spooledBytes } = collector.stats();
  const waiting = collector.logFailure === null ? '' : `; event log away, ${spooledBytes} bytes wait`;
  return `${processes} processes, ${rounds} rounds${waiting}`;
}
