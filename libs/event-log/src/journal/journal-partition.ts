import { EntryQueue } from '../memory/entry-queue.js';
import { LatestKeys } from '../memory/latest-keys.js';
import {
  toLogRecord,
  type Entry,
  type Expired,
  type NewRecord,
  type OldestUnit,
  type PartitionStore,
  type ReadLimits,
} from '../memory/store.js';
import type { LogRecord } from '../event-log.js';
import { Pulse } from '../timing.js';
import { mergeSegments } from './compaction.js';
import { isMissing, journalError, syncDirectory, type Disk } from './disk.js';
import { encodeFrames } from './frame.js';
import { openSegments } from './open-segments.js';
import type { RecordCache } from './record-cache.js';
import { Segment } from './segment.js';

export interface JournalPartitionOptions {
  directory: string;
  topic: string;
  partition: number;
  compacted: boolean;
  segmentBytes: number;
  /** Waits for the disk itself before an append resolves. */
  fsync: boolean;
  disk: Disk;
  cache: RecordCache;
  /** The machine died since the last run: offsets that it may have given out are not given out again. */
  skipOffsets: number;
  /** The next offset is not below this: some group committed up to it. */
  minEnd: number;
  warn(line: string): void;
}

interface Batch {
  records: readonly NewRecord[];
  bytes: number;
  resolve: () => void;
  reject: (error: unknown) => void;
}

/** Written at once, at most: what is appended meanwhile goes into the next write. */
const WRITE_BYTES = 1024 * 1024;
/** How often a read looks for the segment that took the place of one that went. */
const LOOK_AGAIN = 5;

/** A partition whose records are in segment files; the youngest are in memory too. */
export class JournalPartition implements PartitionStore {
  readonly grown = new Pulse();
  end = 0;
  /** The next offset as the files of earlier runs had it. */
  foundEnd = 0;
  readonly #options: JournalPartitionOptions;
  readonly #tail = new EntryQueue();
  readonly #keys: LatestKeys | undefined;
  #segments: Segment[] = [];
  /** The last segment, while it takes records. */
  #active: Segment | undefined;
  #diskBytes = 0;
  #pending: Batch[] = [];
  #pendingBytes = 0;
  #writing = false;
  /** Writes, compactions and removals follow each other. */
  #work: Promise<void> = Promise.resolve();
  #abandoned = false;

  private constructor(options: JournalPartitionOptions) {
    this.#options = options;
    this.#keys = options.compacted ? new LatestKeys() : undefined;
  }

  static async open(options: JournalPartitionOptions): Promise<JournalPartition> {
    const partition = new JournalPartition(options);
    const { directory, skipOffsets, minEnd, warn, cache } = options;
    const { segments, end } = await openSegments(directory, warn, partition.#keys);
    partition.#segments = segments;
    partition.#diskBytes = segments.reduce((sum, { size }) => sum + size, 0);
    partition.foundEnd = end;
    partition.end = Math.max(minEnd, segments.length > 0 ? end + skipOffsets : end);
    const last = segments.at(-1);
    if (partition.end > end) await partition.#startSegment();
    else if (last) {
      await last.resume();
      partition.#active = last;
    }
    cache.keep(partition.#tail);
    return partition;
  }

  get topic(): string {
    return this.#options.topic;
  }

  get index(): number {
    return this.#options.partition;
  }

  get start(): number {
    return this.#segments[0]?.base ?? this.end;
  }

  get bytes(): number {
    return this.#diskBytes + this.#pendingBytes;
  }

  get diskBytes(): number {
    return this.#diskBytes;
  }

  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  get supersededBytes(): number {
    return this.#keys ? Math.max(0, this.#diskBytes - this.#keys.liveBytes) : 0;
  }

  append(records: readonly NewRecord[]): Promise<void> {
    return new Promise((resolve, reject) => {
      const bytes = records.reduce((sum, record) => sum + record.bytes, 0);
      this.#pending.push({ records, bytes, resolve, reject });
      this.#pendingBytes += bytes;
      if (this.#writing) return;
      this.#writing = true;
      this.#inTurn(() => this.#writePending()).catch((error: unknown) => this.#refusePending(error));
    });
  }

  #inTurn(task: () => Promise<void>): Promise<void> {
    const done = this.#work.then(() => {
      if (this.#abandoned) throw new Error('the log was abandoned');
      return task();
    });
    this.#work = done.catch(() => {});
    return done;
  }

  async #writePending(): Promise<void> {
    while (this.#pending.length > 0) {
      if (this.#abandoned) throw new Error('the log was abandoned');
      const batches = this.#takePending();
      try {
        await this.#write(batches.flatMap(({ records }) => records));
        for (const batch of batches) this.#settle(batch, batch.resolve);
      } catch (error) {
        const failure = journalError(`writing to ${this.#options.directory}`, error);
        for (const batch of batches) this.#settle(batch, () => batch.reject(failure));
      }
      this.grown.fire();
    }
    this.#writing = false;
  }

  #refusePending(error: unknown): void {
    for (const batch of this.#pending.splice(0)) this.#settle(batch, () => batch.reject(error));
    this.#writing = false;
  }

  #takePending(): Batch[] {
    let bytes = 0;
    const enough = this.#pending.findIndex((batch) => (bytes += batch.bytes) >= WRITE_BYTES);
    return this.#pending.splice(0, enough < 0 ? this.#pending.length : enough + 1);
  }

  #settle(batch: Batch, settle: () => void): void {
    this.#pendingBytes -= batch.bytes;
    settle();
  }

  async #write(records: readonly NewRecord[]): Promise<void> {
    const frames = records.map((record, index) => ({ ...record, offset: this.end + index }));
    const { bytes, sizes } = encodeFrames(frames);
    const segment = await this.#writable(bytes.length);
    const marks = frames.map(({ offset, timestamp }, index) => ({ offset, timestamp, size: sizes[index]! }));
    await segment.append(this.#options.disk, bytes, marks, this.#options.fsync);
    this.#diskBytes += bytes.length;
    this.end += frames.length;
    let at = 0;
    frames.forEach((frame, index) => {
      at += sizes[index]!;
      const value = frame.value && bytes.subarray(at - frame.value.byteLength, at);
      this.#tail.push({ ...frame, value });
      this.#keys?.add(frame.key, frame.offset, sizes[index]!);
    });
    this.#options.cache.shorten();
  }

  async #writable(bytes: number): Promise<Segment> {
    const active = this.#active;
    if (active && (active.isEmpty || active.size + bytes <= this.#options.segmentBytes)) return active;
    return this.#startSegment();
  }

  async #startSegment(): Promise<Segment> {
    const { disk, directory, fsync } = this.#options;
    const next = await Segment.create(disk, directory, this.end);
    if (fsync) await syncDirectory(directory);
    const sealed = this.#active;
    this.#active = next;
    this.#segments.push(next);
    this.#diskBytes += next.size;
    await sealed?.seal();
    return next;
  }

  async read(from: number, limits: ReadLimits): Promise<LogRecord[]> {
    for (let missing = 0; ;) {
      const first = this.#tail.first;
      if (first && from >= first.offset) return this.#toRecords(this.#tail.slice(from, limits));
      if (from >= this.end) return [];
      try {
        return this.#toRecords(await this.#readBack(from, limits));
      } catch (error) {
        if (!isMissing(error) || ++missing > LOOK_AGAIN)
          throw journalError(`reading ${this.#options.directory}`, error);
        // A segment was dropped or merged while it was read: what is there now has the answer.
        await this.#forgetLostFiles();
      }
    }
  }

  /** Segments whose files somebody else removed would be looked for again and again. */
  async #forgetLostFiles(): Promise<void> {
    for (const segment of [...this.#segments]) {
      if (segment === this.#active || (await segment.exists())) continue;
      if (!this.#segments.includes(segment)) continue;
      this.#segments = this.#segments.filter((other) => other !== segment);
      this.#diskBytes -= segment.size;
      this.#options.warn(`journal: ${segment.path} is gone: its records are lost`);
    }
  }

  #toRecords(entries: Entry[]): LogRecord[] {
    return entries.map((entry) => toLogRecord(this.#options.topic, this.#options.partition, entry));
  }

  async #readBack(from: number, limits: ReadLimits): Promise<Entry[]> {
    for (const segment of this.#segmentsFrom(from)) {
      for (let page = await segment.pageOf(from); ; page++) {
        const entries = await this.#page(segment, page);
        if (!entries) break;
        const wanted = new EntryQueue();
        for (const entry of entries) wanted.push(entry);
        const found = wanted.slice(from, limits);
        if (found.length > 0) return found;
      }
    }
    return [];
  }

  /** The segment that the offset is in, and those behind it. */
  #segmentsFrom(offset: number): Segment[] {
    const after = this.#segments.findIndex(({ base }) => base > offset);
    return this.#segments.slice(Math.max(0, (after < 0 ? this.#segments.length : after) - 1));
  }

  async #page(segment: Segment, page: number): Promise<Entry[] | undefined> {
    const bounds = await segment.pageBounds(page);
    if (!bounds) return undefined;
    const { entries, whole } = await this.#options.cache.page(segment, bounds);
    if (!whole && !segment.damaged) {
      segment.damaged = true;
      this.#options.warn(
        `journal: ${segment.path} is damaged behind byte ${bounds.from}: some of its records are lost`,
      );
    }
    return entries;
  }

  async offsetSince(timestamp: number): Promise<number> {
    for (const segment of [...this.#segments]) {
      const first = await segment.pageSince(timestamp);
      if (first === undefined) continue;
      const entries = await this.#page(segment, first);
      const found = entries?.find((entry) => entry.timestamp >= timestamp);
      if (found) return found.offset;
    }
    return this.end;
  }

  oldest(): OldestUnit | undefined {
    const [first, second] = this.#segments;
    if (!first || first.isEmpty) return undefined;
    // The segment that is being written to goes only when it rests.
    if (!second && this.#writing) return undefined;
    return { end: second?.base ?? this.end, appendedAt: first.lastAppendAt, bytes: first.size };
  }

  dropOldest(): void {
    const gone = this.#segments.shift();
    if (!gone) return;
    gone.retired = true;
    this.#diskBytes -= gone.size;
    if (gone === this.#active) this.#active = undefined;
    const { start } = this;
    this.#keys?.removeBelow(start);
    while (this.#tail.first && this.#tail.first.offset < start) this.#tail.shift();
    void this.#inTurn(() => this.#remove(gone)).catch((error: unknown) =>
      this.#options.warn(journalError(`removing ${gone.path}`, error).message),
    );
  }

  async #remove(segment: Segment): Promise<void> {
    // The name of the last segment keeps the next offset: it goes when another one is there.
    if (this.#segments.length === 0) await this.#replaceLast(segment);
    await segment.remove();
  }

  async #replaceLast(segment: Segment): Promise<void> {
    try {
      await this.#startSegment();
    } catch (error) {
      segment.retired = false;
      this.#segments.unshift(segment);
      this.#active = segment;
      this.#diskBytes += segment.size;
      throw error;
    }
  }

  /** Merges everything but the segment that is written to, without records that are superseded or expired. */
  compact(expired: Expired): Promise<void> {
    const keys = this.#keys;
    if (!keys) return Promise.resolve();
    return this.#inTurn(async () => {
      if (this.#active && !this.#active.isEmpty) await this.#startSegment();
      const old = this.#segments.slice(0, -1);
      const [first] = old;
      if (!first) return;
      const oldBytes = old.reduce((sum, { size }) => sum + size, 0);
      const merged = await mergeSegments(this.#options.disk, old, this.end, (frame) => {
        if (!keys.isLatest(frame.key, frame.offset)) return false;
        if (!expired(frame)) return true;
        keys.remove(frame.key, frame.offset);
        return false;
      });
      // Dropped meanwhile: what was merged is not wanted any more.
      if (this.#segments[0] !== first) return merged.remove();
      this.#segments.splice(0, old.length, merged);
      this.#diskBytes += merged.size - oldBytes;
      for (const segment of old) await segment.remove();
    });
  }

  async close(): Promise<void> {
    await this.#work;
    await this.#active?.sync();
    await this.#active?.close();
  }

  /** Stops as the death of the process would: what waits is not written any more. */
  async abandon(): Promise<void> {
    this.#abandoned = true;
    await this.#work;
    await this.#active?.close();
  }
}
