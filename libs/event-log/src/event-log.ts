import type { TopicSpec } from '@tidemark/contracts';

/** A record on its way into the log. Records of one topic and key keep their order. */
export interface OutgoingRecord {
  topic: string;
  key: string;
  /** null is a tombstone on a compacted topic. */
  value: Uint8Array | null;
  headers?: Readonly<Record<string, string>>;
  /** Epoch milliseconds; now when left out. */
  timestamp?: number;
}

export interface LogRecord {
  topic: string;
  partition: number;
  /** Dense within a partition as far as one producer writes; never decreasing. */
  offset: number;
  key: string;
  value: Uint8Array | null;
  headers: Readonly<Record<string, string>>;
  timestamp: number;
}

/** Where a group stands in a partition: the next offset to read, and what the committer noted beside it. */
export interface CommittedPosition {
  offset: number;
  metadata: string;
}

/** What a handler may do with the partition it was given. After revocation every call is refused or ignored. */
export interface PartitionContext {
  readonly topic: string;
  readonly partition: number;
  /** The group's position when the partition was assigned; undefined when it never committed. */
  readonly committed: CommittedPosition | undefined;
  /** Aborts when the partition is taken away or the subscription closes. */
  readonly signal: AbortSignal;
  /**
   * Marks one record as done. Done records may come in any order; what is committed is the contiguous prefix, about
   * once a second and when the partition is closed. Frees the record's bytes of the in-flight window.
   */
  acknowledge(offset: number): void;
  /**
   * Commits at once: `offset` is the next to read. For sinks that keep their own batches; acknowledges everything
   * below `offset` too. Resolves when the log has it durably.
   */
  commit(offset: number, metadata?: string): Promise<void>;
  /** Sends one record to the dead-letter topic with the reason in its headers, and acknowledges it. */
  reject(record: LogRecord, reason: Error): Promise<void>;
}

/** Serves one partition from its assignment to its revocation; keeps whatever state it likes in between. */
export interface PartitionHandler {
  /**
   * Takes records in order; the next call comes after this one resolved. It does not acknowledge by itself: the
   * handler calls `acknowledge`, `commit` or `reject` when a record is really done, now or later.
   *
   * When it throws, the records not yet acknowledged are handed over again, with backoff; an error whose `retriable`
   * is not true counts as a try, and after `maxTries` the first unacknowledged record goes to the dead-letter topic.
   */
  handle(records: readonly LogRecord[]): Promise<void>;
  /** Finish or drop what is in flight; the position is committed after it resolves. */
  close?(reason: 'revoked' | 'drain'): Promise<void>;
}

export interface SubscribeOptions {
  topic: string;
  /** Members of a group share partitions and positions. */
  group: string;
  /**
   * Where a partition without a committed position starts: the oldest record, the next one, or the first record not
   * older than `{ sinceMs }` milliseconds before now.
   */
  from: 'earliest' | 'latest' | { sinceMs: number };
  /** Called once per partition assigned. */
  assign(context: PartitionContext): PartitionHandler | Promise<PartitionHandler>;
  /** Delivered but not acknowledged bytes of a partition, above which delivery pauses. Default 8 MiB. */
  maxInFlightBytes?: number;
  /** Records handed over in one call of `handle`, at most. Default 500. */
  maxBatchRecords?: number;
  /** Tries before a record goes to the dead-letter topic. Default 5. */
  maxTries?: number;
  /** A subscription that commits nothing and belongs to no group: a live view. Default false. */
  ephemeral?: boolean;
}

export interface Subscription {
  /** Resolves when partitions are assigned and delivery has begun. */
  readonly ready: Promise<void>;
  /** Rejects when the subscription died of something it cannot recover from; never resolves otherwise before close. */
  readonly failed: Promise<never>;
  /** Stops delivery, closes the handlers, commits, leaves the group; gives up waiting at the deadline. */
  drain(deadlineMs: number): Promise<void>;
}

export interface PartitionLag {
  partition: number;
  committed: number | undefined;
  end: number;
  /** Records appended and not yet committed by the group. */
  lag: number;
}

export interface EventLogMetrics {
  appendedRecords: number;
  appendedBytes: number;
  deadLettered: number;
  /** Records that went before a group had committed them: too old, or in the way of newer ones. */
  droppedRecords: number;
  /** Failed calls of handlers, commits and dead letters; each is repeated where that makes sense. */
  retries: number;
  inFlightBytes: number;
  /** Bytes the log holds in memory, and on disk when it keeps a journal. */
  retainedBytes: number;
  journalBytes: number;
}

/** The one port to the event log. Every adapter passes the suite in `conformance.ts`. */
export interface EventLog {
  /** Makes what is missing; throws EventLogError EVENT_LOG_TOPIC_DIFFERS when a topic exists with other settings. */
  ensureTopics(topics: readonly TopicSpec[]): Promise<void>;
  /** Resolves when every record is acknowledged by the log; in order per key. Rejects with nothing or all of them maybe written. */
  append(records: readonly OutgoingRecord[]): Promise<void>;
  subscribe(options: SubscribeOptions): Promise<Subscription>;
  lag(topic: string, group: string): Promise<PartitionLag[]>;
  metrics(): EventLogMetrics;
  /** Drains every subscription and leaves no timer, file or socket open. */
  close(deadlineMs?: number): Promise<void>;
}
