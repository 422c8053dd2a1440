import { resolve } from 'node:path';
import { toNodeId, type NodeId } from '@tidemark/contracts';
import { kafkaOptions, kafkaSettings, type KafkaEventLogOptions } from '@tidemark/event-log/kafka';
import { kafkaCollectSettings, traceSettings } from '@tidemark/pipeline';
import {
  COMMON_OPTIONS,
  dataSettings,
  describeSettings,
  listenSettings,
  logSettings,
  nodeSettings,
  readAppConfig,
  readToken,
  orConfigError,
  type ConfigOf,
} from '@tidemark/service';

export const sections = {
  node: nodeSettings,
  kafka: kafkaSettings,
  collect: kafkaCollectSettings,
  trace: traceSettings,
  /** Where records wait while the event log is away. */
  data: dataSettings(process.env['XDG_STATE_HOME']),
  status: listenSettings(9464),
  log: logSettings,
};

export interface CollectorConfig extends ConfigOf<typeof sections> {
  nodeId: NodeId;
  eventLog: KafkaEventLogOptions;
  statusToken: string | undefined;
}

export const USAGE = `Usage: node apps/collector/dist/main.js [options]

Watches the processes of this host and sends what it sees to Kafka.

  --node ID           name of this host (node.id, default its host name)
  --brokers LIST      host:port of some brokers (kafka.brokers)
  --data DIR          records wait here while Kafka is away (data.directory)
${COMMON_OPTIONS}
Settings, their defaults and their variables:

${describeSettings(sections)}`;

/** What the command line asks for: help, or a run with its settings. Throws ConfigError. */
export function readConfig(args: readonly string[], env: NodeJS.ProcessEnv = process.env): CollectorConfig | 'help' {
  const read = readAppConfig(sections, args, env, {
    flags: {
      node: { type: 'string', setting: 'node.id' },
      brokers: { type: 'string', setting: 'kafka.brokers' },
      data: { type: 'string', setting: 'data.directory' },
    },
  });
  if (read === 'help') return 'help';
  const { settings } = read;
  return {
    ...settings,
    data: { directory: resolve(settings.data.directory) },
    nodeId: toNodeId(settings.node.id),
    eventLog: orConfigError(() => kafkaOptions(settings.kafka)),
    statusToken: readToken('status', settings.status),
  };
}
