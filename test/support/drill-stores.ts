import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Topic, TOPICS } from '@tidemark/contracts';
import type { EventLog, LogRecord } from '@tidemark/event-log';
import { createKafkaEventLog } from '@tidemark/event-log/kafka';
import { openTestHistory, type TestHistory } from '@tidemark/history/testing';
import { startKafka, type KafkaCluster } from '../../tools/kafka/cluster.mjs';
import { until } from './until.js';

export interface DrillStores {
  kafka: KafkaCluster;
  history: TestHistory;
  /** A further connection, as another process would have it. */
  open(clientId: string): Promise<EventLog>;
  /** Rows of a statement, as the administrator. */
  ask<Row>(sql: string): Promise<Row[]>;
  /** All records of a topic, in the order of each partition. */
  read(log: EventLog, topic: string): Promise<LogRecord[]>;
  close(): Promise<void>;
}

/** A real broker and the embedded ClickHouse, with topics and tables. */
export async function openDrillStores(): Promise<DrillStores> {
  const directory = mkdtempSync(join(tmpdir(), 'tidemark-kafka-'));
  const [kafka, history] = await Promise.all([
    startKafka({ directory: join(directory, 'kafka'), brokers: 1 }),
    openTestHistory(),
  ]);
  const logs: EventLog[] = [];
  const open = async (clientId: string): Promise<EventLog> => {
    const log = await createKafkaEventLog({ brokers: kafka.bootstrap, clientId });
    logs.push(log);
    return log;
  };
  await (await open('tidemark-setup')).ensureTopics(TOPICS);
  return {
    kafka,
    history,
    open,
    ask: (sql) => history.connection.query(sql),
    read: readTopic,
    async close() {
      await Promise.all(logs.map((log) => log.close(2_000)));
      await history.close();
      await kafka.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

async function readTopic(log: EventLog, topic: string): Promise<LogRecord[]> {
  const ends = new Map(
    (await log.lag(topic, 'nobody')).filter(({ lag }) => lag > 0).map(({ partition, end }) => [partition, end]),
  );
  const records: LogRecord[] = [];
  const view = await log.subscribe({
    ...{ topic, group: 'nobody', ephemeral: true, from: 'earliest', maxInFlightBytes: 2 ** 26 },
    assign: (context) => ({
      handle(batch) {
        records.push(...batch);
        for (const { offset } of batch) context.acknowledge(offset);
        if (batch.at(-1)!.offset + 1 >= (ends.get(context.partition) ?? 0)) ends.delete(context.partition);
        return Promise.resolve();
      },
    }),
  });
  await until(`${topic} to be read to its end`, () => ends.size === 0);
  await view.drain(2_000);
  return records;
}

/** Resolves when the group has committed everything in the topics. */
export async function untilRead(log: EventLog, readers: readonly (readonly [topic: string, group: string])[]) {
  await until(
    `no lag of ${readers.map(([topic, group]) => `${group} in ${topic}`).join(', ')}`,
    async () => {
      const lags = await Promise.all(readers.map(([topic, group]) => log.lag(topic, group)));
      return lags.flat().every(({ lag }) => lag === 0);
    },
    90_000,
  );
}

/** What `startRecord` reads. */
export const RECORDED = [Topic.Samples, Topic.Nodes, Topic.Findings, Topic.Allocations].map(
  (topic) => [topic, 'record'] as const,
);
