import { setMaxListeners } from 'node:events';
import { EventLogError } from '../errors.js';
import type { CommittedPosition, LogRecord, Subscription } from '../event-log.js';
import { PartitionSession } from '../partition-session.js';
import type { ResolvedSubscribeOptions } from '../subscribe-options.js';
import { backoffDelay, settledBy, sleep } from '../timing.js';
import type { Share } from './assigner.js';
import { findBeginning, type BeginningPorts } from './beginning.js';
import type { Connections } from './connections.js';
import { warnUnlessAway, type Warn } from './failures.js';
import { Fetcher } from './fetcher.js';
import { GroupMember, revoked } from './group-member.js';
import { findBounds } from './offsets.js';
import type { ResolvedKafkaOptions } from './options.js';
import { PartitionFeed } from './partition-feed.js';
import type { FetchedRecord } from './record-batch.js';
import type { TopicDirectory } from './topic-directory.js';

/** Leaving the group is given this long also when the deadline is over: the others wait for it. */
const LEAVE_MS = 1_000;
/** `offset.metadata.max.bytes` of a broker, by default. */
const MAX_METADATA_BYTES = 4096;
const TOGETHER_MS = 300;
const PAUSE = { initialMs: 50, maxMs: 2_000 };

export interface KafkaSubscriptionPorts {
  kafka: ResolvedKafkaOptions;
  connections: Connections;
  /** Sockets of the log, for what must not wait behind a request of the subscription. */
  aside: Connections;
  directory: TopicDirectory;
  deadLetter(record: LogRecord, reason: unknown, tries: number): Promise<void>;
  onFailure(error: unknown): void;
  /** A partition came from the group, or went. */
  onRebalance(): void;
  /** Records that went, or cannot be read, before they were delivered. */
  onDropped(records: number): void;
  onEnd(subscription: KafkaSubscription): void;
  warn: Warn;
}

/** One partition in the hands of this member. */
interface Slot {
  partition: number;
  /** Aborts when the partition is closed before its session began. */
  abort: AbortController;
  session: PartitionSession | undefined;
  feed: PartitionFeed | undefined;
  /** False when the group has given it to somebody else, or it is closed: nothing is committed any more. */
  mine: boolean;
  closing: Promise<void> | undefined;
}

/** One member of a group, or one ephemeral reader of all partitions. */
export class KafkaSubscription implements Subscription {
  readonly ready: Promise<void>;
  readonly failed: Promise<never>;
  readonly #options: ResolvedSubscribeOptions;
  readonly #ports: KafkaSubscriptionPorts;
  readonly #topic: string;
  readonly #member: GroupMember | undefined;
  readonly #fetcher: Fetcher;
  readonly #slots = new Map<number, Slot>();
  /** Partitions that were lost, until their handlers have ended. */
  readonly #lost = new Map<number, Promise<void>>();
  readonly #running = new Set<Promise<void>>();
  readonly #ended = new AbortController();
  #releasing = 0;
  #fail: (error: unknown) => void = () => {};
  #makeReady: () => void = () => {};
  #commitTimer: NodeJS.Timeout | undefined;
  #draining: Promise<void> | undefined;
  #teardown: Promise<void> | undefined;

  constructor(options: ResolvedSubscribeOptions, ports: KafkaSubscriptionPorts) {
    this.#options = options;
    this.#ports = ports;
    this.#topic = ports.kafka.prefix + options.topic;
    // Whatever waits, for each partition and call, listens for the end.
    setMaxListeners(0, this.#ended.signal);
    this.failed = new Promise<never>((_, reject) => (this.#fail = reject));
    this.failed.catch(() => {});
    this.ready = Promise.race([new Promise<void>((resolve) => (this.#makeReady = resolve)), this.failed]);
    this.ready.catch(() => {});
    this.#fetcher = this.#createFetcher();
    if (options.ephemeral) {
      const { leaders } = ports.directory.known(this.#topic)!;
      this.#onAssigned({ partitions: leaders.map((_, partition) => partition), pending: 0 });
    } else {
      this.#member = this.#createMember();
      this.#member.start();
    }
  }

  get inFlightBytes(): number {
    let bytes = 0;
    for (const { session } of this.#slots.values()) bytes += session?.inFlightBytes ?? 0;
    return bytes;
  }

  /** Fetched and not yet delivered. */
  get waitingBytes(): number {
    let bytes = 0;
    for (const { feed } of this.#slots.values()) bytes += feed?.bytes ?? 0;
    return bytes;
  }

  #createMember(): GroupMember {
    const { kafka, connections, aside, directory, warn } = this.#ports;
    return new GroupMember({
      connections,
      aside,
      directory,
      group: groupName(kafka.prefix, this.#options.group, this.#options.topic),
      topic: this.#topic,
      sessionTimeoutMs: kafka.sessionTimeoutMs,
      heartbeatMs: kafka.heartbeatMs,
      owned: () => [...this.#slots.keys()],
      onAssigned: (share) => this.#onAssigned(share),
      onLost: () => this.#onLost(),
      onFatal: (error) => this.#die(error),
      warn,
    });
  }

  #createFetcher(): Fetcher {
    const { kafka, connections, directory, onDropped, warn } = this.#ports;
    return new Fetcher({
      connections,
      directory,
      topic: this.#topic,
      fetchWaitMs: kafka.fetchWaitMs,
      fetchPauseMs: this.#options.maxWaitMs ?? kafka.fetchPauseMs,
      onOutOfRange: (feed) => this.#findPlace(feed),
      onUnreadable: onDropped,
      onFatal: (error) => this.#die(error),
      warn,
    });
  }

  #onAssigned({ partitions, pending }: Share): void {
    if (this.#draining) return;
    const given = new Set(partitions);
    for (const slot of this.#slots.values()) if (!given.has(slot.partition)) this.#release(slot);
    const granted = partitions
      .filter((partition) => !this.#slots.has(partition))
      .map((partition) => this.#grant(partition));
    const started = Promise.all(granted);
    if (pending === 0) void started.then(() => this.#makeReady());
  }

  /** Begins to serve a partition; resolves when delivery has begun, or never will. */
  #grant(partition: number, from?: number): Promise<void> {
    if (this.#member) this.#ports.onRebalance();
    const slot: Slot = {
      partition,
      abort: new AbortController(),
      session: undefined,
      feed: undefined,
      mine: true,
      closing: undefined,
    };
    this.#slots.set(partition, slot);
    return new Promise((resolve) => {
      const running = this.#serve(slot, from, resolve)
        .catch((error: unknown) => {
          if (slot.mine) this.#die(error);
        })
        .finally(() => {
          resolve();
          this.#running.delete(running);
        });
      this.#running.add(running);
    });
  }

  async #serve(slot: Slot, from: number | undefined, started: () => void): Promise<void> {
    // The handler of an earlier time ends before the next one begins.
    await this.#lost.get(slot.partition);
    const begin = await findBeginning(slot.partition, from, this.#beginningPorts(slot));
    if (!begin || slot.abort.signal.aborted) return;
    const session = this.#createSession(slot, begin.committed, begin.position);
    slot.session = session;
    await session.start();
    if (session.signal.aborted) return;
    const feed = new PartitionFeed(slot.partition, begin.position);
    slot.feed = feed;
    this.#fetcher.add(feed);
    started();
    try {
      await this.#pump(session, feed);
    } finally {
      this.#fetcher.remove(feed);
    }
  }

  #beginningPorts(slot: Slot): BeginningPorts {
    const { connections, directory, warn } = this.#ports;
    return {
      connections,
      directory,
      topic: this.#topic,
      from: this.#options.from,
      member: this.#member,
      stillMine: () => slot.mine,
      signal: slot.abort.signal,
      warn,
    };
  }

  #createSession(slot: Slot, committed: CommittedPosition | undefined, position: number): PartitionSession {
    const { kafka, deadLetter, onFailure } = this.#ports;
    return new PartitionSession({
      topic: this.#options.topic,
      partition: slot.partition,
      committed,
      position,
      maxInFlightBytes: this.#options.maxInFlightBytes,
      maxTries: this.#options.maxTries,
      retry: kafka.retry,
      assign: (context) => this.#options.assign(context),
      store: (next) => this.#store(slot, next),
      deadLetter,
      onFailure,
      onProgress: () => this.#commitSoon(),
    });
  }

  async #store(slot: Slot, position: CommittedPosition): Promise<void> {
    if (!this.#member) return;
    const bytes = Buffer.byteLength(position.metadata);
    if (bytes > MAX_METADATA_BYTES) {
      throw new EventLogError(
        'EVENT_LOG_INVALID',
        `commit of ${this.#options.topic}[${slot.partition}]: metadata has ${bytes} bytes, Kafka takes ${MAX_METADATA_BYTES}`,
        false,
      );
    }
    if (!slot.mine) throw revoked(this.#options.topic, slot.partition);
    await this.#member.commit(slot.partition, position, () => slot.mine);
  }

  async #pump(session: PartitionSession, feed: PartitionFeed): Promise<void> {
    const { signal } = session;
    for (; !signal.aborted; await nextTurn()) {
      await session.room();
      if (signal.aborted) return;
      const delivered = this.#deliverNext(session, feed);
      await (delivered ?? feed.arrived(signal));
    }
  }

  /**
   * Undefined when there is nothing to deliver. Not a part of the loop above, which would keep the last records, and all
   * that was decoded from them, while it waits for the next.
   */
  #deliverNext(session: PartitionSession, feed: PartitionFeed): Promise<void> | undefined {
    const records = feed.take(this.#options.maxBatchRecords, session.roomBytes);
    const delivered =
      records.length > 0
        ? session.deliver(records.map((record) => this.#toLogRecord(feed.partition, record)))
        : undefined;
    // Offsets between batches are not those of records.
    session.skipTo(feed.next);
    if (delivered && feed.wantsMore) this.#fetcher.look();
    return delivered;
  }

  #toLogRecord(partition: number, { offset, key, value, headers, timestamp }: FetchedRecord): LogRecord {
    return { topic: this.#options.topic, partition, offset, key, value, headers, timestamp };
  }

  /** The brokers do not have the position of a feed: the log begins behind it, or ends before it. */
  async #findPlace(feed: PartitionFeed): Promise<void> {
    const { onDropped, warn } = this.#ports;
    const slot = this.#slots.get(feed.partition);
    const name = `${this.#topic}[${feed.partition}]`;
    try {
      const { start, end } = await findBounds(
        this.#ports.connections,
        this.#ports.directory,
        this.#topic,
        feed.partition,
      );
      if (slot?.feed !== feed || !slot.mine) return;
      if (feed.position < start) {
        onDropped(start - feed.position);
        warn(`Kafka: ${name} lost ${start - feed.position} records to retention before they were read`);
        feed.skipTo(start);
      } else if (feed.position > end) {
        warn(`Kafka: ${name} ends at ${end}, before ${feed.position}: a broker lost records that were acknowledged`);
        await this.#close(slot, 'revoked');
        if (!this.#draining) void this.#grant(feed.partition, end);
      }
    } catch (error) {
      warnUnlessAway(warn, error, `Kafka: ${name} has no place to go on`, `place of ${name}`);
      await sleep(backoffDelay(1, PAUSE), this.#ended.signal);
    }
  }

  /** Gives a partition back, and asks the group to hand it on. */
  #release(slot: Slot): void {
    if (slot.closing) return;
    this.#ports.onRebalance();
    this.#releasing++;
    void this.#close(slot, 'revoked').then(async () => {
      // Those that close together are handed on together; one that takes its time does not hold up the others.
      if (--this.#releasing > 0) await sleep(TOGETHER_MS, this.#ended.signal);
      this.#member?.rejoin();
    });
  }

  /** Lets the handler end while the partition is still this member's; then it is not any more. */
  #close(slot: Slot, reason: 'revoked' | 'drain', deadline = Infinity): Promise<void> {
    slot.closing ??= (async () => {
      slot.abort.abort();
      const timeout = performance.now() + this.#ports.kafka.rebalanceTimeoutMs;
      await slot.session?.close(reason, Math.min(deadline, reason === 'drain' ? deadline : timeout));
      slot.mine = false;
      if (this.#slots.get(slot.partition) === slot) this.#slots.delete(slot.partition);
      this.#member?.look();
    })();
    return slot.closing;
  }

  /** The group went on without this member: handlers end, and nothing more is committed. */
  #onLost(): void {
    const lost = [...this.#slots.values()];
    this.#slots.clear();
    for (const slot of lost) {
      this.#ports.onRebalance();
      slot.mine = false;
      const closed = this.#close(slot, 'revoked').finally(() => {
        if (this.#lost.get(slot.partition) === closed) this.#lost.delete(slot.partition);
      });
      this.#lost.set(slot.partition, closed);
    }
  }

  #commitSoon(): void {
    if (!this.#member || this.#commitTimer || this.#ended.signal.aborted) return;
    this.#commitTimer = setTimeout(() => this.#commitNow(), this.#ports.kafka.commitIntervalMs);
  }

  #commitNow(): void {
    clearTimeout(this.#commitTimer);
    this.#commitTimer = undefined;
    for (const { session } of this.#slots.values()) {
      session?.commitAcknowledged().catch((error: unknown) => {
        this.#ports.onFailure(error);
        this.#commitSoon();
      });
    }
  }

  #die(error: unknown): void {
    this.#fail(error);
    void this.drain(0);
  }

  drain(deadlineMs: number): Promise<void> {
    this.#draining ??= this.#drain(performance.now() + deadlineMs);
    return this.#draining;
  }

  async #drain(deadline: number): Promise<void> {
    const closing = [...this.#slots.values()].map((slot) => this.#close(slot, 'drain', deadline));
    await settledBy(Promise.all([...closing, ...this.#lost.values()]), deadline);
    this.#teardown = this.#end(() => this.#member?.leave(Math.max(deadline, performance.now() + LEAVE_MS)));
    await settledBy(this.#teardown, deadline);
  }

  /** Dies without a word, as a killed process does. */
  abandon(): Promise<void> {
    this.#draining ??= Promise.resolve();
    this.#teardown ??= this.#end(() => this.#member?.abandon());
    return this.#teardown;
  }

  /** Resolves when no socket and no timer is left, some time behind the deadline of `drain` at most. */
  async settled(): Promise<void> {
    await this.#draining;
    await this.#teardown;
  }

  async #end(leave: () => Promise<void> | void): Promise<void> {
    for (const slot of this.#slots.values()) {
      slot.mine = false;
      slot.abort.abort();
      slot.session?.abandon();
    }
    this.#ended.abort();
    clearTimeout(this.#commitTimer);
    this.#fetcher.end();
    this.#makeReady();
    await leave();
    await this.#ports.connections.close();
    await this.#fetcher.stopped();
    this.#ports.onEnd(this);
  }
}

/** A group of its own for each topic, so that what happens in one does not make the others wait. */
export function groupName(prefix: string, group: string, topic: string): string {
  return `${prefix}${group}.${topic}`;
}

/** Lets timers and sockets have their turn between two batches. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
