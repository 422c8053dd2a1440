import { EventLogError } from '../errors.js';
import type { BackoffOptions } from '../timing.js';

const MiB = 1024 * 1024;

export interface MemoryEventLogOptions {
  /** Bytes that one topic keeps at most; producers wait when all of it is still needed. Default 64 MiB. */
  maxTopicBytes?: number;
  /** Key and value of one record, bytes at most. Default 8 MiB. */
  maxRecordBytes?: number;
  /** How long `append` waits for room before it rejects with EVENT_LOG_FULL. Default 10,000. */
  appendTimeoutMs?: number;
  /** Default 1,000. */
  commitIntervalMs?: number;
  /** How often retention and compaction are looked after. Default 5,000. */
  housekeepingMs?: number;
  /** How long a member may take to give a partition back before it loses it. Default 10,000. */
  rebalanceTimeoutMs?: number;
  /**
   * How long a group that has no members still keeps, when room is short, what it has not committed. Default 600,000.
   * Afterwards the oldest goes, counted in `droppedRecords`, so that a group nobody runs any more stops nothing.
   */
  groupHoldMs?: number;
  /** Delays between the tries of a failing handler. Default 100 ms doubling up to 10,000 ms. */
  retry?: BackoffOptions;
  /** Keeps records and positions on disk, so that what was acknowledged outlives the process. */
  journal?: JournalOptions;
  /** Told of what went wrong and was dealt with, one line each: a torn tail, a damaged file. */
  onWarning?: (line: string) => void;
}

export interface JournalOptions {
  /** Made when it is missing; belongs to one process at a time. */
  directory: string;
  /**
   * Waits for the disk before an append or a commit resolves, so that it outlives the machine too. Default false: it
   * outlives the process.
   */
  fsync?: boolean;
  /** Size of one file, bytes. Default a sixteenth of `maxTopicBytes`, at most 16 MiB. */
  segmentBytes?: number;
  /** Records kept in memory, of all topics, bytes; older ones are read back. Default 64 MiB. */
  memoryBytes?: number;
}

export interface ResolvedOptions extends Required<Omit<MemoryEventLogOptions, 'journal'>> {
  maxPendingBytes: number;
  journal: Required<JournalOptions> | undefined;
}

const DEFAULTS = {
  maxRecordBytes: 8 * MiB,
  appendTimeoutMs: 10_000,
  commitIntervalMs: 1_000,
  housekeepingMs: 5_000,
  rebalanceTimeoutMs: 10_000,
  groupHoldMs: 600_000,
  retry: { initialMs: 100, maxMs: 10_000 },
  maxPendingBytes: 16 * MiB,
  onWarning: () => {},
};
const MAX_TOPIC_BYTES = { memory: 64 * MiB, journal: 1024 * MiB };

/** Fills in the defaults; throws EVENT_LOG_INVALID naming the option that is out of range. */
export function resolveOptions(options: MemoryEventLogOptions): ResolvedOptions {
  const { journal, retry } = options;
  const maxTopicBytes = options.maxTopicBytes ?? MAX_TOPIC_BYTES[journal ? 'journal' : 'memory'];
  const segmentBytes = Math.min(16 * MiB, Math.ceil(maxTopicBytes / 16));
  const resolved: ResolvedOptions = {
    ...DEFAULTS,
    ...options,
    maxTopicBytes,
    journal: journal && { fsync: false, segmentBytes, memoryBytes: 64 * MiB, ...journal },
  };
  checkNumbers('', resolved);
  if (retry) checkNumbers('retry.', retry);
  if (resolved.journal) checkNumbers('journal.', resolved.journal);
  return resolved;
}

function checkNumbers(prefix: string, options: object): void {
  for (const [name, value] of Object.entries(options)) {
    if (typeof value !== 'number' || (value > 0 && value <= Number.MAX_SAFE_INTEGER)) continue;
    throw new EventLogError(
      'EVENT_LOG_INVALID',
      `event log option ${prefix}${name} is ${value}: must be above 0 and at most ${Number.MAX_SAFE_INTEGER}`,
      false,
    );
  }
}
