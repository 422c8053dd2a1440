import { deadLetterTopic, type TopicSpec } from '@tidemark/contracts';
import { isDeadLetterTopic } from '../dead-letter.js';
import { EventLogError } from '../errors.js';
import { backoffDelay, sleep } from '../timing.js';
import { unavailable, type Connections } from './connections.js';
import { causeOf } from './failures.js';
import type { ResolvedKafkaOptions } from './options.js';
import { check, Code, isRefused } from './protocol-errors.js';
import type { TopicDirectory } from './topic-directory.js';

const TOPIC_NAME = /^(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}$/;
const MAX_PARTITIONS = 1024;
const DAY_MS = 24 * 3_600_000;
const DEAD_LETTER_RETENTION_MS = 7 * DAY_MS;
/** Headers of a record, and what a batch adds to it, beside its key and value. */
const AROUND_BYTES = 1024 * 1024;
const CREATE_MS = 10_000;
const PAUSE = { initialMs: 100, maxMs: 1_000 };
const TOPIC_RESOURCE = 2;

export interface TopicsPorts {
  connections: Connections;
  directory: TopicDirectory;
  options: ResolvedKafkaOptions;
  signal: AbortSignal;
}

/** Makes the topics that are missing and a dead-letter topic for each; compares those that exist. */
export async function ensureTopics(specs: readonly TopicSpec[], ports: TopicsPorts): Promise<void> {
  for (const spec of specs) checkSpec(spec, ports.options.prefix);
  const wanted = withDeadLetters(specs);
  const existing = new Set<string>();
  await untilAnswered(ports, async () => {
    for (const name of await create(wanted, ports)) existing.add(name);
  });
  const named = new Set(specs.map(({ name }) => name));
  for (const spec of wanted) {
    await untilAnswered(ports, () => waitForLeaders(spec, ports));
    // A dead-letter topic that somebody set up in another way serves as well.
    if (existing.has(spec.name) && named.has(spec.name)) await untilAnswered(ports, () => compare(spec, ports));
  }
}

function withDeadLetters(specs: readonly TopicSpec[]): TopicSpec[] {
  const all = new Map(specs.map((spec) => [spec.name, spec]));
  for (const { name } of specs) {
    const dead = deadLetterTopic(name);
    if (isDeadLetterTopic(name) || all.has(dead)) continue;
    all.set(dead, { name: dead, partitions: 1, cleanup: 'delete', retentionMs: DEAD_LETTER_RETENTION_MS });
  }
  return [...all.values()];
}

/** Tries again while the brokers are away or elect leaders, as long as a connection may take. */
async function untilAnswered(ports: TopicsPorts, work: () => Promise<void>): Promise<void> {
  const end = performance.now() + ports.options.connectTimeoutMs;
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      const final = error instanceof EventLogError && !error.retriable && error.code !== 'EVENT_LOG_UNKNOWN_TOPIC';
      if (final || ports.signal.aborted) throw error;
      if (performance.now() > end) throw unavailable(`topics could not be made: ${causeOf(error).message}`, error);
      await sleep(backoffDelay(attempt, PAUSE), ports.signal);
    }
  }
}

/** Names of those that existed before. */
async function create(specs: readonly TopicSpec[], { connections, options }: TopicsPorts): Promise<string[]> {
  const answer = (await connections.askAny('CreateTopics', {
    topics: specs.map((spec) => ({
      topic: options.prefix + spec.name,
      numPartitions: spec.partitions,
      replicationFactor: options.replicationFactor ?? -1,
      configEntries: Object.entries(configOf(spec, options)).map(([name, value]) => ({ name, value })),
    })),
    validateOnly: false,
    timeout: CREATE_MS,
  })) as unknown as { topicErrors: { topic: string; errorCode: number; errorMessage: string | null }[] };
  const existing: string[] = [];
  for (const { topic, errorCode, errorMessage } of answer.topicErrors) {
    if (errorCode === Code.TopicExists) existing.push(topic.slice(options.prefix.length));
    // Who may not make topics may use those that others made; those that are missing are told by their names.
    else if (isRefused(errorCode)) existing.push(topic.slice(options.prefix.length));
    else if (WRONG.includes(errorCode)) throw wrong(topic, errorMessage, options);
    else check(errorCode, 'CreateTopics', `${topic}${errorMessage ? `: ${errorMessage}` : ''}`);
  }
  return existing;
}

const READABLE = ['producer', 'uncompressed', 'gzip'];
const WRONG: readonly number[] = [
  Code.InvalidTopic,
  Code.InvalidPartitions,
  Code.InvalidReplicationFactor,
  Code.InvalidConfig,
  Code.InvalidRequest,
  Code.PolicyViolation,
];

function wrong(topic: string, why: string | null, { replicationFactor }: ResolvedKafkaOptions): EventLogError {
  const copies = replicationFactor === undefined ? '' : ` (kafka.replicationFactor is ${replicationFactor})`;
  return new EventLogError(
    'EVENT_LOG_INVALID',
    `topic ${topic} cannot be made: ${why ?? 'Kafka refuses it'}${copies}`,
    false,
  );
}

/** Settings of a topic as it is made. */
export function configOf(
  { cleanup, retentionMs }: Pick<TopicSpec, 'cleanup' | 'retentionMs'>,
  { maxRecordBytes }: Pick<ResolvedKafkaOptions, 'maxRecordBytes'>,
): Record<string, string> {
  return {
    'cleanup.policy': cleanup,
    ...(cleanup !== 'compact' && { 'retention.ms': String(retentionMs) }),
    // A group may be away for a day without missing a record to compaction.
    ...(cleanup !== 'delete' && { 'min.compaction.lag.ms': String(DAY_MS) }),
    // Not what the brokers may be set to: this client reads records as they are, or packed with gzip.
    'compression.type': 'producer',
    'max.message.bytes': String(maxRecordBytes + AROUND_BYTES),
    // A node whose clock is wrong loses nothing.
    'message.timestamp.type': 'CreateTime',
    'message.timestamp.after.max.ms': '9223372036854775807',
  };
}

async function waitForLeaders(spec: TopicSpec, { directory, options }: TopicsPorts): Promise<void> {
  const name = options.prefix + spec.name;
  const { leaders } = await directory.refresh(name);
  const without = leaders.findIndex((leader) => leader < 0);
  if (without >= 0) check(Code.LeaderNotAvailable, 'Metadata', `${name}[${without}]`);
}

async function compare(spec: TopicSpec, { connections, directory, options }: TopicsPorts): Promise<void> {
  const name = options.prefix + spec.name;
  const { leaders } = await directory.refresh(name);
  if (leaders.length !== spec.partitions) {
    throw differs(
      name,
      'partitions',
      leaders.length,
      spec.partitions,
      partitionsCommand(name, leaders.length, spec, options),
    );
  }
  const compared = ['cleanup.policy', 'compression.type', ...(spec.cleanup === 'compact' ? [] : ['retention.ms'])];
  const answer = (await connections.askAny('DescribeConfigs', {
    resources: [{ type: TOPIC_RESOURCE, name, configNames: compared }],
    includeSynonyms: false,
  })) as unknown as {
    resources: { errorCode: number; configEntries: { configName: string; configValue: string }[] }[];
  };
  const [resource] = answer.resources;
  // Without the right to see the settings nothing can be said about them.
  if (isRefused(resource?.errorCode)) return;
  check(resource?.errorCode ?? -1, 'DescribeConfigs', name);
  const wanted = configOf(spec, options);
  for (const { configName, configValue } of resource!.configEntries) {
    const want = wanted[configName];
    if (want === undefined || same(configName, configValue, want)) continue;
    const value = want.includes(',') ? `[${want}]` : want;
    const command = `kafka-configs.sh --bootstrap-server ${options.brokers[0]} --alter --entity-type topics --entity-name ${name} --add-config ${configName}=${value}`;
    throw differs(name, configName, configValue, want, command);
  }
}

function same(name: string, found: string, wanted: string): boolean {
  if (name === 'compression.type') return READABLE.includes(found);
  if (name !== 'cleanup.policy') return found === wanted;
  const sorted = (text: string): string =>
    text
      .split(',')
      .map((one) => one.trim())
      .sort()
      .join();
  return sorted(found) === sorted(wanted);
}

function partitionsCommand(name: string, found: number, spec: TopicSpec, { brokers }: ResolvedKafkaOptions): string {
  return found < spec.partitions
    ? `kafka-topics.sh --bootstrap-server ${brokers[0]} --alter --topic ${name} --partitions ${spec.partitions} (keys move to other partitions)`
    : 'none: Kafka cannot take partitions away, so delete the topic or use another kafka.prefix';
}

function differs(name: string, setting: string, found: unknown, wanted: unknown, command: string): EventLogError {
  return new EventLogError(
    'EVENT_LOG_TOPIC_DIFFERS',
    `topic ${name} exists with ${setting} ${found}, wanted is ${wanted}: ask for what exists, or change it: ${command}`,
    false,
  );
}

function checkSpec({ name, partitions, retentionMs }: TopicSpec, prefix: string): void {
  const why = !TOPIC_NAME.test(deadLetterTopic(prefix + name))
    ? `topic name ${JSON.stringify((prefix + name).slice(0, 300))} must be 1 to 245 letters, digits, '.', '_' or '-'`
    : !Number.isInteger(partitions) || partitions < 1 || partitions > MAX_PARTITIONS
      ? `topic ${name}: partitions ${partitions} must be a whole number from 1 to ${MAX_PARTITIONS}`
      : !(retentionMs > 0)
        ? `topic ${name}: retentionMs ${retentionMs} must be above 0`
        : undefined;
  if (why) throw new EventLogError('EVENT_LOG_INVALID', why, false);
}
