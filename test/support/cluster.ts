import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { decodeSampleChunk, Topic, type SampleChunk } from '@tidemark/contracts';
import type { EventLog } from '@tidemark/event-log';
import { startEmbeddedServer, type EmbeddedServer } from '@tidemark/history/embedded';
import { startKafka, type KafkaCluster } from '../../tools/kafka/cluster.mjs';
import { until } from './until.js';

export const ADMIN = { username: 'default', password: 'admin-secret' };
export const READER = { username: 'reader', password: 'reader-secret' };

/** A real broker and a real engine of ClickHouse, on ports and in directories of their own. */
export interface Backbone {
  readonly directory: string;
  readonly kafka: KafkaCluster;
  /** Settings of an app: where the log is, and history as the user that writes or as the one that reads. */
  readonly log: Record<string, string>;
  readonly writing: Record<string, string>;
  readonly reading: Record<string, string>;
  /** Rows of a SELECT, asked past our own client. */
  ask(sql: string): Promise<unknown[][]>;
  stopHistory(): Promise<void>;
  startHistory(): Promise<void>;
  stop(): Promise<void>;
}

export async function startBackbone(): Promise<Backbone> {
  const directory = mkdtempSync(join(tmpdir(), 'tidemark-cluster-'));
  let server: EmbeddedServer | undefined;
  const open = (port: number) =>
    startEmbeddedServer({
      ...{ directory: join(directory, 'history'), port, lockWaitMs: 30_000 },
      users: { admin: ADMIN, reader: READER },
    });
  const [kafka] = await Promise.all([
    startKafka({ directory: join(directory, 'kafka') }),
    open(0).then((started) => (server = started)),
  ]);
  const url = server!.url;
  const connection = { 'history.url': url, 'history.database': 'tidemark' };
  return {
    directory,
    kafka,
    log: { 'kafka.brokers': kafka.bootstrap.join(',') },
    writing: { ...connection, 'history.username': ADMIN.username, 'history.password': ADMIN.password },
    reading: { ...connection, 'history.username': READER.username, 'history.password': READER.password },
    async ask(sql) {
      const response = await fetch(`${url}/?database=tidemark`, {
        method: 'POST',
        headers: { 'X-ClickHouse-User': READER.username, 'X-ClickHouse-Key': READER.password },
        body: `${sql} FORMAT JSONCompact`,
      });
      if (!response.ok) throw new Error(await response.text());
      return ((await response.json()) as { data: unknown[][] }).data;
    },
    stopHistory: async () => void (await server?.stop()),
    startHistory: async () => void (server = await open(Number(new URL(url).port))),
    async stop() {
      await Promise.all([kafka.stop(), server?.stop()]);
      rmSync(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
    },
  };
}

/**
 * The chunks without those that came twice; fails unless they are of one run and each new one is the next by its number.
 */
export function distinctInOrder<Chunk extends { run: string; seq: number }>(chunks: readonly Chunk[]): Chunk[] {
  const distinct: Chunk[] = [];
  for (const chunk of chunks) {
    expect(chunk.run).toBe(chunks[0]!.run);
    expect(chunk.seq).toBeLessThanOrEqual(distinct.length);
    if (chunk.seq === distinct.length) distinct.push(chunk);
  }
  return distinct;
}

/** Every chunk of samples that the log has now, in the order of their partitions. */
export async function chunksOf(log: EventLog): Promise<SampleChunk[]> {
  const ends = await log.lag(Topic.Samples, 'nobody');
  const open = new Map(ends.filter(({ end }) => end > 0).map(({ partition, end }) => [partition, end]));
  const chunks: SampleChunk[] = [];
  const subscription = await log.subscribe({
    ...{ topic: Topic.Samples, group: 'audit', ephemeral: true, from: 'earliest' },
    assign: (context) => ({
      async handle(records) {
        for (const { value, headers, partition, offset } of records) {
          if (value) chunks.push(decodeSampleChunk(value, headers));
          if (offset >= (open.get(partition) ?? 0) - 1) open.delete(partition);
        }
        context.acknowledge(records.at(-1)!.offset);
      },
    }),
  });
  await subscription.ready;
  await until('the samples of the log to be read', () => open.size === 0);
  await subscription.drain(5_000);
  return chunks;
}
