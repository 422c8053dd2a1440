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
import { openJournalStorage } from '../journal/journal-storage.js';
import { resolveSubscribeOptions } from '../subscribe-options.js';
import { settledBy } from '../timing.js';
import { partitionOf } from '../partitioner.js';
import { recordBytes } from '../record-bytes.js';
import { Broker } from './broker.js';
import { MemorySubscription } from './memory-subscription.js';
import { createMemoryStorage } from './memory-storage.js';
import { resolveOptions, type MemoryEventLogOptions, type ResolvedOptions } from './options.js';
import type { NewRecord } from './store.js';
import type { Topic } from './topic.js';

const CLOSE_MS = 10_000;
/** Files are given this long to be closed, also behind the deadline. */
const FILES_MS = 1_000;

/** An event log inside this process: the same promises as a cluster, for one process. */
export async function createMemoryEventLog(options: MemoryEventLogOptions = {}): Promise<EventLog> {
  const resolved = resolveOptions(options);
  const broker = await openBroker(resolved);
  return new MemoryEventLog(broker, resolved, () => broker.close());
}

/** For tests that need a broker to outlive its clients, or several clients of one broker. */
export async function openBroker(options: ResolvedOptions): Promise<Broker> {
  const { journal, onWarning } = options;
  const storage = journal ? await openJournalStorage({ ...journal, warn: onWarning }) : createMemoryStorage();
  return Broker.open(storage, options);
}

/** A client of a broker: what one process of a cluster would hold. */
export class MemoryEventLog implements EventLog {
  readonly #broker: Broker;
  readonly #options: ResolvedOptions;
  readonly #onClosed: () => Promise<void>;
  readonly #subscriptions = new Set<MemorySubscription>();
  readonly #counts = { appendedRecords: 0, appendedBytes: 0, deadLettered: 0, retries: 0, rebalances: 0 };
  #closing: Promise<void> | undefined;
  /** Subscriptions drain; what their handlers append meanwhile is still taken. */
  #draining = false;
  #closed = false;

  constructor(broker: Broker, options: ResolvedOptions, onClosed: () => Promise<void> = () => Promise.resolve()) {
    this.#broker = broker;
    this.#options = options;
    this.#onClosed = onClosed;
  }

  async ensureTopics(topics: readonly TopicSpec[]): Promise<void> {
    this.#checkOpen();
    await this.#broker.ensureTopics(topics);
  }

  async append(records: readonly OutgoingRecord[]): Promise<void> {
    if (this.#closed) throw closed();
    await this.#append(records);
  }

  async #append(records: readonly OutgoingRecord[]): Promise<void> {
    const batches = new Map<Topic, Map<number, NewRecord[]>>();
    let bytes = 0;
    for (const record of records) {
      const topic = this.#broker.topic(record.topic);
      const stored = this.#toNewRecord(record);
      bytes += stored.bytes;
      const partition = partitionOf(record.key, topic.partitions.length);
      let batch = batches.get(topic);
      if (!batch) batches.set(topic, (batch = new Map()));
      const known = batch.get(partition);
      if (known) known.push(stored);
      else batch.set(partition, [stored]);
    }
    const results = await Promise.allSettled([...batches].map(([topic, batch]) => topic.append(batch)));
    const failed = results.find((result) => result.status === 'rejected');
    if (failed) throw failed.reason;
    this.#counts.appendedRecords += records.length;
    this.#counts.appendedBytes += bytes;
  }

  #toNewRecord({ topic, key, value, headers, timestamp }: OutgoingRecord): NewRecord {
    const size = (value?.byteLength ?? 0) + Buffer.byteLength(key);
    if (size > this.#options.maxRecordBytes) {
      throw new EventLogError(
        'EVENT_LOG_RECORD_TOO_LARGE',
        `record of ${topic} with key ${JSON.stringify(key.slice(0, 80))} has ${size} bytes, at most ${this.#options.maxRecordBytes} are allowed: cut it into parts`,
        false,
      );
    }
    const kept = Object.freeze({ ...headers });
    return {
      key,
      value,
      headers: kept,
      timestamp: timestamp ?? Date.now(),
      bytes: recordBytes({ key, value, headers: kept }),
    };
  }

  subscribe(given: SubscribeOptions): Promise<Subscription> {
    try {
      this.#checkOpen();
      const options = resolveSubscribeOptions(given);
      const topic = this.#broker.topic(options.topic);
      const { commitIntervalMs, rebalanceTimeoutMs, retry } = this.#options;
      const subscription = new MemorySubscription(options, {
        topic,
        group: options.ephemeral ? undefined : this.#broker.group(topic, options.group),
        commitIntervalMs,
        rebalanceTimeoutMs,
        retry,
        deadLetter: (record, reason, tries) => this.#deadLetter(record, options, reason, tries),
        onFailure: () => void this.#counts.retries++,
        onRebalance: () => void this.#counts.rebalances++,
        onEnd: (ended) => this.#subscriptions.delete(ended),
      });
      this.#subscriptions.add(subscription);
      return Promise.resolve(subscription);
    } catch (error) {
      return Promise.reject(error as Error);
    }
  }

  async #deadLetter(record: LogRecord, options: SubscribeOptions, reason: unknown, tries: number): Promise<void> {
    // A live view reads what others process too, and a dead-letter topic has none of its own: both skip and count.
    if (!options.ephemeral && !isDeadLetterTopic(record.topic)) {
      await this.#append([toDeadLetter(record, options.group, reason, tries)]);
    }
    this.#counts.deadLettered++;
  }

  async lag(topic: string, group: string): Promise<PartitionLag[]> {
    this.#checkOpen();
    return this.#broker.lag(topic, group);
  }

  metrics(): EventLogMetrics {
    let inFlightBytes = 0;
    for (const subscription of this.#subscriptions) inFlightBytes += subscription.inFlightBytes;
    return {
      ...this.#counts,
      inFlightBytes,
      retainedBytes: this.#broker.memoryBytes,
      journalBytes: this.#broker.journalBytes,
      droppedRecords: this.#broker.droppedRecords,
    };
  }

  close(deadlineMs: number = CLOSE_MS): Promise<void> {
    this.#closing ??= this.#close(deadlineMs);
    return this.#closing;
  }

  async #close(deadlineMs: number): Promise<void> {
    this.#draining = true;
    const deadline = performance.now() + deadlineMs;
    await Promise.all([...this.#subscriptions].map((subscription) => subscription.drain(deadlineMs)));
    this.#closed = true;
    // A disk that does not answer must not keep the process.
    await settledBy(this.#onClosed(), Math.max(deadline, performance.now() + FILES_MS));
  }

  /** Dies as a killed process does: nothing is closed, committed or told. */
  abandon(): void {
    this.#draining = true;
    this.#closed = true;
    this.#closing ??= Promise.resolve();
    for (const subscription of [...this.#subscriptions]) subscription.abandon();
  }

  #checkOpen(): void {
    if (this.#draining) throw closed();
  }
}

function closed(): EventLogError {
  return new EventLogError('EVENT_LOG_CLOSED', 'the event log is closed: open it again to use it', false);
}
