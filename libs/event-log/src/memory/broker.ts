import { deadLetterTopic, type TopicSpec } from '@tidemark/contracts';
import { isDeadLetterTopic } from '../dead-letter.js';
import { EventLogError } from '../errors.js';
import type { CommittedPosition, PartitionLag } from '../event-log.js';
import { Group } from './group.js';
import type { PartitionStore } from './store.js';
import { Topic, type TopicLimits } from './topic.js';

const TOPIC_NAME = /^(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}$/;
const MAX_PARTITIONS = 1024;
const DEAD_LETTER_RETENTION_MS = 7 * 24 * 3_600_000;

/** Where a broker keeps its records and positions. */
export interface Storage {
  /** Bytes held in memory, and on disk. */
  readonly memoryBytes: number;
  readonly journalBytes: number;
  /** Topics that exist already, and the positions of their groups. */
  readonly topics: readonly TopicSpec[];
  readonly positions: readonly StoredPosition[];
  openTopic(spec: TopicSpec): Promise<PartitionStore[]>;
  /** Keeps changed settings of a topic that is open. */
  saveTopic(spec: TopicSpec): Promise<void>;
  storePosition(position: StoredPosition): Promise<void>;
  close(): Promise<void>;
  /** Lets go of everything as the death of the process would. */
  abandon(): Promise<void>;
}

export interface StoredPosition {
  group: string;
  topic: string;
  partition: number;
  position: CommittedPosition;
}

export interface BrokerOptions extends TopicLimits {
  housekeepingMs: number;
}

/** The part of the embedded log that a cluster has in its brokers: topics, groups, retention. */
export class Broker {
  readonly #storage: Storage;
  readonly #options: BrokerOptions;
  readonly #topics = new Map<string, Topic>();
  /** Topics of an earlier run that nobody asked for yet: their retention may have been configured anew. */
  readonly #restored = new Set<string>();
  #housekeeper: NodeJS.Timeout | undefined;
  #ensuring: Promise<void> = Promise.resolve();

  private constructor(storage: Storage, options: BrokerOptions) {
    this.#storage = storage;
    this.#options = options;
  }

  static async open(storage: Storage, options: BrokerOptions): Promise<Broker> {
    const broker = new Broker(storage, options);
    try {
      await broker.#restore();
    } catch (error) {
      await storage.abandon();
      throw error;
    }
    broker.#housekeeper = setInterval(() => broker.#housekeep(), options.housekeepingMs);
    return broker;
  }

  async #restore(): Promise<void> {
    for (const spec of this.#storage.topics) {
      await this.#open(spec);
      this.#restored.add(spec.name);
    }
    for (const { group, topic, partition, position } of this.#storage.positions) {
      const known = this.#topics.get(topic);
      if (known) this.group(known, group).restore(partition, position);
    }
  }

  get memoryBytes(): number {
    return this.#storage.memoryBytes;
  }

  get journalBytes(): number {
    return this.#storage.journalBytes;
  }

  get droppedRecords(): number {
    let dropped = 0;
    for (const topic of this.#topics.values()) dropped += topic.droppedRecords;
    return dropped;
  }

  topic(name: string): Topic {
    const topic = this.#topics.get(name);
    if (topic) return topic;
    throw new EventLogError(
      'EVENT_LOG_UNKNOWN_TOPIC',
      `topic ${JSON.stringify(name.slice(0, 249))} does not exist: make it with ensureTopics first`,
      false,
    );
  }

  group(topic: Topic, name: string): Group {
    let group = topic.groups.get(name);
    if (!group) {
      const store = (partition: number, position: CommittedPosition): Promise<void> =>
        this.#storage.storePosition({ group: name, topic: topic.spec.name, partition, position });
      group = new Group(topic.spec.name, name, topic.partitions.length, store, () => topic.admit());
      topic.groups.set(name, group);
    }
    return group;
  }

  /** Makes the topics that are missing and a dead-letter topic for each. */
  ensureTopics(specs: readonly TopicSpec[]): Promise<void> {
    const done = this.#ensuring.then(async () => {
      for (const spec of specs) checkSpec(spec);
      const named = new Set(specs.map((spec) => spec.name));
      for (const spec of specs) await this.#ensure(spec);
      for (const { name } of specs) {
        const dead = deadLetterTopic(name);
        if (isDeadLetterTopic(name) || named.has(dead) || this.#topics.has(dead)) continue;
        await this.#open({ name: dead, partitions: 1, cleanup: 'delete', retentionMs: DEAD_LETTER_RETENTION_MS });
      }
    });
    this.#ensuring = done.catch(() => {});
    return done;
  }

  async #ensure(spec: TopicSpec): Promise<void> {
    const known = this.#topics.get(spec.name)?.spec;
    if (!known) return this.#open(spec);
    if (this.#restored.delete(spec.name) && known.retentionMs !== spec.retentionMs) {
      known.retentionMs = spec.retentionMs;
      await this.#storage.saveTopic(known);
    }
    for (const setting of ['partitions', 'cleanup', 'retentionMs'] as const) {
      if (known[setting] === spec[setting]) continue;
      throw new EventLogError(
        'EVENT_LOG_TOPIC_DIFFERS',
        `topic ${spec.name} exists with ${setting} ${known[setting]}, wanted is ${spec[setting]}: ask for what exists, or name a new topic`,
        false,
      );
    }
  }

  async #open(spec: TopicSpec): Promise<void> {
    const partitions = await this.#storage.openTopic(spec);
    this.#topics.set(spec.name, new Topic({ ...spec }, partitions, this.#options));
  }

  lag(topicName: string, groupName: string): PartitionLag[] {
    const topic = this.topic(topicName);
    const group = topic.groups.get(groupName);
    return topic.partitions.map(({ start, end }, partition) => {
      const committed = group?.committed(partition)?.offset;
      const floor = group?.floor(partition) ?? Infinity;
      const next = Math.max(start, floor === Infinity ? start : floor);
      return { partition, committed, end, lag: Math.max(0, end - next) };
    });
  }

  #housekeep(): void {
    const now = Date.now();
    for (const topic of this.#topics.values()) topic.housekeep(now);
  }

  async close(): Promise<void> {
    this.#stop();
    await this.#ensuring;
    await this.#storage.close();
  }

  async abandon(): Promise<void> {
    this.#stop();
    await this.#storage.abandon();
  }

  #stop(): void {
    clearInterval(this.#housekeeper);
    const closed = new EventLogError('EVENT_LOG_CLOSED', 'the event log is closed: open it again to append', false);
    for (const topic of this.#topics.values()) topic.close(closed);
  }
}

function checkSpec(spec: TopicSpec): void {
  const wrong = !TOPIC_NAME.test(spec.name)
    ? `topic name ${JSON.stringify(spec.name.slice(0, 300))} must be 1 to 249 letters, digits, '.', '_' or '-'`
    : !Number.isInteger(spec.partitions) || spec.partitions < 1 || spec.partitions > MAX_PARTITIONS
      ? `topic ${spec.name}: partitions ${spec.partitions} must be a whole number from 1 to ${MAX_PARTITIONS}`
      : !(spec.retentionMs > 0)
        ? `topic ${spec.name}: retentionMs ${spec.retentionMs} must be above 0`
        : undefined;
  if (wrong) throw new EventLogError('EVENT_LOG_INVALID', wrong, false);
}
