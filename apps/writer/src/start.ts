import { createKafkaEventLog } from '@tidemark/event-log/kafka';
import type { History } from '@tidemark/history';
import { holdHistory, holdLog, holdStage, RECORD_GROUPS, startRecord } from '@tidemark/pipeline';
import { createRegistry, openStatus, type AppContext } from '@tidemark/service';
import type { WriterConfig } from './config.js';

/** Records the partitions that this member of the groups is given; waits for event log and history first. */
export async function startWriter(config: WriterConfig, app: AppContext): Promise<void> {
  const { logger, health, stopping, say } = app;
  const registry = createRegistry();
  await openStatus(app, registry, { ...config.status, token: config.statusToken });
  health['record'] = () => ({ live: true, ready: false, detail: 'waiting for event log and history' });
  const { log, opened } = holdLog(app, registry, {
    open: (more) => createKafkaEventLog({ ...config.eventLog, ...more, clientId: 'tidemark-writer' }),
    partitions: config.kafka.partitions,
    groups: RECORD_GROUPS,
  });
  const { history, past } = holdHistory(app, config.historyConnection, (history) =>
    prepare(history, config.history.migrate),
  );
  say(`Waiting for ${config.kafka.brokers} and ${config.history.url}`);
  await Promise.all([opened, past.opened]);
  if (stopping.aborted) return;

  const record = startRecord({ log, history, registry, logger: logger.child({ part: 'record' }) });
  holdStage(app, 'record', record);
  await record.ready;
  say('Recording');
}

/** Makes the tables, or waits until whoever makes them has done so. */
async function prepare(history: History, migrate: boolean): Promise<void> {
  await history.preflight(migrate ? 'migrator' : 'writer');
  if (migrate) await history.migrate();
}
