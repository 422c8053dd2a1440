import { EventLogError } from './errors.js';
import type {
  CommittedPosition,
  LogRecord,
  PartitionContext,
  PartitionHandler,
  SubscribeOptions,
} from './event-log.js';
import { createInFlight, type InFlight } from './in-flight.js';
import { recordBytes } from './record-bytes.js';
import { backoffDelay, Pulse, settledBy, sleep, type BackoffOptions } from './timing.js';

/** What a session needs of the adapter that runs it. */
export interface SessionPorts {
  topic: string;
  partition: number;
  committed: CommittedPosition | undefined;
  /** The first offset that may be delivered. */
  position: number;
  maxInFlightBytes: number;
  maxTries: number;
  retry: BackoffOptions;
  assign: SubscribeOptions['assign'];
  /** Makes a position durable. */
  store(position: CommittedPosition): Promise<void>;
  /** Sends a record to the dead-letter topic. */
  deadLetter(record: LogRecord, reason: unknown, tries: number): Promise<void>;
  /** A call of the handler, `assign`, a commit or a dead letter failed; it is repeated where that makes sense. */
  onFailure(error: unknown): void;
  /** Something was acknowledged: a commit is due within the commit interval. */
  onProgress(): void;
}

type State = 'open' | 'closing' | 'closed';

/**
 * One partition in the hands of one handler, from assignment to revocation: delivery with retries, the in-flight
 * window, acknowledgements and commits. Adapters read records and call `deliver`; everything else is alike for all.
 */
export class PartitionSession {
  readonly #ports: SessionPorts;
  readonly #inFlight: InFlight;
  readonly #abort = new AbortController();
  readonly #room = new Pulse();
  readonly context: PartitionContext;
  #handler: PartitionHandler | undefined;
  #state: State = 'open';
  #busy: Promise<void> = Promise.resolve();
  /** Commits go to the log one after another. */
  #stored: Promise<void> = Promise.resolve();
  #committedOffset: number;
  /** True from the first `commit` on: then the handler alone decides what is committed. */
  #ownCommits = false;
  #closing: Promise<boolean> | undefined;

  constructor(ports: SessionPorts) {
    this.#ports = ports;
    this.#inFlight = createInFlight(ports.position);
    this.#committedOffset = ports.committed?.offset ?? ports.position;
    this.context = {
      topic: ports.topic,
      partition: ports.partition,
      committed: ports.committed,
      signal: this.#abort.signal,
      acknowledge: (offset) => this.#acknowledge(offset),
      commit: (offset, metadata) => this.#commit(offset, metadata ?? ''),
      reject: (record, reason) => this.#reject(record, reason),
    };
  }

  get inFlightBytes(): number {
    return this.#inFlight.bytes;
  }

  get #isClosed(): boolean {
    return this.#state === 'closed';
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Bytes that may be delivered now; 0 when delivery is to pause. */
  get roomBytes(): number {
    return Math.max(0, this.#ports.maxInFlightBytes - this.#inFlight.bytes);
  }

  /** Resolves when there is room in the in-flight window, or the session closes. */
  async room(): Promise<void> {
    while (this.#state === 'open' && this.roomBytes === 0) await this.#room.next(this.signal);
  }

  /** Makes the handler; a retriable error is tried again until the session closes, any other is thrown. */
  start(): Promise<void> {
    const started = this.#start();
    this.#busy = started.catch(() => {});
    return started;
  }

  async #start(): Promise<void> {
    for (let attempt = 1; this.#state === 'open'; attempt++) {
      try {
        this.#handler = await this.#ports.assign(this.context);
        break;
      } catch (error) {
        if (!isRetriable(error)) throw error;
        this.#ports.onFailure(error);
        await this.#pause(attempt);
      }
    }
    // The partition went while the handler was made, and nobody waits for it any more.
    if (this.#isClosed) await this.#handler?.close?.('revoked');
  }

  /** Hands the records over; resolves when the handler took them all, they went to the dead-letter topic, or it closes. */
  deliver(records: readonly LogRecord[]): Promise<void> {
    if (this.#state !== 'open') return Promise.resolve();
    for (const record of records) this.#inFlight.deliver(record.offset, recordBytes(record));
    this.#busy = this.#handOver(records);
    return this.#busy;
  }

  /** Delivery begins here, where nothing was committed yet. */
  beginAt(offset: number): void {
    this.#inFlight.skipTo(offset);
    this.#committedOffset = offset;
  }

  /** The log has nothing below the offset any more: what is not delivered of it never will be. */
  skipTo(offset: number): void {
    this.#inFlight.skipTo(offset);
    this.#progress();
  }

  async #handOver(records: readonly LogRecord[]): Promise<void> {
    let rest = records;
    let oneByOne = false;
    let tries = 0;
    for (let attempt = 1; rest.length > 0 && this.#state === 'open';) {
      const call = oneByOne ? rest.slice(0, 1) : rest;
      try {
        await this.#handler!.handle(call);
        rest = rest.slice(call.length);
        attempt = 1;
        tries = 0;
      } catch (error) {
        this.#ports.onFailure(error);
        const first = call[0]!;
        if (!isRetriable(error)) {
          if (call.length === 1 && ++tries >= this.#ports.maxTries) {
            await this.#deadLetterForCertain(first, error, tries);
            attempt = 1;
          }
          // Of several records any may be the bad one: alone, each answers for itself.
          oneByOne = true;
        }
        rest = rest.filter((record) => this.#inFlight.isOpen(record.offset));
        if (rest[0] !== first) tries = 0;
        else if (call.length === 1 || isRetriable(error)) await this.#pause(attempt++);
      }
    }
  }

  async #deadLetterForCertain(record: LogRecord, reason: unknown, tries: number): Promise<void> {
    for (let attempt = 1; this.#state === 'open' && this.#inFlight.isOpen(record.offset); attempt++) {
      try {
        await this.#ports.deadLetter(record, reason, tries);
        this.#acknowledge(record.offset);
      } catch (error) {
        this.#ports.onFailure(error);
        await this.#pause(attempt);
      }
    }
  }

  #pause(attempt: number): Promise<void> {
    return sleep(backoffDelay(attempt, this.#ports.retry), this.signal);
  }

  #acknowledge(offset: number): void {
    if (this.#state !== 'closed' && this.#inFlight.acknowledge(offset) > 0) this.#progress();
  }

  #progress(): void {
    this.#room.fire();
    if (!this.#ownCommits) this.#ports.onProgress();
  }

  async #commit(offset: number, metadata: string): Promise<void> {
    if (!Number.isSafeInteger(offset) || offset < 0 || offset > this.#inFlight.delivered) {
      throw new EventLogError(
        'EVENT_LOG_INVALID',
        `commit of ${this.#name()} at offset ${offset}: must be a whole number from 0 to ${this.#inFlight.delivered}, the next to be delivered`,
        false,
      );
    }
    this.#ownCommits = true;
    if (this.#state === 'closed') throw this.#revoked();
    if (this.#inFlight.acknowledgeBelow(offset) > 0) this.#progress();
    await this.#store({ offset, metadata });
  }

  async #reject(record: LogRecord, reason: Error): Promise<void> {
    if (this.#state === 'closed') throw this.#revoked();
    if (!this.#inFlight.isOpen(record.offset)) return;
    await this.#ports.deadLetter(record, reason, 0);
    this.#acknowledge(record.offset);
  }

  /** Commits the acknowledged prefix when it moved and the handler does not commit by itself. */
  async commitAcknowledged(): Promise<void> {
    const offset = this.#inFlight.position;
    if (this.#ownCommits || this.#state === 'closed' || offset <= this.#committedOffset) return;
    await this.#store({ offset, metadata: '' });
  }

  #store(position: CommittedPosition): Promise<void> {
    const stored = this.#stored.then(async () => {
      if (this.#state === 'closed') throw this.#revoked();
      await this.#ports.store(position);
      this.#committedOffset = position.offset;
    });
    this.#stored = stored.catch(() => {});
    return stored;
  }

  /**
   * Stops delivery, lets the handler finish, commits. False when the deadline came first: what was not committed is
   * then delivered again to the next owner.
   */
  close(reason: 'revoked' | 'drain', deadline: number): Promise<boolean> {
    this.#closing ??= this.#close(reason, deadline);
    return this.#closing;
  }

  async #close(reason: 'revoked' | 'drain', deadline: number): Promise<boolean> {
    if (this.#state === 'closed') return true;
    this.#state = 'closing';
    this.#abort.abort();
    try {
      return await settledBy(this.#finish(reason), deadline);
    } catch (error) {
      this.#ports.onFailure(error);
      return false;
    } finally {
      this.abandon();
    }
  }

  async #finish(reason: 'revoked' | 'drain'): Promise<void> {
    await this.#busy;
    try {
      await this.#handler?.close?.(reason);
    } catch (error) {
      this.#ports.onFailure(error);
    }
    await this.commitAcknowledged();
    await this.#stored;
  }

  /** Takes the partition away at once: nothing more is delivered, acknowledged or committed. */
  abandon(): void {
    this.#state = 'closed';
    this.#abort.abort();
    this.#room.fire();
  }

  #name(): string {
    return `${this.#ports.topic}[${this.#ports.partition}]`;
  }

  #revoked(): EventLogError {
    return new EventLogError(
      'EVENT_LOG_REVOKED',
      `${this.#name()} was taken away from this subscription: another member goes on from its committed position`,
      false,
    );
  }
}

function isRetriable(error: unknown): boolean {
  return (error as { retriable?: unknown } | null | undefined)?.retriable === true;
}
