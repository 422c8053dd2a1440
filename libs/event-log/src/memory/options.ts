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
}

export type ResolvedOptions = Required<MemoryEventLogOptions>;

const DEFAULTS: ResolvedOptions = {
  maxTopicBytes: 64 * MiB,
  maxRecordBytes: 8 * MiB,
  appendTimeoutMs: 10_000,
  commitIntervalMs: 1_000,
  housekeepingMs: 5_000,
  rebalanceTimeoutMs: 10_000,
  groupHoldMs: 600_000,
  retry: { initialMs: 100, maxMs: 10_000 },
};

/** Fills in the defaults; throws EVENT_LOG_INVALID naming the option that is out of range. */
export function resolveOptions(options: MemoryEventLogOptions): ResolvedOptions {
  const resolved: ResolvedOptions = { ...DEFAULTS, ...options };
  const numbers = {
    ...resolved,
    ...{ 'retry.initialMs': resolved.retry.initialMs, 'retry.maxMs': resolved.retry.maxMs },
  };
  for (const [name, value] of Object.entries(numbers)) {
    if (typeof value !== 'number' || (value > 0 && value <= Number.MAX_SAFE_INTEGER)) continue;
    throw new EventLogError('EVENT_LOG_INVALID', `event log option ${name} is ${value}: must be above 0`, false);
  }
  return resolved;
}
