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
  /** Grows within a partition; with gaps where compaction, retention or a crash of the machine left them. */
  offset: number;
  key: string;
  /** Shared by all consumers in the process: do not change it. */
  value: Uint8Array | null;
  headers: Readonly<Record<string, string>>;
  timestamp: number;
}

/** Where a group stands in a partition: the next offset to read, and what the committer noted beside it. */
export interface CommittedPosition {
  offset: number;
  metadata: string;
}

/**
 * What a handler may do with the partition it was given, until its `close` has resolved. After that `commit` and
 * `reject` are refused with EVENT_LOG_REVOKED and `acknowledge` is ignored.
 */
export interface PartitionContext {
  readonly topic: string;
  readonly partition: number;
  /** The group's position when the partition was assigned; undefined when it never committed. */
  readonly committed: CommittedPosition | undefined;
  /** Aborts when the partition is about to be taken away or the subscription drains, before `close` is called. */
  readonly signal: AbortSignal;
  /**
   * Marks one record as done. Done records may come in any order; what is committed is the contiguous prefix, about
   * once a second and when the partition is closed. Frees the record's bytes of the in-flight window.
   */
  acknowledge(offset: number): void;
  /**
   * Commits at once: `offset` is the next to read, and may lie before what was committed last. For sinks that keep
   * their own batches; acknowledges everything below `offset` too. Resolves when the log has it durably.
   *
   * From the first call on the handler alone commits in this partition: what it acknowledges or rejects frees the
   * in-flight window and moves no position. So the metadata stays with the offset it was noted for.
   */
  commit(offset: number, metadata?: string): Promise<void>;
  /**
   * Sends one record to the dead-letter topic with the reason in its headers (`DeadLetterHeader`), and acknowledges it.
   * An ephemeral subscription, or one of a dead-letter topic, only acknowledges and counts it.
   */
  reject(record: LogRecord, reason: Error): Promise<void>;
}

/** Serves one partition from its assignment to its revocation; keeps whatever state it likes in between. */
export interface PartitionHandler {
  /**
   * Takes records in order; the next call comes after this one resolved. It does not acknowledge by itself: the
   * handler calls `acknowledge`, `commit` or `reject` when a record is really done, now or later.
   *
   * When it throws, the records of this call that are not acknowledged are handed over again, with backoff. An error
   * whose `retriable` is true is tried again for as long as it takes. Any other counts as a try of the record, and after
   * `maxTries` it goes to the dead-letter topic; when the call had several records, they come again one by one first,
   * so that only the one that fails is blamed.
   */
  handle(records: readonly LogRecord[]): Promise<void>;
  /**
   * Finish or drop what is in flight. What is acknowledged or committed until it resolves counts, as long as the log
   * still lets this member commit.
   */
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
  /**
   * Called once per partition assigned. When it fails with a retriable error it is called again, with backoff; with any
   * other the subscription fails.
   */
  assign(context: PartitionContext): PartitionHandler | Promise<PartitionHandler>;
  /** Delivered but not acknowledged bytes of a partition, above which delivery pauses. Default 8 MiB. */
  maxInFlightBytes?: number;
  /** Records handed over in one call of `handle`, at most. Default 500. */
  maxBatchRecords?: number;
  /** Tries before a record goes to the dead-letter topic. Default 5. */
  maxTries?: number;
  /**
   * How long an adapter may let records wait for others where only few come, milliseconds: to hand over many at once costs
   * less. Default: as the adapter is set up.
   */
  maxWaitMs?: number;
  /** A live view: reads every partition, commits nothing, belongs to no group; `group` is ignored. Default false. */
  ephemeral?: boolean;
}

export interface Subscription {
  /** Resolves when partitions are assigned and delivery has begun. */
  readonly ready: Promise<void>;
  /** Rejects when the subscription died of something it cannot recover from; never resolves otherwise before close. */
  readonly failed: Promise<never>;
  /**
   * Stops delivery, closes the handlers, commits, leaves the group; gives up waiting at the deadline, and does not
   * reject then: what was not committed comes again.
   */
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
  /** Partitions that groups gave to this client or took from it, the first ones included. */
  rebalances: number;
  inFlightBytes: number;
  /** Bytes the log holds in memory, and on disk when it keeps a journal. */
  retainedBytes: number;
  journalBytes: number;
}

/** The one port to the event log. Every adapter passes the suite in `conformance.ts`. */
export interface EventLog {
  /** Makes what is missing, with a dead-letter topic for each; throws EventLogError EVENT_LOG_TOPIC_DIFFERS when a topic exists with other settings. */
  ensureTopics(topics: readonly TopicSpec[]): Promise<void>;
  /**
   * Resolves when every record is acknowledged by the log: it then outlives this process. Records of one key keep the
   * order of the calls. When it rejects, any of the records may be written or not. The bytes may be used again after it.
   */
  append(records: readonly OutgoingRecord[]): Promise<void>;
  subscribe(options: SubscribeOptions): Promise<Subscription>;
  lag(topic: string, group: string): Promise<PartitionLag[]>;
  metrics(): EventLogMetrics;
  /**
   * Drains every subscription and leaves no timer, file or socket open. What handlers append until they are closed is
   * still taken; every other call is refused with EVENT_LOG_CLOSED. Safe to call again.
   */
  close(deadlineMs?: number): Promise<void>;
}
