import type { EventLog, OutgoingRecord } from '@tidemark/event-log';
import type { Logger } from '@tidemark/service';
import { Backlog } from './backlog.js';
import type { Clock } from './clock.js';
import { openSpoolDirectory, type SpoolDirectory } from './spool-directory.js';
import { recordBytes } from './spool-segment.js';

export interface OutboxStats {
  /** Bytes of values that the log has acknowledged, and records. */
  sentBytes: number;
  sentRecords: number;
  /** Bytes that wait, in memory and on disk. */
  waitingBytes: number;
  /** Of these, on disk. */
  diskBytes: number;
  droppedBytes: number;
  droppedRecords: number;
  /** Why the log takes nothing, in its own words; null while it does. */
  failing: string | null;
}

export interface OutboxOptions {
  log: EventLog;
  clock: Clock;
  logger: Logger;
  /** null: memory only. */
  directory: string | null;
  memoryBytes: number;
  diskBytes: number;
  /** Something was dropped: what follows must not build on it. */
  onLoss(): void;
}

const BATCH_RECORDS = 64;
const BATCH_BYTES = 1024 * 1024;
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 5_000;
/** An append without an answer for this long is told of as a failure, though nothing is given up. */
const SILENCE_MS = 10_000;
/** Tries to read a segment of the spool before it is given up. */
const READ_TRIES = 5;

/** What is being sent: taken out of the queue, or read from the spool and deleted there once it is sent. */
interface Batch {
  records: OutgoingRecord[];
  segment: string | undefined;
}

/**
 * Takes records at once and sends them in order, now or when the log is back. The batch in flight is older than all that
 * waits.
 *
 * A record may reach the log twice: when the collector is killed between the log's answer and the deletion of the spool
 * file that the record came from, or when the log answers after a drain's deadline has passed.
 */
export class Outbox {
  private readonly backlog: Backlog;
  private readonly stop = new AbortController();
  private inFlight: Batch | undefined;
  private failing: string | null = null;
  private askedAt: number | undefined;
  private sentBytes = 0;
  private sentRecords = 0;
  private running: Promise<void> | undefined;
  private draining: Promise<void> | undefined;
  /** While all that there is waits for what comes next. */
  private holding: AbortController | undefined;

  constructor(private readonly options: OutboxOptions) {
    const directory = options.directory === null ? null : openDirectory(options.directory, options.logger);
    this.backlog = new Backlog({ ...options, directory });
    this.wake();
  }

  /**
   * Never throws and never waits. With `holdMs` the records stay here until others are sent without, at most so long;
   * unless older ones wait for the log, for then there is nothing to be gained.
   */
  send(records: readonly OutgoingRecord[], holdMs = 0): void {
    if (this.stop.signal.aborted) {
      this.backlog.drop(records, 'the collector has stopped');
      return;
    }
    const hold = holdMs > 0 && records.length > 0 && (this.holding !== undefined || !this.busy);
    for (const record of records) this.backlog.push(record);
    if (hold) this.hold(holdMs);
    else this.release();
  }

  private hold(ms: number): void {
    if (this.holding) return;
    const holding = (this.holding = new AbortController());
    void this.options.clock.sleep(ms, holding.signal).then(() => {
      if (this.holding === holding) this.release();
    });
  }

  private release(): void {
    this.holding?.abort();
    this.holding = undefined;
    this.wake();
  }

  stats(): OutboxStats {
    const { backlog, inFlight } = this;
    const fromQueue = inFlight && inFlight.segment === undefined ? inFlight.records : [];
    return {
      sentBytes: this.sentBytes,
      sentRecords: this.sentRecords,
      // What is held here does not wait for the log.
      waitingBytes: this.holding ? 0 : backlog.bytes + fromQueue.reduce((sum, record) => sum + recordBytes(record), 0),
      diskBytes: backlog.diskBytes,
      droppedBytes: backlog.droppedBytes,
      droppedRecords: backlog.droppedRecords,
      failing: this.failing ?? this.silence(),
    };
  }

  private silence(): string | null {
    if (this.askedAt === undefined) return null;
    const waited = this.options.clock.monotonic() - this.askedAt;
    return waited < SILENCE_MS ? null : `it has not answered for ${Math.round(waited / 1000)} s`;
  }

  /** Sends what it can until the deadline, and leaves the rest on disk for the next run. */
  drain(deadlineMs: number): Promise<void> {
    this.draining ??= this.finishAll(deadlineMs);
    return this.draining;
  }

  private get busy(): boolean {
    return this.inFlight !== undefined || this.backlog.waiting;
  }

  private wake(): void {
    if (this.running || this.holding || this.stop.signal.aborted || !this.busy) return;
    this.running = this.pump()
      .catch((error: unknown) => {
        this.options.logger.error({ err: error }, 'sending failed in a way that was not foreseen');
        return this.options.clock.sleep(LONGEST_PAUSE_MS, this.stop.signal);
      })
      .finally(() => {
        this.running = undefined;
        this.wake();
      });
  }

  private async pump(): Promise<void> {
    const { signal } = this.stop;
    let pause = FIRST_PAUSE_MS;
    while (!signal.aborted) {
      this.inFlight ??= await this.nextBatch();
      if (!this.inFlight) return;
      if (await this.sendBatch(this.inFlight)) {
        pause = FIRST_PAUSE_MS;
        continue;
      }
      await this.options.clock.sleep(pause, signal);
      pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
    }
  }

  private async nextBatch(): Promise<Batch | undefined> {
    const { clock } = this.options;
    for (let tries = 1; !this.stop.signal.aborted; tries++) {
      try {
        const segment = await this.backlog.takeSegment();
        if (segment) return { records: segment.records, segment: segment.name };
        const records = this.backlog.take(BATCH_RECORDS, BATCH_BYTES);
        return records.length > 0 ? { records, segment: undefined } : undefined;
      } catch (error) {
        if (tries % READ_TRIES === 0) this.backlog.abandon(error as Error);
        else await clock.sleep(FIRST_PAUSE_MS, this.stop.signal);
      }
    }
    return undefined;
  }

  /** True when the batch is done with: sent, or given up because the log will never take it. */
  private async sendBatch(batch: Batch): Promise<boolean> {
    const { log, logger, clock } = this.options;
    this.askedAt = clock.monotonic();
    try {
      await log.append(batch.records);
      this.askedAt = undefined;
    } catch (error) {
      this.askedAt = undefined;
      if (isTooLarge(error)) return this.sendEach(batch, error as Error);
      const reason = error instanceof Error ? error.message : String(error);
      if (this.failing === null) logger.warn({ reason }, 'event log takes no records; keeping them until it does');
      this.failing = reason;
      return false;
    }
    if (this.failing !== null) logger.info({ waitingBytes: this.backlog.bytes }, 'event log takes records again');
    this.failing = null;
    for (const { value } of batch.records) this.sentBytes += value?.byteLength ?? 0;
    this.sentRecords += batch.records.length;
    await this.finish(batch);
    return true;
  }

  /** One of them is too large for ever: each alone shows which, and the others go out. */
  private async sendEach(batch: Batch, refusal: Error): Promise<boolean> {
    if (batch.records.length === 1) {
      this.backlog.drop(batch.records, refusal.message);
      await this.finish(batch);
      return true;
    }
    while (batch.records.length > 0) {
      if (!(await this.sendBatch({ records: batch.records.slice(0, 1), segment: undefined }))) return false;
      batch.records = batch.records.slice(1);
    }
    await this.finish(batch);
    return true;
  }

  private async finish(batch: Batch): Promise<void> {
    if (batch === this.inFlight) this.inFlight = undefined;
    if (batch.segment !== undefined) await this.backlog.sent(batch.segment);
  }

  private async finishAll(deadlineMs: number): Promise<void> {
    const { clock } = this.options;
    this.release();
    const deadline = new AbortController();
    const emptied = async (): Promise<void> => {
      while (this.busy && !deadline.signal.aborted) {
        this.wake();
        await this.running;
      }
    };
    await Promise.race([emptied(), clock.sleep(deadlineMs, deadline.signal)]);
    deadline.abort();
    this.stop.abort();
    const fromQueue = this.inFlight && this.inFlight.segment === undefined ? this.inFlight.records : [];
    await this.backlog.close(fromQueue);
  }
}

function isTooLarge(error: unknown): boolean {
  return (error as { code?: unknown } | null)?.code === 'EVENT_LOG_RECORD_TOO_LARGE';
}

/** A directory that cannot be used must not keep the collector from its work: it says so and keeps memory only. */
function openDirectory(directory: string, logger: Logger): SpoolDirectory | null {
  try {
    return openSpoolDirectory(directory);
  } catch (error) {
    logger.warn({ directory, reason: (error as Error).message }, 'spool directory cannot be used: memory only');
    return null;
  }
}
