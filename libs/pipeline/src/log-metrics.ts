import type { EventLog, EventLogMetrics, PartitionLag } from '@tidemark/event-log';
import { Counter, Gauge, type Logger, type Registry } from '@tidemark/service';

/** A group whose lag is told. */
export interface WatchedGroup {
  topic: string;
  group: string;
}

export interface LogMetricsOptions {
  logger?: Logger;
  /** Between two questions for the same lag, at least; milliseconds. Default 5,000. */
  everyMs?: number;
  /** How long a scrape waits for the log, at most; milliseconds. Default 500. */
  waitMs?: number;
}

const EVERY_MS = 5_000;
const WAIT_MS = 500;
const LAG = 'tidemark_log_lag_records';

const FIGURES: Readonly<
  Record<keyof EventLogMetrics, readonly [kind: 'counter' | 'gauge', name: string, help: string]>
> = {
  appendedRecords: ['counter', 'appended_records_total', 'Records that the event log took of this process'],
  appendedBytes: ['counter', 'appended_bytes_total', 'Bytes that the event log took of this process'],
  deadLettered: ['counter', 'dead_lettered_total', 'Records that went to a dead-letter topic'],
  droppedRecords: ['counter', 'dropped_records_total', 'Records that went before a group had committed them'],
  retries: ['counter', 'retries_total', 'Failed calls of handlers, commits and dead letters'],
  rebalances: ['counter', 'rebalances_total', 'Partitions given to this process or taken from it'],
  inFlightBytes: ['gauge', 'in_flight_bytes', 'Bytes delivered and not acknowledged'],
  retainedBytes: ['gauge', 'retained_bytes', 'Bytes that the embedded log holds in memory'],
  journalBytes: ['gauge', 'journal_bytes', 'Bytes that the embedded log holds on disk'],
};

/**
 * Registers `tidemark_log_…`: what this process appended, took and could not handle, and the lag of the groups by topic,
 * group and partition. A scrape that the log does not answer in time tells the lag of before, and none once the log has
 * refused to tell it.
 */
export function registerLogMetrics(
  registry: Registry,
  log: Pick<EventLog, 'lag' | 'metrics'>,
  groups: readonly WatchedGroup[],
  options: LogMetricsOptions = {},
): void {
  registerFigures(registry, log);
  const askers = groups.map((watched) => createLagAsker(log, watched, options));
  if (groups.length === 0) return;
  new Gauge({
    name: LAG,
    help: 'Records appended and not yet committed by the group',
    labelNames: ['topic', 'group', 'partition'],
    registers: [registry],
    async collect() {
      const told = await Promise.all(askers.map((asker) => asker()));
      this.reset();
      for (const { topic, group, lags } of told) {
        for (const { partition, lag } of lags) this.set({ topic, group, partition: String(partition) }, lag);
      }
    },
  });
}

function registerFigures(registry: Registry, log: Pick<EventLog, 'metrics'>): void {
  for (const field of Object.keys(FIGURES) as (keyof EventLogMetrics)[]) {
    const [kind, name, help] = FIGURES[field];
    const shared = { name: `tidemark_log_${name}`, help, registers: [registry] };
    if (kind === 'gauge') {
      new Gauge({
        ...shared,
        collect() {
          this.set(log.metrics()[field]);
        },
      });
    } else {
      new Counter({
        ...shared,
        collect() {
          this.reset();
          this.inc(log.metrics()[field]);
        },
      });
    }
  }
}

function createLagAsker(
  log: Pick<EventLog, 'lag'>,
  { topic, group }: WatchedGroup,
  { logger, everyMs = EVERY_MS, waitMs = WAIT_MS }: LogMetricsOptions,
) {
  let lags: readonly PartitionLag[] = [];
  let askedAt = -Infinity;
  let asking: Promise<void> | undefined;

  async function ask(): Promise<void> {
    askedAt = performance.now();
    try {
      lags = await log.lag(topic, group);
    } catch (error) {
      lags = [];
      logger?.debug({ topic, group, error: (error as Error).message }, 'lag is not known');
    }
    asking = undefined;
  }

  return async () => {
    if (performance.now() - askedAt >= everyMs) asking ??= ask();
    if (asking) await atMost(waitMs, asking);
    return { topic, group, lags };
  };
}

async function atMost(ms: number, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  await Promise.race([work, new Promise<void>((resolve) => (timer = setTimeout(resolve, ms)))]);
  clearTimeout(timer);
}
