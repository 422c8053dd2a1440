/** Which record of each key is the latest, and how much of a partition is superseded: what compaction goes by. */
export class LatestKeys {
  #latest = new Map<string, { offset: number; bytes: number }>();
  /** Bytes of the latest records. */
  liveBytes = 0;

  add(key: string, offset: number, bytes: number): void {
    const known = this.#latest.get(key);
    if (known) this.liveBytes -= known.bytes;
    this.#latest.set(key, { offset, bytes });
    this.liveBytes += bytes;
  }

  isLatest(key: string, offset: number): boolean {
    return this.#latest.get(key)?.offset === offset;
  }

  /** Forgets the key when this record, which is going, is its latest. */
  remove(key: string, offset: number): void {
    const known = this.#latest.get(key);
    if (known?.offset !== offset) return;
    this.liveBytes -= known.bytes;
    this.#latest.delete(key);
  }

  /** Forgets the keys whose latest record is below the offset. */
  removeBelow(offset: number): void {
    for (const [key, known] of this.#latest) if (known.offset < offset) this.remove(key, known.offset);
  }
}
