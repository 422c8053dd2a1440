import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Kafka, logLevel, type Admin, type Kafka as KafkaClient } from 'kafkajs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { EventLog, LogRecord, PartitionContext, Subscription } from '@tidemark/event-log';
import { noKafka, startTestCluster, type TestCluster } from './support/kafka-log.js';
import { until } from './support/until.js';

const ALL = { partitions: 1, cleanup: 'delete', retentionMs: 3_600_000 } as const;

interface Seen {
  records: LogRecord[];
  contexts: PartitionContext[];
  subscription: Subscription;
}

async function follow(
  log: EventLog,
  topic: string,
  options: { group?: string; ephemeral?: boolean; acknowledge?: boolean } = {},
): Promise<Seen> {
  const { group = 'g', ephemeral = false, acknowledge = true } = options;
  const seen = { records: [] as LogRecord[], contexts: [] as PartitionContext[] };
  const subscription = await log.subscribe({
    topic,
    group,
    ephemeral,
    from: 'earliest',
    assign: (context) => {
      seen.contexts.push(context);
      return {
        async handle(records) {
          seen.records.push(...records);
          if (acknowledge) for (const { offset } of records) context.acknowledge(offset);
        },
      };
    },
  });
  return { ...seen, subscription };
}

const texts = ({ records }: Seen): string[] => records.map(({ value }) => Buffer.from(value ?? '').toString());

function numbered(topic: string, from: number, to: number): { topic: string; key: string; value: Buffer }[] {
  return Array.from({ length: to - from }, (_, index) => ({
    topic,
    key: 'k',
    value: Buffer.from(String(from + index)),
  }));
}

const strings = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, index) => String(from + index));

describe.skipIf(noKafka)(`at the edges of Kafka${noKafka ? ` (${noKafka})` : ''}`, () => {
  let cluster: TestCluster;
  let other: KafkaClient;
  let admin: Admin;
  let warnings: string[];
  const logs: EventLog[] = [];
  let topic: string;

  const open: TestCluster['open'] = async (options = {}) => {
    const log = await cluster.open({ onWarning: (line) => void warnings.push(line), ...options });
    logs.push(log);
    return log;
  };
  beforeAll(async () => {
    cluster = await startTestCluster();
    other = new Kafka({ brokers: cluster.bootstrap, logLevel: logLevel.NOTHING });
    admin = other.admin();
    await admin.connect();
  }, 120_000);
  beforeEach(() => {
    warnings = [];
    topic = `edge.${randomBytes(4).toString('hex')}`;
  });
  afterEach(async () => {
    await Promise.all(logs.splice(0).map((log) => log.close(2_000)));
  });
  afterAll(async () => {
    await admin?.disconnect();
    await cluster?.destroy();
  }, 60_000);

  async function configOf(name: string): Promise<Record<string, string>> {
    const { resources } = await admin.describeConfigs({ includeSynonyms: false, resources: [{ type: 2, name }] });
    return Object.fromEntries(resources[0]!.configEntries.map((entry) => [entry.configName, entry.configValue]));
  }

  it(
    'topics have the settings they are said to have, also when several make them at once',
    { timeout: 90_000 },
    async () => {
      const clients = await Promise.all([open(), open(), open()]);
      const specs = [
        { name: topic, partitions: 3, cleanup: 'delete', retentionMs: 7_200_000 },
        { name: `${topic}.keys`, partitions: 2, cleanup: 'compact,delete', retentionMs: 86_400_000 },
      ] as const;
      await Promise.all(clients.map((log) => log.ensureTopics(specs)));
      expect(await configOf(topic)).toMatchObject({
        'cleanup.policy': 'delete',
        'retention.ms': '7200000',
        'compression.type': 'producer',
        'max.message.bytes': String(9 * 1024 * 1024),
      });
      const keys = await configOf(`${topic}.keys`);
      expect(keys['cleanup.policy']!.split(',').sort()).toEqual(['compact', 'delete']);
      expect(keys['min.compaction.lag.ms']).toBe('86400000');
      expect(await configOf(`${topic}.dlq`)).toMatchObject({ 'cleanup.policy': 'delete', 'retention.ms': '604800000' });
      await clients[0]!.ensureTopics(specs);
      const [first] = specs;
      await expect(clients[0]!.ensureTopics([{ ...first, retentionMs: 1_000 }])).rejects.toThrow(
        /retention\.ms 7200000, wanted is 1000.*kafka-configs\.sh.*retention\.ms=1000/,
      );
      await expect(clients[0]!.ensureTopics([{ ...first, cleanup: 'compact' }])).rejects.toMatchObject({
        code: 'EVENT_LOG_TOPIC_DIFFERS',
      });
      expect((await configOf(topic))['retention.ms']).toBe('7200000');
    },
  );

  it('a prefix keeps two systems on one cluster apart', { timeout: 60_000 }, async () => {
    const [one, two] = [await open({ prefix: `${topic}-one.` }), await open({ prefix: `${topic}-two.` })];
    for (const log of [one, two]) await log.ensureTopics([{ name: 'records', ...ALL }]);
    await one.append(numbered('records', 0, 3));
    const seen = await follow(one, 'records');
    await until('the records', () => seen.records.length === 3);
    expect(seen.records[0]!.topic).toBe('records');
    expect((await two.lag('records', 'g'))[0]).toMatchObject({ end: 0 });
    expect(await admin.listTopics()).toEqual(
      expect.arrayContaining([`${topic}-one.records`, `${topic}-two.records.dlq`]),
    );
  });

  it(
    'records of other software come through: no key, no value, binary headers, packed with gzip',
    { timeout: 60_000 },
    async () => {
      const log = await open();
      await log.ensureTopics([{ name: topic, ...ALL }]);
      const producer = other.producer();
      await producer.connect();
      await producer.send({
        topic,
        compression: 1,
        messages: [
          { key: null, value: 'no key', headers: { bytes: Buffer.from([0xff, 0x00]), twice: ['a', 'b'] } },
          { key: 'k', value: null },
          { key: Buffer.from([0xc3, 0x28]), value: 'broken key' },
        ],
      });
      await producer.disconnect();
      const seen = await follow(log, topic);
      await until('the records', () => seen.records.length === 3);
      expect(texts(seen)).toEqual(['no key', '', 'broken key']);
      expect(seen.records[0]).toMatchObject({ key: '', headers: { twice: 'b' } });
      expect(seen.records[1]!.value).toBeNull();
      await until('no lag', async () => (await log.lag(topic, 'g'))[0]!.lag === 0);
    },
  );

  it(
    'records that cannot be unpacked are left out, counted and told of, and what is behind them comes',
    { timeout: 60_000 },
    async () => {
      const log = await open();
      await log.ensureTopics([{ name: topic, ...ALL }]);
      const pack = (value: string): Promise<unknown> =>
        admin.alterConfigs({
          validateOnly: false,
          resources: [{ type: 2, name: topic, configEntries: [{ name: 'compression.type', value }] }],
        });
      await log.append(numbered(topic, 0, 2));
      await pack('zstd');
      await until('the setting', async () => (await configOf(topic))['compression.type'] === 'zstd');
      await sleep(500);
      await log.append(numbered(topic, 2, 5));
      await expect(log.ensureTopics([{ name: topic, ...ALL }])).rejects.toThrow(/compression\.type zstd/);
      await pack('producer');
      await until('the setting', async () => (await configOf(topic))['compression.type'] === 'producer');
      await sleep(500);
      await log.append(numbered(topic, 5, 7));
      const seen = await follow(log, topic);
      await until('the records', () => seen.records.length === 4);
      expect(texts(seen)).toEqual(['0', '1', '5', '6']);
      expect(log.metrics().droppedRecords).toBe(3);
      expect(warnings.join()).toContain('compression zstd');
      await until('no lag', async () => (await log.lag(topic, 'g'))[0]!.lag === 0);
    },
  );

  it(
    'records that retention took before they were read are counted, and reading goes on',
    { timeout: 60_000 },
    async () => {
      const log = await open();
      await log.ensureTopics([{ name: topic, ...ALL }]);
      await log.append(numbered(topic, 0, 10));
      const first = await follow(log, topic, { acknowledge: false });
      await until('the records', () => first.records.length === 10);
      await first.contexts[0]!.commit(2, 'here');
      await first.subscription.drain(5_000);
      // So that the other client learns who leads the topic.
      await admin.fetchTopicOffsets(topic);
      await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '6' }] });
      const second = await follow(log, topic);
      await until('the rest', () => second.records.length === 4);
      expect(second.contexts[0]!.committed).toEqual({ offset: 2, metadata: 'here' });
      expect(texts(second)).toEqual(strings(6, 10));
      expect(log.metrics().droppedRecords).toBe(4);
    },
  );

  it(
    'a live view leaves no group behind, and metadata that Kafka would not take is refused',
    { timeout: 60_000 },
    async () => {
      const log = await open();
      await log.ensureTopics([{ name: topic, ...ALL }]);
      await log.append(numbered(topic, 0, 3));
      const view = await follow(log, topic, { group: 'view', ephemeral: true });
      await until('the records', () => view.records.length === 3);
      await view.subscription.drain(5_000);
      const seen = await follow(log, topic, { acknowledge: false });
      await until('the records again', () => seen.records.length === 3);
      const [context] = seen.contexts;
      await expect(context!.commit(1, 'x'.repeat(4_097))).rejects.toMatchObject({ code: 'EVENT_LOG_INVALID' });
      await context!.commit(1, 'x'.repeat(4_096));
      const { groups } = await admin.listGroups();
      const names = groups.map(({ groupId }) => groupId).filter((name) => name.includes(topic));
      expect(names).toEqual([`g.${topic}`]);
    },
  );

  it(
    'a member that the group took for dead commits nothing any more, and joins again',
    { timeout: 90_000 },
    async () => {
      // It would not find out by itself for long: its heart beats every 20 seconds.
      const slow = await open({ sessionTimeoutMs: 30_000, heartbeatMs: 20_000 });
      const quick = await open();
      await slow.ensureTopics([{ name: topic, ...ALL }]);
      await slow.append(numbered(topic, 0, 5));
      const zombie = await follow(slow, topic, { acknowledge: false });
      await until('the records', () => zombie.records.length === 5);
      await zombie.contexts[0]!.commit(1, 'before');
      const { groups } = await admin.describeGroups([`g.${topic}`]);
      const [member] = groups[0]!.members;
      await leaveFor(cluster.bootstrap, `g.${topic}`, member!.memberId);
      const heir = await follow(quick, topic, { acknowledge: false });
      await until('the heir', () => heir.records.length === 4);
      expect(heir.contexts[0]!.committed).toEqual({ offset: 1, metadata: 'before' });
      await heir.contexts[0]!.commit(3, 'heir');
      await expect(zombie.contexts[0]!.commit(5, 'zombie')).rejects.toMatchObject({ code: 'EVENT_LOG_REVOKED' });
      expect(zombie.contexts[0]!.signal.aborted).toBe(true);
      expect((await quick.lag(topic, 'g'))[0]).toMatchObject({ committed: 3 });
      await heir.subscription.drain(5_000);
      await until('the zombie to be back', () => zombie.records.length === 7);
      expect(zombie.contexts[1]!.committed).toEqual({ offset: 3, metadata: 'heir' });
    },
  );

  it(
    'a broker that holds its breath: appends end in time, drains and closes too, and all goes on behind',
    { timeout: 120_000 },
    async () => {
      const log = await open({ appendTimeoutMs: 1_000 });
      const patient = await open();
      await log.ensureTopics([{ name: topic, ...ALL }]);
      await log.append(numbered(topic, 0, 3));
      const seen = await follow(log, topic);
      const waiting = await follow(patient, topic, { group: 'patient' });
      await until('the records', () => seen.records.length === 3 && waiting.records.length === 3);
      const [broker] = cluster.brokers;
      broker!.pause();
      try {
        await expect(log.append(numbered(topic, 3, 4))).rejects.toMatchObject({
          code: 'EVENT_LOG_UNAVAILABLE',
          retriable: true,
        });
        const behind = patient.append(numbered(topic, 4, 6));
        const before = performance.now();
        await seen.subscription.drain(500);
        expect(performance.now() - before).toBeLessThan(5_000);
        await log.close(500);
        expect(performance.now() - before).toBeLessThan(10_000);
        broker!.resume();
        await behind;
      } finally {
        broker!.resume();
      }
      await until('what was appended behind', () => texts(waiting).includes('5'));
      await until('no lag', async () => (await patient.lag(topic, 'patient'))[0]!.lag === 0);
    },
  );

  it(
    'a broker that is killed and comes back: members go on, nothing is lost or turned around',
    { timeout: 180_000 },
    async () => {
      const log = await open({ sessionTimeoutMs: 10_000 });
      await log.ensureTopics([{ name: topic, ...ALL }]);
      const seen = await follow(log, topic);
      await log.append(numbered(topic, 0, 20));
      await until('the first', () => seen.records.length === 20);
      const [broker] = cluster.brokers;
      const outstanding = numbered(topic, 20, 40).map((record) => log.append([record]));
      await broker!.kill();
      const during = numbered(topic, 40, 60).map((record) => log.append([record]));
      await broker!.start();
      await Promise.all([...outstanding, ...during]);
      await log.append(numbered(topic, 60, 70));
      await until('all', () => new Set(texts(seen)).size === 70);
      const all = await follow(log, topic, { ephemeral: true });
      await until('all of them', () => all.records.length >= 70);
      expect(texts(all)).toEqual(strings(0, 70));
      await until('no lag', async () => (await log.lag(topic, 'g'))[0]!.lag === 0);
      // The outage was one line for each thing it concerned, and not one for every try.
      expect(warnings.length).toBeLessThan(15);
    },
  );
});

/** Takes a member out of its group, as the coordinator does when it hears nothing of it. */
async function leaveFor(brokers: readonly string[], groupId: string, memberId: string): Promise<void> {
  const client = new Kafka({ brokers: [...brokers], logLevel: logLevel.NOTHING });
  let leave: (() => Promise<void>) | undefined;
  const consumer = client.consumer({
    groupId,
    partitionAssigners: [
      ({ cluster }) => {
        leave = async () => {
          const coordinator = (await cluster.findGroupCoordinator({ groupId })) as unknown as {
            leaveGroup(request: object): Promise<unknown>;
          };
          await coordinator.leaveGroup({ groupId, memberId });
        };
        return {
          name: 'none',
          version: 0,
          assign: async () => [],
          protocol: () => ({ name: 'none', metadata: Buffer.alloc(0) }),
        };
      },
    ],
  });
  await consumer.connect();
  await consumer.subscribe({ topic: groupId.slice(groupId.indexOf('.') + 1) });
  await leave!();
  await consumer.disconnect();
}
