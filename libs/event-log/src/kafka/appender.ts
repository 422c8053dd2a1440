import { EventLogError } from '../errors.js';
import type { OutgoingRecord } from '../event-log.js';
import { partitionOf } from '../partitioner.js';
import { recordBytes } from '../record-bytes.js';
import { unavailable } from './connections.js';
import type { Producer } from './producer.js';
import { Room, type Chunk, type Message } from './producer-queue.js';
import type { TopicDirectory } from './topic-directory.js';

/** Records that wait for the brokers, of all appends together; later ones wait for room. */
const QUEUE_BYTES = 64 * 1024 * 1024;

export interface AppenderPorts {
  producer: Producer;
  directory: TopicDirectory;
  prefix: string;
  maxRecordBytes: number;
  appendTimeoutMs: number;
}

/** Takes appends in the order of their calls and settles each within its time. */
export class Appender {
  readonly #ports: AppenderPorts;
  readonly #room = new Room(QUEUE_BYTES);
  readonly #calls = new Set<AppendCall>();
  /** Appends that must wait before they are taken (for what is known of a topic, or for room), one after another. */
  #entry: Promise<void> | undefined;
  readonly counts = { appendedRecords: 0, appendedBytes: 0 };

  constructor(ports: AppenderPorts) {
    this.#ports = ports;
  }

  get waitingBytes(): number {
    return this.#room.bytes;
  }

  async append(records: readonly OutgoingRecord[]): Promise<void> {
    if (records.length === 0) return;
    for (const record of records) this.#checkSize(record);
    const call = new AppendCall(this.#ports.appendTimeoutMs, () => this.#ports.producer.dropSettled());
    this.#calls.add(call);
    if (this.#entry === undefined && this.#canTake(records)) this.#take(records, call);
    else this.#takeInTurn(records, call);
    try {
      await call.done;
    } finally {
      this.#calls.delete(call);
    }
  }

  #canTake(records: readonly OutgoingRecord[]): boolean {
    return !this.#room.isFull && records.every(({ topic }) => this.#ports.directory.known(this.#ports.prefix + topic));
  }

  #takeInTurn(records: readonly OutgoingRecord[], call: AppendCall): void {
    const entry = (this.#entry ?? Promise.resolve())
      .then(async () => {
        const { signal } = call;
        for (const topic of new Set(records.map((record) => this.#ports.prefix + record.topic))) {
          if (!signal.aborted) await this.#ports.directory.find(topic, signal);
        }
        while (this.#room.isFull && !signal.aborted) await this.#room.freed(signal);
        if (!signal.aborted) this.#take(records, call);
      })
      .catch((error: unknown) => call.finish(error as Error))
      .finally(() => {
        if (this.#entry === entry) this.#entry = undefined;
      });
    this.#entry = entry;
  }

  #take(records: readonly OutgoingRecord[], call: AppendCall): void {
    const parts = new Map<string, Map<number, Message[]>>();
    const now = Date.now();
    let bytes = 0;
    for (const record of records) {
      const topic = this.#ports.prefix + record.topic;
      const { leaders } = this.#ports.directory.known(topic)!;
      const partition = partitionOf(record.key, leaders.length);
      let partitions = parts.get(topic);
      if (!partitions) parts.set(topic, (partitions = new Map()));
      const message = toMessage(record, now);
      bytes += message.bytes;
      const list = partitions.get(partition);
      if (list) list.push(message);
      else partitions.set(partition, [message]);
    }
    this.#room.take(bytes);
    call.done.then(
      () => {
        this.#room.give(bytes);
        this.counts.appendedRecords += records.length;
        this.counts.appendedBytes += bytes;
      },
      () => this.#room.give(bytes),
    );
    let left = 0;
    for (const partitions of parts.values()) left += partitions.size;
    const chunkOf = (messages: Message[]): Chunk => ({
      messages,
      get settled() {
        return call.signal.aborted;
      },
      settle(error) {
        if (error || --left === 0) call.finish(error);
      },
    });
    for (const [topic, partitions] of parts) {
      for (const [partition, messages] of partitions) this.#ports.producer.push(topic, partition, chunkOf(messages));
    }
  }

  #checkSize({ topic, key, value }: OutgoingRecord): void {
    const size = (value?.byteLength ?? 0) + Buffer.byteLength(key);
    if (size <= this.#ports.maxRecordBytes) return;
    throw new EventLogError(
      'EVENT_LOG_RECORD_TOO_LARGE',
      `record of ${topic} with key ${JSON.stringify(key.slice(0, 80))} has ${size} bytes, at most ${this.#ports.maxRecordBytes} are allowed: cut it into parts`,
      false,
    );
  }

  /** Appends that are still waiting are rejected. */
  close(): void {
    const closed = new EventLogError('EVENT_LOG_CLOSED', 'the event log was closed', false);
    for (const call of this.#calls) call.finish(closed);
  }
}

/** One call of `append`, from its start until it is settled. */
class AppendCall {
  readonly done: Promise<void>;
  readonly #settled = new AbortController();
  readonly #timer: NodeJS.Timeout;
  #resolve: () => void = () => {};
  #reject: (error: Error) => void = () => {};

  constructor(timeoutMs: number, onGivenUp: () => void) {
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.done.catch(() => {});
    this.#timer = setTimeout(() => {
      this.finish(unavailable(`no answer to an append within ${timeoutMs} ms; it may be written or not`));
      onGivenUp();
    }, timeoutMs);
  }

  /** Aborts when the call is settled. */
  get signal(): AbortSignal {
    return this.#settled.signal;
  }

  finish(error?: Error): void {
    if (this.signal.aborted) return;
    clearTimeout(this.#timer);
    if (error) this.#reject(error);
    else this.#resolve();
    this.#settled.abort();
  }
}

function toMessage({ key, value, headers, timestamp }: OutgoingRecord, now: number): Message {
  return {
    key: Buffer.from(key),
    value: value && (Buffer.isBuffer(value) ? value : Buffer.from(value.buffer, value.byteOffset, value.byteLength)),
    headers: { ...headers },
    timestamp: timestamp ?? now,
    bytes: recordBytes({ key, value, headers: headers ?? {} }),
  };
}
