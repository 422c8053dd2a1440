import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { EventLog } from '@tidemark/event-log';
import type { LogFactory } from '@tidemark/event-log/conformance';
import { createKafkaEventLog, type KafkaEventLogOptions } from '@tidemark/event-log/kafka';
import { startKafka, type KafkaCluster, type KafkaClusterOptions } from '../../tools/kafka/cluster.mjs';
import { whyNoKafka } from '../../tools/kafka/distribution.mjs';

/** Why no broker runs here; under CI there is no excuse. */
export const noKafka: string | undefined = process.env['CI'] === 'true' ? undefined : whyNoKafka();

export interface TestCluster extends KafkaCluster {
  /** A client with short times, as tests want them. */
  open(options?: Partial<KafkaEventLogOptions>): Promise<EventLog>;
  destroy(): Promise<void>;
}

/** Starts brokers in a directory of their own under the system's temporary one. */
export async function startTestCluster(options: Omit<KafkaClusterOptions, 'directory'> = {}): Promise<TestCluster> {
  const directory = mkdtempSync(join(tmpdir(), 'tidemark-kafka-'));
  const cluster = await startKafka({ directory, ...options });
  return {
    ...cluster,
    open: (more) => createKafkaEventLog({ ...quick(cluster.bootstrap), ...more }),
    async destroy() {
      await Promise.all(cluster.brokers.map((broker) => broker.kill()));
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

export function quick(brokers: readonly string[]): KafkaEventLogOptions {
  return {
    brokers,
    sessionTimeoutMs: 2_000,
    heartbeatMs: 100,
    fetchWaitMs: 100,
    commitIntervalMs: 100,
    rebalanceTimeoutMs: 10_000,
    appendTimeoutMs: 60_000,
    retry: { initialMs: 5, maxMs: 50 },
  };
}

/** The brokers as the conformance suite wants them: a client dies by losing its sockets and saying nothing. */
export function clientsOf(cluster: () => TestCluster): LogFactory {
  return async () => ({
    open: () => cluster().open(),
    crash: (log) => (log as EventLog & { abandon(): Promise<void> }).abandon(),
    destroy: () => Promise.resolve(),
  });
}
