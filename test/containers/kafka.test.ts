import type { EventLog } from '@tidemark/event-log';
import { createKafkaEventLog } from '@tidemark/event-log/kafka';
import { GenericContainer, Wait, type StartedTestContainer } from 'testcontainers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { quick } from '../support/kafka-log.js';
import { until } from '../support/until.js';
import { findContainers } from './engine.js';
import { freePorts } from './free-ports.js';

const containers = await findContainers(['kafka']);
const TOPIC = 'numbers';
const KEYS = 5;
const START_MS = 180_000;

/** The variables of the image apache/kafka. */
function settingsOf(port: number): Record<string, string> {
  return {
    KAFKA_NODE_ID: '1',
    KAFKA_PROCESS_ROLES: 'broker,controller',
    KAFKA_LISTENERS: 'PLAINTEXT://:9092,CONTROLLER://:9093',
    KAFKA_ADVERTISED_LISTENERS: `PLAINTEXT://127.0.0.1:${port}`,
    KAFKA_LISTENER_SECURITY_PROTOCOL_MAP: 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    KAFKA_CONTROLLER_LISTENER_NAMES: 'CONTROLLER',
    KAFKA_CONTROLLER_QUORUM_VOTERS: '1@localhost:9093',
    KAFKA_LOG_DIRS: '/var/lib/kafka/data',
    KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR: '1',
    KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS: '4',
    KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR: '1',
    KAFKA_TRANSACTION_STATE_LOG_MIN_ISR: '1',
    KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS: '0',
    KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS: '1000',
    KAFKA_AUTO_CREATE_TOPICS_ENABLE: 'false',
  };
}

describe.skipIf(containers.why !== undefined)(`a broker of Kafka in a container${containers.inName}`, () => {
  let broker: StartedTestContainer;
  let log: EventLog;
  let address = '';
  beforeAll(async () => {
    // A broker advertises the port that its clients use, so that port is chosen before it starts.
    const [port] = (await freePorts(1)) as [number];
    address = `127.0.0.1:${port}`;
    broker = await new GenericContainer(containers.kafka)
      .withEnvironment(settingsOf(port))
      .withExposedPorts({ container: 9092, host: port })
      .withWaitStrategy(Wait.forListeningPorts())
      .withStartupTimeout(START_MS)
      .start();
    log = await createKafkaEventLog({ ...quick([address]), connectTimeoutMs: START_MS });
    await log.ensureTopics([{ name: TOPIC, partitions: 3, cleanup: 'delete', retentionMs: 3_600_000 }]);
  }, START_MS + 30_000);
  afterAll(async () => {
    await log?.close(5_000);
    await broker?.stop({ timeout: 20_000 });
  });

  /** Numbers by key in the order of their arrival; every one is acknowledged. */
  async function consume(group: string): Promise<{ seen: Map<string, number[]>; drain(): Promise<void> }> {
    const seen = new Map<string, number[]>();
    const subscription = await log.subscribe({
      ...{ topic: TOPIC, group, from: 'earliest' },
      assign: (context) => ({
        handle(records) {
          for (const { key, value, offset } of records) {
            seen.set(key, [...(seen.get(key) ?? []), Number(Buffer.from(value!).toString())]);
            context.acknowledge(offset);
          }
          return Promise.resolve();
        },
      }),
    });
    await subscription.ready;
    return { seen, drain: () => subscription.drain(10_000) };
  }

  async function append(from: number, to: number): Promise<void> {
    for (let number = from; number < to; number++) {
      const value = Buffer.from(String(number));
      await log.append(Array.from({ length: KEYS }, (_, key) => ({ topic: TOPIC, key: `k${key}`, value })));
    }
  }

  const numbers = (to: number) => Array.from({ length: to }, (_, index) => index);
  const all = (to: number) => new Map(Array.from({ length: KEYS }, (_, key) => [`k${key}`, numbers(to)]));
  const sorted = (seen: Map<string, number[]>) => new Map([...seen].sort());

  it('gives every key its records in order, over a restart of the container, and remembers what was committed', async () => {
    const reader = await consume('readers');
    await append(0, 50);
    await until('the first records', () => [...reader.seen.values()].flat().length === 50 * KEYS);
    await until('their commit', async () => (await log.lag(TOPIC, 'readers')).every(({ lag }) => lag === 0));
    const restarted = broker.restart({ timeout: 20_000 });
    await append(50, 100);
    await restarted;
    await until(
      'the records after the restart',
      () => [...reader.seen.values()].every((values) => values.at(-1) === 99),
      120_000,
    );
    // The log is at least once: what was appended or read while the broker went may come twice, never out of order.
    expect(new Map([...sorted(reader.seen)].map(([key, values]) => [key, [...new Set(values)]]))).toEqual(all(100));
    await reader.drain();
    expect((await log.lag(TOPIC, 'readers')).map(({ lag }) => lag)).toEqual([0, 0, 0]);

    const again = await consume('readers');
    await append(100, 101);
    await until('one more record of each key', () => again.seen.size === KEYS);
    expect(sorted(again.seen)).toEqual(new Map([...all(0).keys()].map((key) => [key, [100]])));
    await again.drain();
  }, 240_000);
});
