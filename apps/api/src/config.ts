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
  api: listenSettings(4000),
  log: logSettings,
};

export interface ApiConfig extends ConfigOf<typeof sections> {
  eventLog: KafkaEventLogOptions;
  historyConnection: HistoryOptions;
  token: string | undefined;
}

export const USAGE = `Usage: node apps/api/dist/main.js [options]

Answers GraphQL, with subscriptions, health and metrics on the same port. Each instance holds the whole present.

  --port N            port of the API (api.port)
  --brokers LIST      host:port of some brokers (kafka.brokers)
  --history URL       ClickHouse's HTTP interface (history.url)
${COMMON_OPTIONS}
Settings, their defaults and their variables:

${describeSettings(sections)}`;

/** What the command line asks for: help, or a run with its settings. Throws ConfigError. */
export function readConfig(args: readonly string[], env: NodeJS.ProcessEnv = process.env): ApiConfig | 'help' {
  const read = readAppConfig(sections, args, env, {
    flags: {
      port: { type: 'string', setting: 'api.port' },
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
    token: readToken('api', settings.api),
  };
}
