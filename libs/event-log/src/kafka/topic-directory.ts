import { EventLogError } from '../errors.js';
import { backoffDelay, sleep } from '../timing.js';
import type { Connections } from './connections.js';
import { check, Code, isRefused, ProtocolError } from './protocol-errors.js';

/** Leader of each partition, by number; −1 where there is none at the moment. */
export interface TopicLayout {
  leaders: readonly number[];
}

interface Metadata {
  brokers: { nodeId: number; host: string; port: number }[];
  topicMetadata: {
    topicErrorCode: number;
    topic: string;
    partitionMetadata: { partitionId: number; leader: number; partitionErrorCode: number }[];
  }[];
}

/** A broker that has not heard of a new topic yet is asked again this often. */
const UNKNOWN_TRIES = 4;
const UNKNOWN_PAUSE = { initialMs: 100, maxMs: 400 };

/** What the brokers say about topics: which there are, how many partitions they have, and who leads them. */
export class TopicDirectory {
  readonly #connections: Connections;
  readonly #known = new Map<string, TopicLayout>();
  readonly #asking = new Map<string, Promise<TopicLayout>>();
  readonly #listeners = new Set<() => void>();

  constructor(connections: Connections) {
    this.#connections = connections;
  }

  known(topic: string): TopicLayout | undefined {
    return this.#known.get(topic);
  }

  /** Whoever asks, for whatever reason: everybody who works by the answer is told that there is a new one. */
  onAnswer(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** Takes over what another part of the log knows, so that it need not be asked again. */
  adopt(topic: string, layout: TopicLayout): void {
    this.#known.set(topic, layout);
  }

  /** Throws EVENT_LOG_UNKNOWN_TOPIC after a few tries, EVENT_LOG_UNAVAILABLE when no broker answers. */
  async find(topic: string, signal: AbortSignal): Promise<TopicLayout> {
    for (let attempt = 1; ; attempt++) {
      try {
        return this.#known.get(topic) ?? (await this.refresh(topic));
      } catch (error) {
        const unknown = error instanceof EventLogError && error.code === 'EVENT_LOG_UNKNOWN_TOPIC';
        if (!unknown || attempt >= UNKNOWN_TRIES || signal.aborted) throw error;
        await sleep(backoffDelay(attempt, UNKNOWN_PAUSE), signal);
      }
    }
  }

  /** Asks anew; calls for one topic at the same time share the answer. */
  refresh(topic: string): Promise<TopicLayout> {
    let asking = this.#asking.get(topic);
    if (!asking) {
      asking = this.#ask(topic).finally(() => this.#asking.delete(topic));
      this.#asking.set(topic, asking);
    }
    return asking;
  }

  async #ask(topic: string): Promise<TopicLayout> {
    const answer = (await this.#connections.askAny('Metadata', {
      topics: [topic],
      allowAutoTopicCreation: false,
    })) as unknown as Metadata;
    this.#connections.learn(answer.brokers);
    const found = answer.topicMetadata.find((one) => one.topic === topic);
    const code = found?.topicErrorCode ?? Code.UnknownTopic;
    if (code === Code.UnknownTopic || code === Code.InvalidTopic) throw unknownTopic(topic);
    if (isRefused(code)) throw refusedTopic(topic, code);
    check(code, 'Metadata', topic);
    const leaders = new Array<number>(found!.partitionMetadata.length).fill(-1);
    for (const { partitionId, leader } of found!.partitionMetadata) leaders[partitionId] = leader;
    if (leaders.length === 0) throw new ProtocolError(Code.LeaderNotAvailable, 'Metadata', topic);
    const layout = { leaders };
    this.#known.set(topic, layout);
    for (const listener of this.#listeners) listener();
    return layout;
  }
}

export function unknownTopic(topic: string): EventLogError {
  return new EventLogError(
    'EVENT_LOG_UNKNOWN_TOPIC',
    `topic ${JSON.stringify(topic.slice(0, 249))} does not exist: make it with ensureTopics first`,
    false,
  );
}

export function refusedTopic(topic: string, code: number): EventLogError {
  return new EventLogError(
    'EVENT_LOG_ACCESS',
    `Kafka refuses access to topic ${topic} (error ${code}): give the user of kafka.username the rights to read and write it`,
    false,
  );
}
