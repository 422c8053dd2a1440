import { topicsOf } from '@tidemark/contracts';
import type { EventLog } from '@tidemark/event-log';
import { createHistory, type History, type HistoryOptions } from '@tidemark/history';
import type { AppContext, Registry } from '@tidemark/service';
import { registerLogMetrics, type WatchedGroup } from './log-metrics.js';
import { awaitHistory, type PatientHistory } from './patient-history.js';
import { openPatiently, type PatientLog } from './patient-log.js';
import type { Stage } from './stage.js';

/** One try to reach the brokers; there is always another. */
const CONNECT_MS = 5_000;
/** Of the time for stopping that is left, what one stage may take: the log behind it has to leave its groups. */
const SHARE = 0.7;

export interface HeldLogOptions {
  /** Connects; one try gives up after `connectTimeoutMs`. */
  open(options: { connectTimeoutMs: number; onWarning(line: string): void }): Promise<EventLog>;
  /** Of the topics of samples and of allocations. */
  partitions: number;
  /** Whose lag is told. */
  groups: readonly WatchedGroup[];
}

/** Connects an app to the event log, however long that takes, and makes the topics; stopped and watched with the app. */
export function holdLog(app: AppContext, registry: Registry, options: HeldLogOptions): PatientLog {
  const { lifecycle, health, stopping } = app;
  const logger = app.logger.child({ part: 'log' });
  const onWarning = (line: string): void => logger.warn({}, line);
  const patient = openPatiently({
    open: () => options.open({ connectTimeoutMs: CONNECT_MS, onWarning }),
    topics: topicsOf(options.partitions),
    logger,
    stopping,
  });
  lifecycle.add({ name: 'event log', stop: (deadlineMs) => patient.log.close(deadlineMs) });
  health['event log'] = () => patient.health();
  registerLogMetrics(registry, patient.log, options.groups, { logger });
  return patient;
}

/** Connects an app to ClickHouse, however long that takes: until `attempt` succeeds, or can never. */
export function holdHistory(
  app: AppContext,
  connection: HistoryOptions,
  attempt: (history: History) => Promise<unknown>,
): { history: History; past: PatientHistory } {
  const { lifecycle, health, stopping } = app;
  const history = createHistory(connection);
  lifecycle.add({ name: 'history client', stop: () => history.close() });
  const past = awaitHistory({
    attempt: () => attempt(history),
    ping: () => history.ping(),
    logger: app.logger.child({ part: 'history' }),
    stopping,
  });
  health['history'] = () => past.health();
  return { history, past };
}

/** From here on the stage is watched and stopped with the app, whether or not it becomes ready. */
export function holdStage({ lifecycle, health }: AppContext, name: string, stage: Stage): void {
  lifecycle.add({ name, stop: (deadlineMs) => stage.drain(deadlineMs * SHARE) });
  health[name] = () => stage.health();
}
