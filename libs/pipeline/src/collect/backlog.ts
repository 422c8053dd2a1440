import type { OutgoingRecord } from '@tidemark/event-log';
import type { Logger } from '@tidemark/service';
import type { Clock } from './clock.js';
import type { Loss, SpoolDirectory } from './spool-directory.js';
import { recordBytes } from './spool-segment.js';

export interface BacklogOptions {
  /** null: memory only. */
  directory: SpoolDirectory | null;
  memoryBytes: number;
  diskBytes: number;
  clock: Clock;
  logger: Logger;
  /** Something was dropped: what follows must not build on it. */
  onLoss(): void;
}

/** Bytes of records in one segment. */
const SEGMENT_BYTES = 1024 * 1024;
/** After the disk refused a segment it is left alone for this long. */
const DISK_PAUSE_MS = 5_000;
/** While a segment is being written, memory may hold this much more than it should. */
const SLACK = 1.5;
/** Losses are told this often at most, milliseconds; the counters tell all of them. */
const WARNING_MS = 60_000;

/**
 * What waits to be sent, in order: segments on disk, then the one that is being written, then the queue in memory.
 * Bounded in both; the oldest is dropped first, and counted.
 */
export class Backlog {
  droppedBytes = 0;
  droppedRecords = 0;
  private readonly queue: OutgoingRecord[] = [];
  private queueBytes = 0;
  private writing: Promise<void> | undefined;
  private sending: string | undefined;
  private diskFailing = false;
  private diskFailedAt = Number.NEGATIVE_INFINITY;
  private warnedAt = Number.NEGATIVE_INFINITY;

  constructor(private readonly options: BacklogOptions) {
    if (options.directory) this.lose(options.directory.trim(options.diskBytes), 'the spool is full');
  }

  get waiting(): boolean {
    return this.queue.length > 0 || !this.onlyMemory;
  }

  get bytes(): number {
    return this.queueBytes + this.diskBytes;
  }

  get diskBytes(): number {
    return this.options.directory?.bytes ?? 0;
  }

  push(record: OutgoingRecord): void {
    this.queue.push(record);
    this.queueBytes += recordBytes(record);
    this.makeRoom();
  }

  /** The oldest segment on disk, if any; it stays there until `sent`. Rejects when it cannot be read. */
  async takeSegment(): Promise<{ name: string; records: OutgoingRecord[] } | undefined> {
    for (;;) {
      const segment = await this.options.directory?.oldest();
      if (segment) {
        this.sending = segment.name;
        if (segment.damagedBytes > 0) this.lose({ bytes: segment.damagedBytes, records: 1 }, 'a spool file is damaged');
        if (segment.records.length > 0) return segment;
        await this.sent(segment.name);
      } else if (this.writing) await this.writing;
      else return undefined;
    }
  }

  /** The oldest of the queue, up to a number and size; nothing while something older is on disk. */
  take(maxRecords: number, maxBytes: number): OutgoingRecord[] {
    return this.onlyMemory ? this.shift(maxRecords, maxBytes) : [];
  }

  async sent(segment: string): Promise<void> {
    this.sending = undefined;
    await this.options.directory?.remove(segment);
  }

  /** Gives up the oldest segment, which cannot be read. */
  abandon(error: Error): void {
    const loss = this.options.directory?.abandonOldest();
    if (loss) this.lose(loss, `a spool file cannot be read: ${error.message}`);
  }

  drop(records: readonly OutgoingRecord[], reason: string): void {
    const bytes = records.reduce((sum, { value }) => sum + (value?.byteLength ?? 0), 0);
    this.lose({ bytes, records: records.length }, reason);
  }

  /** Writes to disk what is in memory, `first` in front of all. */
  async close(first: readonly OutgoingRecord[]): Promise<void> {
    await this.writing;
    const { directory } = this.options;
    const rest = this.shift(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY);
    let left = [...first, ...rest];
    if (!directory) {
      this.drop(left, 'the log did not take them in time and there is no spool directory');
      return;
    }
    try {
      if (first.length > 0) await directory.write(first, 'front');
      left = rest;
      if (rest.length > 0) await directory.write(rest, 'back');
    } catch (error) {
      this.drop(left, `the spool directory takes no records: ${(error as Error).message}`);
    }
  }

  private get onlyMemory(): boolean {
    return this.writing === undefined && (this.options.directory?.segments ?? 0) === 0;
  }

  private shift(maxRecords: number, maxBytes: number): OutgoingRecord[] {
    const { queue } = this;
    let count = 0;
    let bytes = 0;
    while (count < queue.length && count < maxRecords) {
      const next = recordBytes(queue[count]!);
      if (count > 0 && bytes + next > maxBytes) break;
      bytes += next;
      count++;
    }
    this.queueBytes -= bytes;
    return queue.splice(0, count);
  }

  private makeRoom(): void {
    const { memoryBytes, diskBytes, directory, clock } = this.options;
    if (this.queueBytes <= memoryBytes) return;
    const resting = clock.monotonic() - this.diskFailedAt < DISK_PAUSE_MS;
    if (!directory || diskBytes === 0 || resting) {
      this.dropUntil(memoryBytes, resting ? 'the spool directory takes nothing' : 'the spool is full');
      return;
    }
    this.dropUntil(memoryBytes * SLACK, 'the spool directory is too slow');
    this.writing ??= this.spill(directory).finally(() => {
      this.writing = undefined;
      this.makeRoom();
    });
  }

  private async spill(directory: SpoolDirectory): Promise<void> {
    const { clock, logger, diskBytes } = this.options;
    const records = this.shift(Number.POSITIVE_INFINITY, SEGMENT_BYTES);
    try {
      await directory.write(records, 'back');
    } catch (error) {
      if (!this.diskFailing) logger.warn({ reason: (error as Error).message }, 'spool directory takes no records');
      this.diskFailing = true;
      this.diskFailedAt = clock.monotonic();
      this.queue.unshift(...records);
      this.queueBytes += records.reduce((sum, record) => sum + recordBytes(record), 0);
      return;
    }
    if (this.diskFailing) logger.info({}, 'spool directory takes records again');
    this.diskFailing = false;
    this.lose(directory.trim(diskBytes, this.sending), 'the spool is full');
  }

  private dropUntil(limit: number, reason: string): void {
    while (this.queueBytes > limit && this.queue.length > 0) this.drop(this.shift(1, 0), reason);
  }

  private lose(loss: Loss, reason: string): void {
    if (loss.records === 0) return;
    this.droppedBytes += loss.bytes;
    this.droppedRecords += loss.records;
    const now = this.options.clock.monotonic();
    if (now - this.warnedAt >= WARNING_MS) {
      this.warnedAt = now;
      this.options.logger.warn({ ...loss, droppedBytes: this.droppedBytes, reason }, 'records were dropped');
    }
    this.options.onLoss();
  }
}
