import { randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import {
  deadLetterTopic,
  encodeAllocationChunk,
  encodeFindingRecord,
  encodeNodeRecord,
  encodeSampleChunk,
  Topic,
  TOPICS as SPECS,
  type EncodedRecord,
} from '@tidemark/contracts';
import type { EventLog, LogRecord } from '@tidemark/event-log';
import { DEMO_PROFILE } from '@tidemark/leak';
import { startDetect, startMatch, startRecord, type Stage } from '@tidemark/pipeline';
import { Registry, silentLogger } from '@tidemark/service';
import { Kafka, logLevel, type Message, type Producer } from 'kafkajs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { whyNoKafka } from '../tools/kafka/distribution.mjs';
import { createNodeLoad } from '../tools/load/node-load.mjs';
import { openDrillStores, RECORDED, untilRead, type DrillStores } from './support/drill-stores.js';
import { until } from './support/until.js';

const why = process.env['CI'] === 'true' ? undefined : whyNoKafka();
const DAY_MS = 86_400_000;
const GOOD = 40;
/** Who reads a topic and puts aside what it cannot read. */
const JUDGES: Record<string, string[]> = {
  [Topic.Samples]: ['record', 'detect'],
  [Topic.Nodes]: ['record'],
  [Topic.Findings]: ['record'],
  [Topic.Allocations]: ['record', 'match'],
};
const TOPICS = Object.keys(JUDGES);

/** Every kind of damage; made of a good record of the topic. `by` are those who must refuse it, when not all do. */
interface Poison {
  kind: string;
  message: Message;
  by?: string[];
}

function poisons(topic: string, good: EncodedRecord, far: EncodedRecord): Poison[] {
  const value = Buffer.from(good.value);
  const { headers } = good;
  const identity = { encoding: 'identity' };
  const json = (text: string): Message => ({ key: 'poison', value: Buffer.from(text), headers: identity });
  const all: Poison[] = [
    { kind: 'not JSON', message: json('{"v":1,') },
    { kind: 'empty', message: json('') },
    { kind: 'of no known version', message: json('{"v":999,"type":"finding","node":"poison"}') },
    { kind: 'a list', message: json('[]') },
    { kind: 'nested too deeply', message: json('['.repeat(10_000)) },
    { kind: 'no gzip', message: { key: 'poison', value: randomBytes(200), headers: { encoding: 'gzip' } } },
    { kind: 'of unknown compression', message: { key: 'poison', value, headers: { encoding: 'rot13' } } },
    { kind: 'cut short', message: { key: 'poison', value: value.subarray(0, value.length >> 1), headers } },
    { kind: 'without headers', message: { key: 'poison', value: gzipSync(randomBytes(300)) } },
    { kind: 'a megabyte of noise', message: { key: 'poison', value: randomBytes(1_000_000), headers: identity } },
    {
      kind: 'zeros that unpack to 64 MB',
      message: { key: 'poison', value: gzipSync(Buffer.alloc(64 * 1024 * 1024)), headers: { encoding: 'gzip' } },
    },
    { kind: 'without a key', message: { key: null, value: Buffer.from('no key, no JSON'), headers: identity } },
    {
      kind: 'of a far-off time',
      message: { key: 'poison', value: Buffer.from(far.value), headers: far.headers },
      // Whose clock is off matters to the tables alone.
      by: ['record'],
    },
  ];
  // Brokers take no record without a key where only the newest of each key is kept.
  const compacted = SPECS.find(({ name }) => name === topic)!.cleanup !== 'delete';
  const taken = compacted ? all.filter(({ message }) => message.key !== null) : all;
  return taken.map((poison) => ({ ...poison, message: named(poison.kind, topic, poison.message) }));
}

/** The name of the poison travels along, and comes back with the dead letter. */
function named(kind: string, topic: string, message: Message): Message {
  return { ...message, headers: { ...message.headers, poison: `${topic} ${kind}` } };
}

describe.skipIf(why)(`damaged records in Kafka${why ? ` (skipped: ${why})` : ''}`, () => {
  let stores: DrillStores;
  let log: EventLog;
  let producer: Producer;
  const stages: Stage[] = [];
  const registries = { record: new Registry(), detect: new Registry(), match: new Registry() };
  const sent = new Map<string, Poison[]>();
  const deadLetters = new Map<string, LogRecord[]>();

  beforeAll(async () => {
    stores = await openDrillStores();
    log = await stores.open('stages');
    const kafka = new Kafka({ brokers: stores.kafka.bootstrap, logLevel: logLevel.NOTHING });
    producer = kafka.producer();
    await producer.connect();
    startStages();
    await Promise.all(stages.map((stage) => stage.ready));
    await sendAll();
    await untilRead(log, [...RECORDED, [Topic.Samples, 'detect']]);
    // The matcher's position stays at the keyframes by intention: that it has seen all of them shows by their number.
    await until('every dead letter', () => log.metrics().deadLettered >= expectedLetters());
    for (const topic of TOPICS) deadLetters.set(topic, await stores.read(log, deadLetterTopic(topic)));
  }, 240_000);

  afterAll(async () => {
    await producer?.disconnect();
    await Promise.all(stages.map((stage) => stage.drain(3_000)));
    await stores?.close();
  }, 60_000);

  function expectedLetters(): number {
    return TOPICS.flatMap((topic) => sent.get(topic)!.map(({ by }) => (by ?? JUDGES[topic]!).length)).reduce(
      (sum, count) => sum + count,
      0,
    );
  }

  function startStages(): void {
    const { history } = stores.history;
    const deps = { log, history, logger: silentLogger };
    stages.push(startRecord({ ...deps, registry: registries.record }));
    stages.push(startDetect({ ...deps, registry: registries.detect, profile: DEMO_PROFILE }));
    stages.push(startMatch({ ...deps, registry: registries.match }));
  }

  /** Good records, with the poison spread among them. */
  async function sendAll(): Promise<void> {
    const at = Date.now() - GOOD * 1_000;
    const host = hostAt(at);
    const far = at + 30 * DAY_MS;
    const farHost = hostAt(far);
    const good: Record<string, (time: number, round: number) => EncodedRecord[]> = {
      [Topic.Samples]: (time, round) => [encodeSampleChunk(host.round(round, time, round === 0))],
      [Topic.Nodes]: (time) => [encodeNodeRecord(host.heartbeat(time))],
      [Topic.Findings]: (time) => [encodeFindingRecord(host.finding(time))],
      [Topic.Allocations]: (time) => host.allocations(time).map(encodeAllocationChunk),
    };
    const late: Record<string, EncodedRecord> = {
      [Topic.Samples]: encodeSampleChunk(farHost.round(0, far, true)),
      [Topic.Nodes]: encodeNodeRecord(farHost.heartbeat(far)),
      [Topic.Findings]: encodeFindingRecord(farHost.finding(far)),
      [Topic.Allocations]: encodeAllocationChunk(farHost.allocations(far)[0]!),
    };
    const example = hostAt(at);
    const examples: Record<string, EncodedRecord> = {
      [Topic.Samples]: encodeSampleChunk(example.round(0, at, true)),
      [Topic.Nodes]: encodeNodeRecord(example.heartbeat(at)),
      [Topic.Findings]: encodeFindingRecord(example.finding(at)),
      [Topic.Allocations]: encodeAllocationChunk(example.allocations(at)[0]!),
    };
    for (const topic of TOPICS) {
      const poison = poisons(topic, examples[topic]!, late[topic]!);
      sent.set(topic, poison);
      const messages: Message[] = [];
      for (let round = 0; round < GOOD; round++) {
        for (const { value, headers } of good[topic]!(at + round * 1_000, round)) {
          messages.push({ key: 'good', value: Buffer.from(value), headers: { ...headers, stranger: 'passes by' } });
        }
        const next = poison[round];
        if (next) messages.push(next.message);
        // A tombstone says nothing, and is no damage.
        if (round === 20) messages.push({ key: 'gone', value: null });
      }
      for (const message of messages) await producer.send({ topic, messages: [message] });
    }
  }

  function hostAt(at: number) {
    const shape = { processes: 30, changing: 0.5, leaks: 1, interval: 1_000, traces: 1 };
    return createNodeLoad({ name: 'host', index: 1, seed: 5, at, ...shape });
  }

  it.each(TOPICS)('%s: each is a dead letter once for each reader, with its reason', (topic) => {
    const expected = sent
      .get(topic)!
      .flatMap(({ kind, by }) => (by ?? JUDGES[topic]!).map((group) => `${group}: ${topic} ${kind}`));
    const found = deadLetters.get(topic)!.map(({ headers }) => `${headers['dlq-group']}: ${headers['poison']}`);
    expect(found.toSorted()).toEqual(expected.toSorted());
    for (const { headers } of deadLetters.get(topic)!) {
      expect(headers['dlq-topic']).toBe(topic);
      expect(headers['dlq-reason']!.length).toBeGreaterThan(10);
      expect(headers['dlq-code']).toMatch(/^CONTRACT_/);
    }
  });

  it.each(TOPICS)('%s: the dead letter is the record as it was', (topic) => {
    const byName = new Map(deadLetters.get(topic)!.map((letter) => [letter.headers['poison'], letter]));
    for (const { kind, message } of sent.get(topic)!) {
      const letter = byName.get(`${topic} ${kind}`)!;
      expect(Buffer.compare(Buffer.from(letter.value!), message.value as Buffer), kind).toBe(0);
    }
  });

  it('the good ones among them are in history, each once', async () => {
    const count = async (sql: string): Promise<number> =>
      Number((await stores.ask<{ n: string }>(`SELECT toString(${sql}`))[0]!.n);
    const node = "node = 'host-0001'";
    expect(await count(`uniqExact(at)) AS n FROM node_samples WHERE ${node}`)).toBe(GOOD);
    expect(await count(`count()) AS n FROM node_samples WHERE ${node}`)).toBe(GOOD);
    expect(await count(`count()) AS n FROM heartbeats WHERE ${node}`)).toBe(GOOD);
    expect(await count(`count()) AS n FROM findings WHERE id LIKE '%@run-5-1-0/%'`)).toBe(GOOD);
    expect(await count(`max(survivors_total)) AS n FROM allocation_traces WHERE ${node}`)).toBe(GOOD - 1 - 5);
  });

  it('the metrics count them, and every stage is ready', async () => {
    const values = await Promise.all(Object.values(registries).map((registry) => registry.metrics()));
    const total = (text: string, name: string): number =>
      text
        .split('\n')
        .filter((line) => line.startsWith(name))
        .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
    const all = TOPICS.reduce((sum, topic) => sum + sent.get(topic)!.length, 0);
    const sampleReaders = sent.get(Topic.Samples)!.filter(({ by }) => !by).length;
    expect(total(values[0]!, 'tidemark_record_rejected_total')).toBe(all);
    expect(sampleReaders).toBeGreaterThan(10);
    expect(total(values[1]!, 'tidemark_detect_rejected')).toBe(sampleReaders);
    expect(total(values[2]!, 'tidemark_match_rejected_total')).toBe(sampleReaders);
    expect(log.metrics().deadLettered).toBe(expectedLetters());
    for (const stage of stages) expect(stage.health()).toMatchObject({ live: true, ready: true });
  });
});
