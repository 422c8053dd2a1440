import { kafkaOptions, kafkaSettings, type KafkaEventLogOptions } from '@tidemark/event-log/kafka';
import { historyOptions, historySettings, type HistoryOptions } from '@tidemark/history';
import {
  COMMON_OPTIONS,
  describeSettings,
  listenSettings,
  logSettings,
  orConfigError,
  readAppConfig,
  readToken,
  type ConfigOf,
} from '@tidemark/service';

export const sections = {
  kafka: kafkaSettings,
  history: historySettings,
  status: listenSettings(9466),
  log: logSettings,
};

export interface WriterConfig extends ConfigOf<typeof sections> {
  eventLog: KafkaEventLogOptions;
  historyConnection: HistoryOptions;
  statusToken: string | undefined;
}

export const USAGE = `Usage: node apps/writer/dist/main.js [options]

Writes the event log into ClickHouse, each record once. Several share the partitions.

  --brokers LIST      host:port of some brokers (kafka.brokers)
  --history URL       ClickHouse's HTTP interface (history.url)
${COMMON_OPTIONS}
Settings, their defaults and their variables:

${describeSettings(sections)}`;

/** What the command line asks for: help, or a run with its settings. Throws ConfigError. */
export function readConfig(args: readonly string[], env: NodeJS.ProcessEnv = process.env): WriterConfig | 'help' {
  const read = readAppConfig(sections, args, env, {
    flags: {
      brokers: { type: 'string', setting: 'kafka.brokers' },
      history: { type: 'string', setting: 'history.url' },
    },
  });
  if (read === 'help') return 'help';
  const { settings } = read;
  return {
    ...settings,
    eventLog: orConfigError(() => kafkaOptions(settings.kafka)),
    historyConnection: orConfigError(() => historyOptions(settings.history)),
    statusToken: readToken('status', settings.status),
  };
}
