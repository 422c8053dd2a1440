import type { CommittedPosition, LogRecord, Subscription } from '../event-log.js';
import { PartitionSession } from '../partition-session.js';
import type { ResolvedSubscribeOptions } from '../subscribe-options.js';
import { backoffDelay, settledBy, sleep, type BackoffOptions } from '../timing.js';
import type { Group, Member } from './group.js';
import type { PartitionStore } from './store.js';
import type { Topic } from './topic.js';

export interface SubscriptionPorts {
  topic: Topic;
  /** Undefined for an ephemeral subscription. */
  group: Group | undefined;
  commitIntervalMs: number;
  rebalanceTimeoutMs: number;
  retry: BackoffOptions;
  deadLetter(record: LogRecord, reason: unknown, tries: number): Promise<void>;
  onFailure(error: unknown): void;
  /** A partition came from the group, or went. */
  onRebalance(): void;
  onEnd(subscription: MemorySubscription): void;
}

/** The commit interval while producers wait for room. */
const HURRY_MS = 10;

/** One member of a group, or one ephemeral reader of all partitions. */
export class MemorySubscription implements Subscription, Member {
  readonly ready: Promise<void>;
  readonly failed: Promise<never>;
  readonly #options: ResolvedSubscribeOptions;
  readonly #ports: SubscriptionPorts;
  readonly #sessions = new Map<number, PartitionSession>();
  readonly #running = new Set<Promise<void>>();
  readonly #started = new Set<Promise<void>>();
  readonly #ended = new AbortController();
  #fail: (error: unknown) => void = () => {};
  #commitTimer: NodeJS.Timeout | undefined;
  #deadline: number | undefined;
  #draining: Promise<void> | undefined;

  constructor(options: ResolvedSubscribeOptions, ports: SubscriptionPorts) {
    this.#options = options;
    this.#ports = ports;
    this.failed = new Promise<never>((_, reject) => (this.#fail = reject));
    this.failed.catch(() => {});
    if (ports.group) ports.group.join(this);
    else ports.topic.partitions.forEach((_, partition) => this.grant(partition));
    this.ready = this.#whenReady();
    this.ready.catch(() => {});
  }

  get inFlightBytes(): number {
    let bytes = 0;
    for (const session of this.#sessions.values()) bytes += session.inFlightBytes;
    return bytes;
  }

  async #whenReady(): Promise<void> {
    await this.#ports.group?.settled(this, this.#ended.signal);
    await Promise.race([Promise.all(this.#started), this.failed]);
  }

  grant(partition: number): void {
    if (this.#ports.group) this.#ports.onRebalance();
    let started: () => void = () => {};
    const start = new Promise<void>((resolve) => (started = resolve));
    this.#started.add(start);
    const running = this.#serve(partition, started)
      .catch((error: unknown) => this.#die(error))
      .finally(() => {
        started();
        this.#started.delete(start);
        this.#running.delete(running);
      });
    this.#running.add(running);
  }

  async release(partition: number): Promise<void> {
    this.#ports.onRebalance();
    const session = this.#sessions.get(partition);
    const timeout = performance.now() + this.#ports.rebalanceTimeoutMs;
    const deadline = Math.min(timeout, this.#deadline ?? Infinity);
    await session?.close(this.#deadline === undefined ? 'revoked' : 'drain', deadline);
    this.#sessions.delete(partition);
  }

  async #serve(partition: number, started: () => void): Promise<void> {
    const store = this.#ports.topic.partitions[partition]!;
    const committed = this.#ports.group?.committed(partition);
    // Known before the first wait, so that a revocation that comes at once finds the session.
    const session = this.#createSession(partition, committed, committed?.offset ?? 0);
    this.#sessions.set(partition, session);
    const position = committed?.offset ?? (await this.#firstOffset(store));
    if (!committed) {
      session.beginAt(position);
      this.#ports.group?.begin(partition, position);
    }
    await session.start();
    started();
    await this.#pump(session, store, position);
  }

  #firstOffset(store: PartitionStore): Promise<number> | number {
    const { from } = this.#options;
    if (from === 'earliest') return store.start;
    if (from === 'latest') return store.end;
    return store.offsetSince(Date.now() - from.sinceMs);
  }

  #createSession(partition: number, committed: CommittedPosition | undefined, position: number): PartitionSession {
    const { group, retry, deadLetter, onFailure, topic } = this.#ports;
    return new PartitionSession({
      topic: topic.spec.name,
      partition,
      committed,
      position,
      maxInFlightBytes: this.#options.maxInFlightBytes,
      maxTries: this.#options.maxTries,
      retry,
      assign: (context) => this.#options.assign(context),
      store: (next) => group?.commit(this, partition, next) ?? Promise.resolve(),
      deadLetter,
      onFailure,
      onProgress: () => this.#commitSoon(),
    });
  }

  async #pump(session: PartitionSession, store: PartitionStore, first: number): Promise<void> {
    const { signal } = session;
    for (let position = first; !signal.aborted; await nextTurn()) {
      await session.room();
      if (signal.aborted) return;
      const end = store.end;
      const records = await this.#read(session, store, position);
      const last = records.at(-1);
      if (last) {
        position = last.offset + 1;
        await session.deliver(records);
      } else {
        if (position < end) session.skipTo((position = end));
        if (position >= store.end) await store.grown.next(signal);
      }
    }
  }

  async #read(session: PartitionSession, store: PartitionStore, position: number): Promise<LogRecord[]> {
    for (let attempt = 1; !session.signal.aborted; attempt++) {
      try {
        return await store.read(position, { records: this.#options.maxBatchRecords, bytes: session.roomBytes });
      } catch (error) {
        this.#ports.onFailure(error);
        await sleep(backoffDelay(attempt, this.#ports.retry), session.signal);
      }
    }
    return [];
  }

  #commitSoon(): void {
    if (!this.#ports.group || this.#commitTimer || this.#ended.signal.aborted) return;
    const { topic, commitIntervalMs } = this.#ports;
    const delay = topic.isFull ? Math.min(HURRY_MS, commitIntervalMs) : commitIntervalMs;
    this.#commitTimer = setTimeout(() => this.commitNow(), delay);
  }

  commitNow(): void {
    clearTimeout(this.#commitTimer);
    this.#commitTimer = undefined;
    for (const session of this.#sessions.values()) {
      session.commitAcknowledged().catch((error: unknown) => {
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
    this.#deadline = deadline;
    const { group, topic, onFailure } = this.#ports;
    const left = group?.leave(this) ?? Promise.all(topic.partitions.map((_, partition) => this.release(partition)));
    try {
      if (await settledBy(Promise.resolve(left), deadline)) await settledBy(Promise.all(this.#running), deadline);
    } catch (error) {
      onFailure(error);
    }
    this.#end();
  }

  /** Dies without a word, as a killed process does. */
  abandon(): void {
    this.#draining ??= Promise.resolve();
    for (const session of this.#sessions.values()) session.abandon();
    this.#ports.group?.evict(this);
    this.#end();
  }

  #end(): void {
    for (const session of this.#sessions.values()) session.abandon();
    this.#ended.abort();
    clearTimeout(this.#commitTimer);
    this.#ports.onEnd(this);
  }
}

/** Lets timers and sockets have their turn between two batches. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
