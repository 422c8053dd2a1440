import type { TopicSpec } from '@tidemark/contracts';
import { isDeadLetterTopic } from '../dead-letter.js';
import { EventLogError } from '../errors.js';
import type { Group } from './group.js';
import type { Expired, NewRecord, PartitionStore } from './store.js';

export interface TopicLimits {
  maxTopicBytes: number;
  appendTimeoutMs: number;
  /** Bytes of a topic that wait to be written, at most: a slow disk holds producers back, not memory up. */
  maxPendingBytes: number;
  /** A group without members holds its records against the byte bound for this long. */
  groupHoldMs: number;
}

interface Waiter {
  batch: ReadonlyMap<number, NewRecord[]>;
  bytes: number;
  timer: NodeJS.Timeout | undefined;
  admit: () => void;
  refuse: (error: EventLogError) => void;
}

/** Superseded bytes below this are not worth a compaction while there is room. */
const COMPACT_ABOVE = 256 * 1024;
/** When there is no room: more than what segment headers alone come to. */
const COMPACT_IN_NEED = 1024;
/** A tombstone stays this long, so that consumers that are behind see it. */
const TOMBSTONE_MS = 24 * 3_600_000;

/** One topic: its partitions, its byte bound with back-pressure, and what may go when. */
export class Topic {
  readonly groups = new Map<string, Group>();
  /** Records that went before every group had committed them. */
  droppedRecords = 0;
  #waiting: Waiter[] = [];
  #compacting = false;
  #closed = false;

  constructor(
    readonly spec: TopicSpec,
    readonly partitions: readonly PartitionStore[],
    readonly limits: TopicLimits,
  ) {}

  get bytes(): number {
    return this.partitions.reduce((sum, partition) => sum + partition.bytes, 0);
  }

  /** Appends when there is room; calls are admitted in order, so that records of one key keep theirs. */
  append(batch: ReadonlyMap<number, NewRecord[]>): Promise<void> {
    let bytes = 0;
    for (const records of batch.values()) for (const record of records) bytes += record.bytes;
    return new Promise<void>((resolve, reject) => {
      const admit = (): void => resolve(this.#write(batch));
      const waiter: Waiter = { batch, bytes, timer: undefined, admit, refuse: reject };
      this.#waiting.push(waiter);
      this.admit();
      if (!this.#waiting.includes(waiter)) return;
      if (this.#waiting.length === 1) for (const group of this.groups.values()) group.hurry();
      waiter.timer = setTimeout(() => this.#refuse(waiter, this.#full()), this.limits.appendTimeoutMs);
    });
  }

  async #write(batch: ReadonlyMap<number, NewRecord[]>): Promise<void> {
    const writes = [...batch].map(([partition, records]) => this.partitions[partition]!.append(records));
    const failed = (await Promise.allSettled(writes)).find((result) => result.status === 'rejected');
    this.#compactWhenWorth();
    this.admit();
    if (failed) throw failed.reason;
  }

  /** True while producers wait for room. */
  get isFull(): boolean {
    return this.#waiting.length > 0;
  }

  /** Lets waiting producers in as far as there is room: called when a group committed, joined or left. */
  admit(): void {
    for (let next = this.#waiting[0]; next && this.#makeRoom(next.bytes); next = this.#waiting[0]) {
      this.#waiting.shift();
      clearTimeout(next.timer);
      next.admit();
    }
  }

  #makeRoom(bytes: number): boolean {
    if (this.#closed) return false;
    const { maxTopicBytes, maxPendingBytes } = this.limits;
    const pending = this.partitions.reduce((sum, partition) => sum + partition.pendingBytes, 0);
    if (pending > 0 && pending + bytes > maxPendingBytes) return false;
    while (this.bytes + bytes > maxTopicBytes) {
      // A call that is larger than the bound passes when it has the topic to itself.
      if (this.bytes === 0) return true;
      if (!this.#dropOldestUnit()) {
        this.#compact(COMPACT_IN_NEED);
        return this.bytes + bytes <= maxTopicBytes;
      }
    }
    return true;
  }

  #dropOldestUnit(): boolean {
    if (this.spec.cleanup === 'compact') return false;
    // A dead letter must find room, whoever forgot to read the others: it would hold up the topic it comes from.
    const isDead = isDeadLetterTopic(this.spec.name);
    const holds = (group: Group): boolean => !isDead && group.holdsBytes(this.limits.groupHoldMs);
    let oldest: { index: number; appendedAt: number } | undefined;
    this.partitions.forEach((partition, index) => {
      const unit = partition.oldest();
      if (!unit || unit.end > this.#floor(index, holds)) return;
      if (!oldest || unit.appendedAt < oldest.appendedAt) oldest = { index, appendedAt: unit.appendedAt };
    });
    if (oldest) this.#drop(oldest.index);
    return oldest !== undefined;
  }

  #drop(index: number): void {
    const partition = this.partitions[index]!;
    const unit = partition.oldest()!;
    const unread =
      unit.end -
      Math.max(
        partition.start,
        this.#floor(index, () => true),
      );
    if (unread > 0) this.droppedRecords += unread;
    partition.dropOldest();
  }

  /** The lowest offset that a group which `holds` still needs. */
  #floor(index: number, holds: (group: Group) => boolean): number {
    let floor = Infinity;
    for (const group of this.groups.values()) {
      if (holds(group)) floor = Math.min(floor, group.floor(index));
    }
    return floor;
  }

  /** Lets go what is too old, compacts, and looks again whether waiting producers have room. */
  housekeep(now: number): void {
    if (this.spec.cleanup !== 'compact') {
      this.partitions.forEach((partition, index) => {
        const floor = this.#floor(index, (group) => group.hasMembers);
        for (let unit = partition.oldest(); unit; unit = partition.oldest()) {
          if (unit.appendedAt >= now - this.spec.retentionMs || unit.end > floor) break;
          this.#drop(index);
        }
      });
    }
    this.#compactWhenWorth();
    this.admit();
  }

  #compactWhenWorth(): void {
    this.#compact(COMPACT_ABOVE);
  }

  #compact(above: number): void {
    if (this.spec.cleanup === 'delete' || this.#compacting || this.#closed) return;
    const half = above === COMPACT_IN_NEED ? 0 : 0.5;
    const compactions: Promise<void>[] = [];
    this.partitions.forEach((partition, index) => {
      const { supersededBytes, bytes } = partition;
      if (supersededBytes > above && supersededBytes > bytes * half) {
        compactions.push(partition.compact(this.#expired(index)));
      }
    });
    if (compactions.length === 0) return;
    this.#compacting = true;
    void Promise.allSettled(compactions).then((results) => {
      this.#compacting = false;
      // After a failure (a full disk) the next housekeeping tries again.
      if (results.every(({ status }) => status === 'fulfilled')) this.admit();
    });
  }

  #expired(index: number): Expired {
    const now = Date.now();
    const tombstonesBefore = now - Math.min(TOMBSTONE_MS, this.spec.retentionMs);
    const recordsBefore = this.spec.cleanup === 'compact' ? -Infinity : now - this.spec.retentionMs;
    const floor = this.#floor(index, (group) => group.hasMembers);
    return ({ offset, timestamp, value }) =>
      offset < floor && timestamp < (value === null ? tombstonesBefore : recordsBefore);
  }

  #full(): EventLogError {
    const { maxTopicBytes, appendTimeoutMs } = this.limits;
    const behind = [...this.groups.values()].filter((group) => group.isBehind((index) => this.partitions[index]!.end));
    const slow = behind.map((group) => group.name);
    const who = slow.length > 0 ? `waiting for ${slow.join(', ')}` : 'all of it is still needed';
    return new EventLogError(
      'EVENT_LOG_FULL',
      `topic ${this.spec.name} holds ${this.bytes} of at most ${maxTopicBytes} bytes (${who}) and had no room for ${appendTimeoutMs} ms: try again later, or allow it more bytes`,
      true,
    );
  }

  #refuse(waiter: Waiter, error: EventLogError): void {
    clearTimeout(waiter.timer);
    this.#waiting = this.#waiting.filter((other) => other !== waiter);
    waiter.refuse(error);
    this.admit();
  }

  /** Refuses who waits; nothing is admitted any more. */
  close(error: EventLogError): void {
    this.#closed = true;
    for (const waiter of [...this.#waiting]) this.#refuse(waiter, error);
  }
}
