/**
 * What was delivered to a handler and is not yet acknowledged, in one partition.
 *
 * Offsets are delivered in increasing order, possibly with gaps (compaction), and acknowledged in any order. The
 * position is what may be committed: every record below it is acknowledged.
 */
export interface InFlight {
  /** Bytes delivered and not acknowledged. */
  readonly bytes: number;
  /** Records delivered and not acknowledged. */
  readonly count: number;
  /** The lowest offset not acknowledged, or the one after the last delivered when nothing is open. */
  readonly position: number;
  /** The offset after the last one delivered. */
  readonly delivered: number;
  /** Throws RangeError when the offset is not above every offset delivered before. */
  deliver(offset: number, bytes: number): void;
  /** Nothing below the offset will be delivered any more; ignored when that is known already. */
  skipTo(offset: number): void;
  /** Gives the bytes set free: 0 when the offset is not open (never delivered, or acknowledged before). */
  acknowledge(offset: number): number;
  /** Acknowledges every open record below the offset; gives the bytes set free. */
  acknowledgeBelow(offset: number): number;
  isOpen(offset: number): boolean;
}

/** A tracker that starts at `position`: the next offset to be delivered is not below it. */
export function createInFlight(position: number): InFlight {
  return new OffsetWindow(position);
}

/** Entries are dropped from the front in blocks of at least this many, so that each is moved O(1) times. */
const SHIFT_AFTER = 1024;

class OffsetWindow implements InFlight {
  bytes = 0;
  count = 0;
  delivered: number;
  #offsets: number[] = [];
  /** Bytes of the record; −1 once it is acknowledged. */
  #sizes: number[] = [];
  /** Everything before this index is acknowledged. */
  #head = 0;

  constructor(position: number) {
    this.delivered = position;
  }

  get position(): number {
    return this.#offsets[this.#head] ?? this.delivered;
  }

  deliver(offset: number, bytes: number): void {
    if (!Number.isSafeInteger(offset) || offset < this.delivered) {
      throw new RangeError(`offset ${offset} delivered after ${this.delivered - 1}: offsets must increase`);
    }
    this.#offsets.push(offset);
    this.#sizes.push(bytes);
    this.delivered = offset + 1;
    this.bytes += bytes;
    this.count++;
  }

  skipTo(offset: number): void {
    if (offset > this.delivered) this.delivered = offset;
  }

  acknowledge(offset: number): number {
    const index = this.#find(offset);
    if (this.#offsets[index] !== offset) return 0;
    const freed = this.#close(index);
    this.#advance();
    return freed;
  }

  acknowledgeBelow(offset: number): number {
    const end = this.#find(offset);
    let freed = 0;
    for (let index = this.#head; index < end; index++) freed += this.#close(index);
    this.#advance();
    return freed;
  }

  isOpen(offset: number): boolean {
    const index = this.#find(offset);
    return this.#offsets[index] === offset && this.#sizes[index]! >= 0;
  }

  #close(index: number): number {
    const bytes = this.#sizes[index]!;
    if (bytes < 0) return 0;
    this.#sizes[index] = -1;
    this.bytes -= bytes;
    this.count--;
    return bytes;
  }

  #advance(): void {
    while (this.#head < this.#sizes.length && this.#sizes[this.#head]! < 0) this.#head++;
    if (this.#head >= SHIFT_AFTER && this.#head * 2 >= this.#offsets.length) {
      this.#offsets.splice(0, this.#head);
      this.#sizes.splice(0, this.#head);
      this.#head = 0;
    }
  }

  /** Index of the first entry from the head on whose offset is not below the wanted one. */
  #find(offset: number): number {
    let low = this.#head;
    let high = this.#offsets.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#offsets[middle]! < offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
