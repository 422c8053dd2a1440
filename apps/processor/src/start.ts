import { Topic } from '@tidemark/contracts';
import { createKafkaEventLog } from '@tidemark/event-log/kafka';
import { detectProfile, holdHistory, holdLog, holdStage, startDetect, startMatch } from '@tidemark/pipeline';
import { createRegistry, openStatus, type AppContext } from '@tidemark/service';
import type { ProcessorConfig } from './config.js';

const GROUPS = [
  { topic: Topic.Samples, group: 'detect' },
  { topic: Topic.Allocations, group: 'match' },
];

/** Judges the partitions that this member of the groups is given; waits for event log and history first. */
export async function startProcessor(config: ProcessorConfig, app: AppContext): Promise<void> {
  const { logger, health, stopping, say } = app;
  const registry = createRegistry();
  await openStatus(app, registry, { ...config.status, token: config.statusToken });
  health['stages'] = () => ({ live: true, ready: false, detail: 'waiting for event log and history' });
  const { log, opened } = holdLog(app, registry, {
    open: (more) => createKafkaEventLog({ ...config.eventLog, ...more, clientId: 'tidemark-processor' }),
    partitions: config.kafka.partitions,
    groups: GROUPS,
  });
  const { history, past } = holdHistory(app, config.historyConnection, (history) => history.preflight('processor'));
  say(`Waiting for ${config.kafka.brokers} and ${config.history.url}`);
  await Promise.all([opened, past.opened]);
  if (stopping.aborted) return;

  const profile = detectProfile(config.detect);
  const detect = startDetect({ log, history, registry, profile, logger: logger.child({ part: 'detect' }) });
  holdStage(app, 'detect', detect);
  const match = startMatch({ log, history, registry, logger: logger.child({ part: 'match' }) });
  holdStage(app, 'match', match);
  delete health['stages'];
  await Promise.all([detect.ready, match.ready]);
  say(`Judging by the ${config.detect.profile} profile`);
}
