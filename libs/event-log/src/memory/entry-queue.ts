import type { Entry } from './store.js';

const SHIFT_AFTER = 1024;

/** Entries by growing offset: added at the end, dropped from the front, found by offset. */
export class EntryQueue<E extends Entry = Entry> {
  #entries: E[] = [];
  #head = 0;
  bytes = 0;

  get length(): number {
    return this.#entries.length - this.#head;
  }

  get first(): E | undefined {
    return this.#entries[this.#head];
  }

  at(index: number): E | undefined {
    return this.#entries[this.#head + index];
  }

  push(entry: E): void {
    this.#entries.push(entry);
    this.bytes += entry.bytes;
  }

  shift(): E | undefined {
    const entry = this.#entries[this.#head];
    if (!entry) return undefined;
    this.bytes -= entry.bytes;
    this.#head++;
    if (this.#head >= SHIFT_AFTER && this.#head * 2 >= this.#entries.length) {
      this.#entries.splice(0, this.#head);
      this.#head = 0;
    } else {
      // Lets the record go now, not when the array is next cut.
      (this.#entries as (E | undefined)[])[this.#head - 1] = undefined;
    }
    return entry;
  }

  /** Keeps the entries that pass the test. */
  retain(keep: (entry: E) => boolean): void {
    this.#entries = this.#entries.slice(this.#head).filter(keep);
    this.#head = 0;
    this.bytes = this.#entries.reduce((sum, entry) => sum + entry.bytes, 0);
  }

  /** Index of the first entry whose offset is not below the wanted one; `length` when there is none. */
  indexOf(offset: number): number {
    let low = this.#head;
    let high = this.#entries.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#entries[middle]!.offset < offset) low = middle + 1;
      else high = middle;
    }
    return low - this.#head;
  }

  /** Entries from the offset on, within the limits but at least one when there is one. */
  slice(from: number, limits: { records: number; bytes: number }): E[] {
    const taken: E[] = [];
    let bytes = 0;
    for (let index = this.indexOf(from); index < this.length && taken.length < limits.records; index++) {
      const entry = this.at(index)!;
      bytes += entry.bytes;
      if (taken.length > 0 && bytes > limits.bytes) break;
      taken.push(entry);
    }
    return taken;
  }
}
