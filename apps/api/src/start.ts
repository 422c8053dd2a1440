import { createControlSender } from '@tidemark/control';
import { createKafkaEventLog } from '@tidemark/event-log/kafka';
import { startGraphServer, startLiveFeed } from '@tidemark/graph';
import { createLiveView } from '@tidemark/live';
import { holdHistory, holdLog } from '@tidemark/pipeline';
import { createRegistry, type AppContext } from '@tidemark/service';
import type { ApiConfig } from './config.js';
import { VERSION } from './version.js';

/** Of the time for stopping that is left, what one part may take. */
const SHARE = 0.7;

/**
 * Answers from the present as the event log tells it and from history. Listens at once, and is ready when both were
 * there. Leak states come from findings: no detector runs here.
 */
export async function startApi(config: ApiConfig, app: AppContext): Promise<{ failed: Promise<never> }> {
  const { logger, lifecycle, health, say } = app;
  const registry = createRegistry();
  const { log, opened } = holdLog(app, registry, {
    open: (more) => createKafkaEventLog({ ...config.eventLog, ...more, clientId: 'tidemark-api' }),
    partitions: config.kafka.partitions,
    groups: [],
  });
  const { history, past } = holdHistory(app, config.historyConnection, (history) => history.preflight('reader'));
  const feed = startLiveFeed({
    log,
    live: createLiveView(),
    registry,
    logger: logger.child({ part: 'live' }),
    seed: () => past.opened.then(() => history.lastNodeMemory()),
  });
  lifecycle.add({ name: 'live view', stop: (deadlineMs) => feed.drain(deadlineMs * SHARE) });
  health['live'] = () => feed.health();
  const server = await startGraphServer({
    log,
    control: createControlSender(log),
    feed,
    history,
    host: config.api.host,
    port: config.api.port,
    ...(config.token === undefined ? {} : { token: config.token }),
    health,
    metrics: registry,
    version: VERSION,
    logger: logger.child({ part: 'api' }),
  });
  lifecycle.add({ name: 'api', stop: (deadlineMs) => server.drain(deadlineMs * SHARE) });
  say(
    `GraphQL ${server.url} (subscriptions on the same path), ${new URL(server.url).origin}/health/ready and /metrics`,
  );
  return { failed: failure(opened, past.opened) };
}

/** Rejects when log or history can never be there. */
async function failure(...opened: Promise<void>[]): Promise<never> {
  await Promise.all(opened);
  return new Promise<never>(() => {});
}
