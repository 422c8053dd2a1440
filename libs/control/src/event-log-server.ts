import { ContractError } from '@tidemark/contracts';
import {
  toDeadLetter,
  type EventLog,
  type LogRecord,
  type PartitionContext,
  type PartitionHandler,
  type PartitionLag,
  type Subscription,
} from '@tidemark/event-log';
import type { Logger } from '@tidemark/service';
import { Server, type CustomTransportStrategy, type ReadPacket } from '@nestjs/microservices';
import { setTimeout as sleep } from 'node:timers/promises';
import { finalize, isObservable, lastValueFrom } from 'rxjs';
import type { ControlMetrics } from './control-metrics.js';
import { EventLogContext } from './event-log-context.js';
import { openTopic, reachedOrQuiet } from './open-topic.js';
import { createTopicEnd, type TopicEnd } from './topic-end.js';

export interface EventLogServerOptions {
  log: EventLog;
  topic: string;
  /** Names this reader where the log asks for a name. */
  group: string;
  /** Whether a record with this key concerns the handlers at all. */
  wants(key: string): boolean;
  /** The message in a record. Throws ContractError when there is none. */
  read(record: LogRecord): ReadPacket;
  logger: Logger;
  metrics: ControlMetrics;
  /** Tries of the handlers at one record, at most. Default 3. */
  maxTries?: number;
  /** Pause after the first failed try, milliseconds; doubles with each. Default 100. */
  retryMs?: number;
  /** How long the topic may be silent before its end counts as reached, milliseconds. Default 2,000. */
  quietMs?: number;
  /** Where the topic ended when somebody else began to read it for us; now when left out. */
  ends?: readonly PartitionLag[];
}

type Settled = EventLogServerOptions & Required<Pick<EventLogServerOptions, 'maxTries' | 'retryMs' | 'quietMs'>>;

/**
 * Transport of `@nestjs/microservices` that hands the records of one topic to `@EventPattern` handlers, from the oldest one
 * on, whatever adapter the log is. Records of one key are handled in their order, the next when the last one's handlers are
 * done. A damaged record is counted and passed over. Handlers that fail are tried again, a bounded number of times; then
 * the record goes to the dead-letter topic and the next one is taken. Events only: there are no replies.
 */
export class EventLogServer extends Server implements CustomTransportStrategy {
  override readonly transportId = Symbol('event-log');
  /** Failures of handlers come back to here, so Nest need not log them. */
  override readonly propagatesEventHandlerErrors = true;
  readonly #options: Settled;
  readonly #stop = new AbortController();
  #subscription: Subscription | undefined;
  #end: TopicEnd = createTopicEnd([]);
  #heardAt = performance.now();
  #draining: Promise<void> | undefined;

  constructor(options: EventLogServerOptions) {
    super();
    this.#options = { maxTries: 3, retryMs: 100, quietMs: 2_000, ...options };
  }

  override listen(callback: (error?: unknown) => void): void {
    this.#open().then(() => callback(), callback);
  }

  /** Rejects when nothing will be delivered any more. */
  get failed(): Promise<never> {
    return this.unwrap<Subscription>().failed;
  }

  /** Resolves when what there was at the start has been handled. */
  caughtUp(): Promise<void> {
    const { quietMs } = this.#options;
    return reachedOrQuiet(
      () => this.#end,
      () => this.#heardAt,
      quietMs,
      this.#stop.signal,
    );
  }

  drain(deadlineMs: number): Promise<void> {
    this.#stop.abort();
    this.#draining ??= this.#subscription?.drain(deadlineMs) ?? Promise.resolve();
    return this.#draining;
  }

  override close(): Promise<void> {
    return this.drain(1_000);
  }

  override on(event: string): void {
    throw new Error(`the event log has no events to listen to, such as ${event}`);
  }

  override unwrap<T>(): T {
    if (this.#subscription) return this.#subscription as T;
    throw new Error('the event log is not being listened to yet');
  }

  /** Rejects with what a handler failed with. */
  override async handleEvent(pattern: string, packet: ReadPacket, context: EventLogContext): Promise<void> {
    const handler = this.getHandlerByPattern(pattern);
    if (!handler) return;
    // Typed as void, yet it gives what the function gives.
    await this.runWithProcessingHooks(context, async (ended) => {
      const result: unknown = await handler(packet.data, context);
      if (isObservable(result)) await lastValueFrom(result.pipe(finalize(ended)), { defaultValue: undefined });
      else ended();
    });
  }

  async #open(): Promise<void> {
    const { log, topic, group, logger, ends } = this.#options;
    this.#subscription = await openTopic({
      ...{ log, topic, group, logger, signal: this.#stop.signal },
      onEnds: (lags) => (this.#end = createTopicEnd(ends ?? lags)),
      assign: (context) => this.#readPartition(context),
    });
    this.#heardAt = performance.now();
  }

  #readPartition(context: PartitionContext): PartitionHandler {
    return {
      handle: async (records) => {
        for (const record of records) {
          if (record.value !== null && this.#options.wants(record.key)) await this.#take(record, context.signal);
          if (context.signal.aborted) return;
          context.acknowledge(record.offset);
          this.#end.reached(record.partition, record.offset + 1);
          this.#heardAt = performance.now();
        }
      },
    };
  }

  async #take(record: LogRecord, signal: AbortSignal): Promise<void> {
    const { metrics, logger, read } = this.#options;
    metrics.heard.inc();
    try {
      const packet = read(record);
      await this.#handle(packet, record, signal);
    } catch (error) {
      if (signal.aborted) return;
      const { topic, partition, offset } = record;
      const isDamaged = error instanceof ContractError;
      metrics[isDamaged ? 'rejected' : 'failed'].inc();
      const what = isDamaged ? 'record is damaged and was passed over' : 'record could not be handled';
      logger[isDamaged ? 'warn' : 'error']({ topic, partition, offset, error: messageOf(error) }, what);
      // Whatever is older is read again at every start, and was put aside when it came.
      if (this.#end.isBehind(partition, offset)) await this.#putAside(record, error);
    }
  }

  async #handle(packet: ReadPacket, record: LogRecord, signal: AbortSignal): Promise<void> {
    const { maxTries, retryMs, metrics } = this.#options;
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.handleEvent(String(packet.pattern), packet, new EventLogContext([record]));
      } catch (error) {
        metrics.retries.inc();
        if (attempt >= maxTries) throw error;
        await sleep(retryMs * 2 ** (attempt - 1), undefined, { signal });
      }
    }
  }

  async #putAside(record: LogRecord, reason: unknown): Promise<void> {
    const { log, group, maxTries, logger } = this.#options;
    const tries = reason instanceof ContractError ? 0 : maxTries;
    try {
      await log.append([toDeadLetter(record, group, reason, tries)]);
    } catch (error) {
      logger.warn({ topic: record.topic, offset: record.offset, error: messageOf(error) }, 'dead letter not written');
    }
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
