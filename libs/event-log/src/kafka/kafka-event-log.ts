import { setMaxListeners } from 'node:events';
import type { TopicSpec } from '@tidemark/contracts';
import { isDeadLetterTopic, toDeadLetter } from '../dead-letter.js';
import { EventLogError } from '../errors.js';
import type {
  EventLog,
  EventLogMetrics,
  LogRecord,
  OutgoingRecord,
  PartitionLag,
  SubscribeOptions,
  Subscription,
} from '../event-log.js';
import { resolveSubscribeOptions } from '../subscribe-options.js';
import { backoffDelay, settledBy, sleep } from '../timing.js';
import { Appender } from './appender.js';
import { Connections, unavailable } from './connections.js';
import { quietly, reasonOf, type Warn } from './failures.js';
import { findCoordinator, readPositions } from './group-member.js';
import { groupName, KafkaSubscription } from './kafka-subscription.js';
import { EARLIEST, findOffsets, LATEST } from './offsets.js';
import { resolveKafkaOptions, type KafkaEventLogOptions, type ResolvedKafkaOptions } from './options.js';
import { Producer } from './producer.js';
import { TopicDirectory } from './topic-directory.js';
import { ensureTopics } from './topics.js';

const CLOSE_MS = 10_000;
/** Sockets are given this long to be closed, also behind the deadline. */
const SOCKETS_MS = 1_500;
const PAUSE = { initialMs: 100, maxMs: 2_000 };
/** How long a question about a topic is asked again while the brokers elect leaders. */
const ASK_MS = 10_000;

/**
 * An event log in a Kafka cluster (2.4 or newer). Resolves when a broker has answered; rejects with EVENT_LOG_UNAVAILABLE
 * when none does within `connectTimeoutMs`, and with EVENT_LOG_ACCESS at once when they refuse who asks.
 */
export async function createKafkaEventLog(given: KafkaEventLogOptions): Promise<EventLog> {
  const options = resolveKafkaOptions(given);
  const warn = quietly(options.onWarning);
  let connected = false;
  // What goes wrong before is told by the error.
  const connections = new Connections(options, (line, about) => connected && warn(line, about));
  try {
    await connect(connections, options);
  } catch (error) {
    await connections.close();
    throw error;
  }
  connected = true;
  return new KafkaEventLog(options, connections, warn);
}

async function connect(connections: Connections, options: ResolvedKafkaOptions): Promise<void> {
  const never = new AbortController().signal;
  const end = performance.now() + options.connectTimeoutMs;
  let last: unknown;
  for (let attempt = 1; performance.now() < end; attempt++) {
    let answered = false;
    const asked = connections.askAny('Metadata', { topics: ['__tidemark'], allowAutoTopicCreation: false }).then(
      (answer) => {
        connections.learn(answer['brokers'] as never);
        answered = true;
      },
      (error: unknown) => (last = error),
    );
    await settledBy(asked, end);
    if (answered) return;
    if (last instanceof EventLogError && !last.retriable) throw last;
    await sleep(Math.min(backoffDelay(attempt, PAUSE), Math.max(0, end - performance.now())), never);
  }
  const why = last === undefined ? '' : `: ${reasonOf(last)}`;
  throw unavailable(
    `no broker of ${options.brokers.join(', ')} within ${options.connectTimeoutMs} ms${why}${hint(last, options)}`,
    last,
  );
}

/** A broker that hangs up, or listens and says nothing, may want to be spoken to in another way. */
function hint(error: unknown, { tls, sasl }: ResolvedKafkaOptions): string {
  if (error !== undefined && !/clos|ECONNRESET|socket|timed out|timeout|does not speak Kafka/i.test(reasonOf(error))) {
    return '';
  }
  const ways = [
    tls ? 'does not speak TLS there (kafka.tls false)' : 'wants TLS (kafka.tls true)',
    ...(sasl ? [] : ['wants a password (kafka.mechanism)']),
  ];
  return `; if it runs, it ${ways.join(' or ')}`;
}

export class KafkaEventLog implements EventLog {
  readonly #options: ResolvedKafkaOptions;
  readonly #connections: Connections;
  readonly #directory: TopicDirectory;
  readonly #producer: Producer;
  readonly #appender: Appender;
  readonly #subscriptions = new Set<KafkaSubscription>();
  readonly #counts = { deadLettered: 0, droppedRecords: 0, retries: 0, rebalances: 0 };
  readonly #warn: Warn;
  readonly #ended = new AbortController();
  #closing: Promise<void> | undefined;
  /** Subscriptions drain; what their handlers append meanwhile is still taken. */
  #draining = false;

  constructor(options: ResolvedKafkaOptions, connections: Connections, warn: Warn) {
    this.#options = options;
    this.#connections = connections;
    // Whatever waits, for each partition and call, listens for the end.
    setMaxListeners(0, this.#ended.signal);
    this.#warn = warn;
    this.#directory = new TopicDirectory(connections);
    this.#producer = new Producer({
      connections,
      directory: this.#directory,
      requestTimeoutMs: options.requestTimeoutMs,
      warn: this.#warn,
    });
    const { prefix, maxRecordBytes, appendTimeoutMs } = options;
    const ports = { producer: this.#producer, directory: this.#directory, prefix, maxRecordBytes, appendTimeoutMs };
    this.#appender = new Appender(ports);
  }

  async ensureTopics(topics: readonly TopicSpec[]): Promise<void> {
    this.#checkOpen();
    await ensureTopics(topics, {
      connections: this.#connections,
      directory: this.#directory,
      options: this.#options,
      signal: this.#ended.signal,
    });
  }

  async append(records: readonly OutgoingRecord[]): Promise<void> {
    if (this.#ended.signal.aborted) throw closed();
    await this.#appender.append(records);
  }

  async subscribe(given: SubscribeOptions): Promise<Subscription> {
    this.#checkOpen();
    const options = resolveSubscribeOptions(given);
    const name = this.#options.prefix + options.topic;
    const layout = await this.#answered(() => this.#directory.find(name, this.#ended.signal));
    this.#checkOpen();
    // Sockets of its own: a broker answers the requests of one socket one after another, and some of them wait.
    const connections = new Connections(this.#options, this.#warn, this.#connections);
    const directory = new TopicDirectory(connections);
    directory.adopt(name, layout);
    const subscription = new KafkaSubscription(options, {
      kafka: this.#options,
      connections,
      aside: this.#connections,
      directory,
      deadLetter: (record, reason, tries) => this.#deadLetter(record, options, reason, tries),
      onFailure: () => void this.#counts.retries++,
      onRebalance: () => void this.#counts.rebalances++,
      onDropped: (records) => void (this.#counts.droppedRecords += records),
      onEnd: (ended) => this.#subscriptions.delete(ended),
      warn: this.#warn,
    });
    this.#subscriptions.add(subscription);
    return subscription;
  }

  async #deadLetter(record: LogRecord, options: SubscribeOptions, reason: unknown, tries: number): Promise<void> {
    // A live view reads what others process too, and a dead-letter topic has none of its own: both skip and count.
    if (!options.ephemeral && !isDeadLetterTopic(record.topic)) {
      await this.#appender.append([toDeadLetter(record, options.group, reason, tries)]);
    }
    this.#counts.deadLettered++;
  }

  async lag(topic: string, group: string): Promise<PartitionLag[]> {
    this.#checkOpen();
    const name = this.#options.prefix + topic;
    return this.#answered(async () => {
      const { leaders } = await this.#directory.find(name, this.#ended.signal);
      const partitions = leaders.map((_, partition) => partition);
      try {
        const [committed, starts, ends] = await Promise.all([
          this.#committed(topic, group, partitions),
          findOffsets(this.#connections, this.#directory, name, partitions, EARLIEST),
          findOffsets(this.#connections, this.#directory, name, partitions, LATEST),
        ]);
        return partitions.map((partition) => {
          const at = committed.get(partition)?.offset;
          const end = ends.get(partition)!;
          const start = starts.get(partition)!;
          return { partition, committed: at, end, lag: Math.max(0, end - Math.max(start, at ?? start)) };
        });
      } catch (error) {
        await this.#directory.refresh(name).catch(() => {});
        throw error;
      }
    });
  }

  async #committed(topic: string, group: string, partitions: number[]): ReturnType<typeof readPositions> {
    const { prefix } = this.#options;
    const name = groupName(prefix, group, topic);
    const coordinator = await findCoordinator(this.#connections, name);
    return readPositions(this.#connections, coordinator, name, prefix + topic, partitions);
  }

  /** Asks again for a while: after the death of a broker the others take some time to elect leaders. */
  async #answered<T>(ask: () => Promise<T>): Promise<T> {
    const end = performance.now() + ASK_MS;
    for (let attempt = 1; ; attempt++) {
      try {
        return await ask();
      } catch (error) {
        if (this.#ended.signal.aborted) throw closed();
        if (error instanceof EventLogError && !error.retriable) throw error;
        if (performance.now() > end) {
          throw error instanceof EventLogError ? error : unavailable((error as Error).message, error);
        }
        await sleep(backoffDelay(attempt, PAUSE), this.#ended.signal);
      }
    }
  }

  metrics(): EventLogMetrics {
    let inFlightBytes = 0;
    let retainedBytes = this.#appender.waitingBytes;
    for (const subscription of this.#subscriptions) {
      inFlightBytes += subscription.inFlightBytes;
      retainedBytes += subscription.waitingBytes;
    }
    return { ...this.#appender.counts, ...this.#counts, inFlightBytes, retainedBytes, journalBytes: 0 };
  }

  close(deadlineMs: number = CLOSE_MS): Promise<void> {
    this.#closing ??= this.#close(deadlineMs);
    return this.#closing;
  }

  async #close(deadlineMs: number): Promise<void> {
    this.#draining = true;
    const deadline = performance.now() + deadlineMs;
    const subscriptions = [...this.#subscriptions];
    await Promise.all(subscriptions.map((subscription) => subscription.drain(deadlineMs)));
    this.#end();
    // A broker that does not answer must not keep the process.
    const left = Promise.all(subscriptions.map((one) => one.settled()));
    await settledBy(left, Math.max(deadline, performance.now() + SOCKETS_MS));
    await this.#connections.close();
  }

  #end(): void {
    this.#ended.abort();
    this.#appender.close();
    this.#producer.close();
  }

  /** Dies as a killed process does: nothing is closed, committed or told. */
  async abandon(): Promise<void> {
    this.#draining = true;
    this.#closing ??= Promise.resolve();
    this.#end();
    await Promise.all([...[...this.#subscriptions].map((one) => one.abandon()), this.#connections.close()]);
  }

  #checkOpen(): void {
    if (this.#draining) throw closed();
  }
}

function closed(): EventLogError {
  return new EventLogError('EVENT_LOG_CLOSED', 'the event log is closed: open it again to use it', false);
}
