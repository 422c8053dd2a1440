import { join } from 'node:path';
import { createSymbolizer, openTrace, sweepRunDirectories } from '@tidemark/alloc-trace';
import { createKafkaEventLog } from '@tidemark/event-log/kafka';
import {
  createProcessLookup,
  holdLog,
  holdStage,
  readBoot,
  startCollect,
  startTrace,
  type PatientLog,
} from '@tidemark/pipeline';
import { createRegistry, openStatus, type AppContext, type Registry } from '@tidemark/service';
import type { CollectorConfig } from './config.js';
import { VERSION } from './version.js';

/** A log that is away is not waited for at the end: what it did not take is on disk. */
const AWAY_MS = 1_000;
/** Of the time for stopping, what is left for the parts behind. */
const SHARE = 0.7;

/** Watches this host from the first second on, whether the event log is there or not. */
export async function startCollector(config: CollectorConfig, app: AppContext): Promise<{ failed: Promise<never> }> {
  const { logger, lifecycle, health, say } = app;
  const registry = createRegistry();
  await openStatus(app, registry, { ...config.status, token: config.statusToken });
  const patient = holdLog(app, registry, {
    open: (more) =>
      createKafkaEventLog({ ...config.eventLog, ...more, clientId: `tidemark-collector-${config.nodeId}` }),
    partitions: config.kafka.partitions,
    groups: [],
  });

  const collect = startCollect({
    log: patient.log,
    config: {
      ...config.collect,
      node: config.nodeId,
      spoolDirectory: join(config.data.directory, 'spool'),
      version: VERSION,
    },
    logger: logger.child({ part: 'collect' }),
    registry,
  });
  lifecycle.add({
    name: 'collect',
    stop: (deadlineMs) => collect.drain(patient.health().ready ? deadlineMs * SHARE : Math.min(deadlineMs, AWAY_MS)),
  });
  health['collect'] = () => collect.health();
  await collect.ready;
  for (const line of collect.limitations()) say(`Limit: ${line}`);
  say(`Watching ${config.nodeId}, sending to ${config.kafka.brokers}`);
  return { failed: traceWhenOpen(config, app, registry, patient) };
}

/** Requests to trace come through the log: there are none before it is there. Rejects when it will never be. */
async function traceWhenOpen(
  config: CollectorConfig,
  app: AppContext,
  registry: Registry,
  { log, opened }: PatientLog,
): Promise<never> {
  const { logger, lifecycle, health, stopping } = app;
  health['trace'] = () => ({ live: true, ready: false, detail: 'waiting for the event log' });
  await opened;
  if (!stopping.aborted) {
    // Takes as long to load as all the rest, and is not needed for the first sample.
    const { createControlChannel } = await import('@tidemark/control');
    const { procRoot, redact, commandLineLength } = config.collect;
    const symbolizer = createSymbolizer();
    lifecycle.add({ name: 'symbolizer', stop: () => symbolizer.close() });
    const stage = startTrace({
      log,
      control: createControlChannel({ log, node: config.nodeId, logger: logger.child({ part: 'control' }), registry }),
      node: config.nodeId,
      boot: readBoot(procRoot),
      openTrace: (request) => openTrace(request),
      symbolize: (frames) => symbolizer.symbolize(frames),
      sweep: () => sweepRunDirectories(),
      processes: createProcessLookup({ procRoot, redact, commandLineLength }),
      ...config.trace,
      logger: logger.child({ part: 'trace' }),
      registry,
    });
    holdStage(app, 'trace', stage);
    await stage.ready;
  }
  return new Promise<never>(() => {});
}
