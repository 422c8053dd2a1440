import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createSymbolizer, openTrace, sweepRunDirectories } from '@tidemark/alloc-trace';
import { TOPICS } from '@tidemark/contracts';
import { createControlChannel, createControlSender } from '@tidemark/control';
import { createMemoryEventLog, type EventLog } from '@tidemark/event-log';
import { startGraphServer, startLiveFeed, type GraphServer, type LiveFeed } from '@tidemark/graph';
import { createHistory, type History } from '@tidemark/history';
import { startEmbeddedServer, type Credentials, type EmbeddedServer } from '@tidemark/history/embedded';
import { createLiveView } from '@tidemark/live';
import {
  createProcessLookup,
  detectProfile,
  readBoot,
  startCollect,
  startDetect,
  startMatch,
  startRecord,
  startTrace,
  type DetectStage,
  type Stage,
} from '@tidemark/pipeline';
import {
  collectDefaultMetrics,
  Registry,
  type AppContext,
  type FileServer,
  type Health,
  type Lifecycle,
  type Logger,
} from '@tidemark/service';
import type { StandaloneConfig } from './config.js';
import { startDemo } from './demo.js';
import { openPage } from './page.js';
import { VERSION } from './version.js';

export interface StandaloneRun {
  apiUrl: string;
  /** Undefined where the web page was not built. */
  pageUrl: string | undefined;
  historyUrl: string;
  reader: Credentials;
  limitations: string[];
  demoPid: number | undefined;
  /** Rejects when a part died that everything needs. */
  failed: Promise<never>;
}

const DATABASE = 'tidemark';
const MIGRATE_MS = 60_000;
const ORPHAN_MS = 30_000;

interface Parts {
  config: StandaloneConfig;
  logger: Logger;
  registry: Registry;
  lifecycle: Lifecycle;
  health: Record<string, () => Health>;
}

/** The whole system in this process, but for the engine of the history, which is a child. */
export async function startStandalone(config: StandaloneConfig, app: AppContext): Promise<StandaloneRun> {
  const { logger, say, lifecycle, health } = app;
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const parts: Parts = { config, logger, registry, lifecycle, health };
  makeDirectory(config.data.directory);

  say('Opening the event log…');
  const log = await openLog(parts);
  say('Starting the history (ClickHouse, embedded)…');
  const server = await openServer(parts);
  const history = await openHistory(parts, server);
  say('Starting to detect, record, answer and collect…');
  await runStage(parts, 'record', startRecord({ log, history, logger: logger.child({ part: 'record' }), registry }));
  const detect = startDetect({
    log,
    profile: detectProfile(config.detect),
    history,
    logger: logger.child({ part: 'detect' }),
    registry,
  });
  await runStage(parts, 'detect', detect);
  await runStage(parts, 'match', startMatch({ log, history, logger: logger.child({ part: 'match' }), registry }));
  const feed = await openFeed(parts, log, history, detect);
  const collect = startCollect({
    log,
    config: {
      ...config.collect,
      node: config.nodeId,
      spoolDirectory: join(config.data.directory, 'spool'),
      version: VERSION,
    },
    logger: logger.child({ part: 'collect' }),
    registry,
  });
  await runStage(parts, 'collect', collect);
  await runTrace(parts, log);
  const page = openPage(logger);
  const api = await openApi(parts, log, history, feed, page);
  const demo = config.demo ? startDemo() : undefined;
  if (demo) lifecycle.add(demo);

  return {
    apiUrl: api.url,
    pageUrl: page && new URL('/', api.url).href,
    historyUrl: server.url,
    reader: server.users.reader,
    limitations: collect.limitations(),
    demoPid: demo?.pid,
    failed: server.failed,
  };
}

function makeDirectory(directory: string): void {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new Error(
      `data directory ${directory} cannot be made (${(error as Error).message}); name another with --data DIR`,
      { cause: error },
    );
  }
}

async function openLog({ config, logger, lifecycle }: Parts): Promise<EventLog> {
  const log = await createMemoryEventLog({
    journal: { directory: join(config.data.directory, 'log') },
    onWarning: (line) => logger.warn({ part: 'log' }, line),
  });
  lifecycle.add({ name: 'event log', stop: (deadlineMs) => log.close(deadlineMs) });
  await log.ensureTopics(TOPICS);
  return log;
}

async function openServer({ config, logger, lifecycle }: Parts): Promise<EmbeddedServer> {
  const server = await startEmbeddedServer({
    directory: join(config.data.directory, 'history'),
    port: config.history.port,
    // The log's lock is ours already: whoever still holds the history is the child of a run that died, and is ending.
    lockWaitMs: ORPHAN_MS,
    logger: logger.child({ part: 'history' }),
  });
  lifecycle.add({ name: 'history', stop: (deadlineMs) => server.stop(deadlineMs) });
  return server;
}

async function openHistory({ config, lifecycle }: Parts, server: EmbeddedServer): Promise<History> {
  const { rawDays, minuteDays, hourDays } = config.history;
  const retention = { rawDays, minuteDays, hourDays };
  const history = createHistory({ url: server.url, ...server.users.admin, database: DATABASE, retention });
  lifecycle.add({ name: 'history client', stop: () => history.close() });
  await patiently(() => history.migrate(), MIGRATE_MS);
  return history;
}

async function openFeed(parts: Parts, log: EventLog, history: History, detect: DetectStage): Promise<LiveFeed> {
  const { logger, registry, lifecycle } = parts;
  const feed = startLiveFeed({
    log,
    live: createLiveView({ leakOf: (key) => detect.status(key) }),
    registry,
    logger: logger.child({ part: 'live' }),
    seed: () => history.lastNodeMemory(),
  });
  lifecycle.add({ name: 'live view', stop: (deadlineMs) => feed.drain(deadlineMs) });
  await feed.ready;
  return feed;
}

/** Traces the processes of this host, when somebody asks for it. */
async function runTrace(parts: Parts, log: EventLog): Promise<void> {
  const { config, logger, registry, lifecycle } = parts;
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
  await runStage(parts, 'trace', stage);
}

/** Last of all, so that whoever is answered is answered by the whole system. */
async function openApi(
  parts: Parts,
  log: EventLog,
  history: History,
  feed: LiveFeed,
  page: FileServer | undefined,
): Promise<GraphServer> {
  const { config, logger, registry, lifecycle, health } = parts;
  const server = await startGraphServer({
    log,
    control: createControlSender(log),
    feed,
    history,
    host: config.api.host,
    port: config.api.port,
    ...(config.token === undefined ? {} : { token: config.token }),
    ...(page && { page }),
    health,
    metrics: registry,
    version: VERSION,
    logger: logger.child({ part: 'api' }),
  });
  lifecycle.add({ name: 'api', stop: (deadlineMs) => server.drain(deadlineMs) });
  return server;
}

/** A machine that is busy with its own start may let the first questions wait for long. */
async function patiently(attempt: () => Promise<unknown>, ms: number): Promise<void> {
  const end = Date.now() + ms;
  for (;;) {
    try {
      await attempt();
      return;
    } catch (error) {
      if ((error as { retriable?: boolean }).retriable !== true || Date.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }
}

/** From here on the stage is stopped with the rest, whether or not it becomes ready. */
async function runStage({ lifecycle, health }: Parts, name: string, stage: Stage): Promise<void> {
  lifecycle.add({ name, stop: (deadlineMs) => stage.drain(deadlineMs) });
  health[name] = () => stage.health();
  await stage.ready;
}
