import type { EntryQueue } from '../memory/entry-queue.js';
import type { Entry } from '../memory/store.js';
import type { Segment } from './segment.js';

interface Page {
  entries: Entry[];
  whole: boolean;
  bytes: number;
}

/**
 * What a journal keeps in memory: the youngest records of every partition, and pages that were read back lately. Both
 * within one bound, whatever the number of partitions.
 */
export class RecordCache {
  readonly #tails = new Set<EntryQueue>();
  readonly #pages = new Map<string, Page>();
  readonly #maxTailBytes: number;
  readonly #maxPageBytes: number;
  #pageBytes = 0;

  constructor(maxBytes: number) {
    this.#maxPageBytes = Math.floor(maxBytes / 4);
    this.#maxTailBytes = maxBytes - this.#maxPageBytes;
  }

  get bytes(): number {
    return this.#tailBytes + this.#pageBytes;
  }

  get #tailBytes(): number {
    let bytes = 0;
    for (const tail of this.#tails) bytes += tail.bytes;
    return bytes;
  }

  /** A partition's youngest records; the cache shortens them from the front. */
  keep(tail: EntryQueue): void {
    this.#tails.add(tail);
  }

  /** Brings the tails back within the bound, the longest first. */
  shorten(): void {
    for (let over = this.#tailBytes - this.#maxTailBytes; over > 0;) {
      let longest: EntryQueue | undefined;
      for (const tail of this.#tails) if (!longest || tail.bytes > longest.bytes) longest = tail;
      const gone = longest?.shift();
      if (!gone) return;
      over -= gone.bytes;
    }
  }

  /** A page of a segment, read at most once while it stays in memory. */
  async page(segment: Segment, bounds: { from: number; to: number }): Promise<Page> {
    const name = `${segment.id}:${bounds.from}:${bounds.to}`;
    const known = this.#pages.get(name);
    if (known) {
      this.#pages.delete(name);
      this.#pages.set(name, known);
      return known;
    }
    const page = { ...(await segment.readPage(bounds)), bytes: bounds.to - bounds.from };
    const other = this.#pages.get(name);
    if (other) return other;
    this.#pages.set(name, page);
    this.#pageBytes += page.bytes;
    for (const [oldest, { bytes }] of this.#pages) {
      if (this.#pageBytes <= this.#maxPageBytes || oldest === name) break;
      this.#pages.delete(oldest);
      this.#pageBytes -= bytes;
    }
    return page;
  }
}
