import { EventLogError } from '../errors.js';
import type { CommittedPosition } from '../event-log.js';
import { Pulse } from '../timing.js';

/** One subscription as its group sees it. */
export interface Member {
  /** Begin to serve the partition. Must not throw. */
  grant(partition: number): void;
  /** Resolves when the partition is out of the member's hands, in bounded time. */
  release(partition: number): Promise<void>;
  /** Producers wait for what this member has acknowledged and not committed yet. */
  commitNow(): void;
}

interface Slot {
  owner: Member | undefined;
  wanted: Member | undefined;
  moving: boolean;
  committed: CommittedPosition | undefined;
  /** Where delivery began when nothing was committed yet. */
  began: number | undefined;
}

/** Makes a group's position durable before it counts. */
export type StorePosition = (partition: number, position: CommittedPosition) => Promise<void>;

/** The members that share one topic's partitions, and how far they got. */
export class Group {
  readonly #slots: Slot[];
  readonly #members: Member[] = [];
  readonly #store: StorePosition;
  readonly #onMoved: () => void;
  readonly #changed = new Pulse();
  #emptySince = performance.now();

  constructor(
    readonly topic: string,
    readonly name: string,
    partitions: number,
    store: StorePosition,
    onMoved: () => void,
  ) {
    this.#store = store;
    this.#onMoved = onMoved;
    this.#slots = Array.from({ length: partitions }, () => ({
      owner: undefined,
      wanted: undefined,
      moving: false,
      committed: undefined,
      began: undefined,
    }));
  }

  get hasMembers(): boolean {
    return this.#members.length > 0;
  }

  /** True when some partition has records that this group has not committed; for messages. */
  isBehind(end: (partition: number) => number): boolean {
    return this.#slots.some((_, partition) => this.floor(partition) < end(partition));
  }

  /** Whether records that it has not committed must stay although room is short. */
  holdsBytes(groupHoldMs: number): boolean {
    return this.hasMembers || performance.now() - this.#emptySince < groupHoldMs;
  }

  committed(partition: number): CommittedPosition | undefined {
    return this.#slots[partition]?.committed;
  }

  /** The lowest offset that it still needs: Infinity when it never read the partition. */
  floor(partition: number): number {
    const slot = this.#slots[partition];
    return slot?.committed?.offset ?? slot?.began ?? Infinity;
  }

  /** Notes where an owner without a committed position begins. */
  begin(partition: number, offset: number): void {
    const slot = this.#slots[partition];
    if (slot) slot.began = offset;
  }

  /** Takes over a position that was stored before. */
  restore(partition: number, position: CommittedPosition): void {
    const slot = this.#slots[partition];
    if (slot) slot.committed = position;
    // Until it is back, it may need all of the partitions that it has no position in.
    for (const other of this.#slots) other.began ??= 0;
  }

  /** Only the owner may commit: one that lost the partition gets EVENT_LOG_REVOKED. */
  async commit(member: Member, partition: number, position: CommittedPosition): Promise<void> {
    const slot = this.#slots[partition]!;
    if (slot.owner !== member) throw this.#revoked(partition);
    await this.#store(partition, position);
    slot.committed = position;
    this.#onMoved();
  }

  /** Asks the members to commit what they can without waiting for the commit interval. */
  hurry(): void {
    for (const member of this.#members) member.commitNow();
  }

  join(member: Member): void {
    this.#members.push(member);
    this.#rebalance();
  }

  /** Resolves when the member serves all that is meant for it. */
  async settled(member: Member, signal: AbortSignal): Promise<void> {
    while (!signal.aborted && this.#slots.some((slot) => slot.wanted === member && slot.owner !== member)) {
      await this.#changed.next(signal);
    }
  }

  /** Resolves when none of the partitions is the member's any more. */
  async leave(member: Member): Promise<void> {
    this.#remove(member);
    this.#rebalance();
    const never = new AbortController().signal;
    while (this.#slots.some((slot) => slot.owner === member)) await this.#changed.next(never);
  }

  /** The member is dead: its partitions are free at once. */
  evict(member: Member): void {
    this.#remove(member);
    for (const slot of this.#slots) if (slot.owner === member) slot.owner = undefined;
    this.#rebalance();
  }

  #remove(member: Member): void {
    const index = this.#members.indexOf(member);
    if (index >= 0) this.#members.splice(index, 1);
    if (this.#members.length === 0) this.#emptySince = performance.now();
  }

  #rebalance(): void {
    const wanted = assignPartitions(
      this.#members,
      this.#slots.map((slot) => slot.wanted),
    );
    this.#slots.forEach((slot, partition) => {
      slot.wanted = wanted[partition];
      void this.#move(slot, partition);
    });
    this.#onMoved();
  }

  async #move(slot: Slot, partition: number): Promise<void> {
    if (slot.moving) return;
    slot.moving = true;
    while (slot.owner !== slot.wanted) {
      const owner = slot.owner;
      if (owner) {
        await owner.release(partition);
        if (slot.owner === owner) slot.owner = undefined;
      } else {
        slot.owner = slot.wanted;
        slot.owner?.grant(partition);
      }
      this.#changed.fire();
    }
    slot.moving = false;
  }

  #revoked(partition: number): EventLogError {
    return new EventLogError(
      'EVENT_LOG_REVOKED',
      `${this.topic}[${partition}] is no longer this member's in group ${this.name}: its commit is refused`,
      false,
    );
  }
}

/** Spreads partitions evenly, moving as few as possible: each member gets ⌊n/m⌋ or ⌈n/m⌉. */
export function assignPartitions<M>(members: readonly M[], current: readonly (M | undefined)[]): (M | undefined)[] {
  if (members.length === 0) return current.map(() => undefined);
  const least = Math.floor(current.length / members.length);
  let larger = current.length % members.length;
  const counts = new Map(members.map((member) => [member, 0]));
  const kept = current.map((member) => {
    const count = member === undefined ? undefined : counts.get(member);
    if (member === undefined || count === undefined) return undefined;
    if (count > least || (count === least && larger === 0)) return undefined;
    if (count === least) larger--;
    counts.set(member, count + 1);
    return member;
  });
  return kept.map((member) => {
    if (member !== undefined) return member;
    const [next] = [...counts].reduce((low, entry) => (entry[1] < low[1] ? entry : low));
    counts.set(next, counts.get(next)! + 1);
    return next;
  });
}
