import {
  ContractError,
  decodeAllocationChunk,
  decodeFindingRecord,
  decodeNodeRecord,
  decodeSampleChunk,
  Topic,
  type AllocationChunk,
  type FindingRecord,
  type NodeRecord,
  type SampleChunk,
} from '@tidemark/contracts';
import type { LogRecord } from '@tidemark/event-log';
import { allocationBlocks, findingBlocks, nodeBlocks, sampleBlocks, type Block } from '@tidemark/history';
import { findingRepeats, heartbeatRepeats, sampleRepeats, type Repeats, type WrittenBefore } from './repeats.js';

/** How the records of one topic become rows. */
export interface RecordTopic<T = unknown> {
  topic: string;
  /** Throws ContractError for a record that can never be written. */
  decode(value: Uint8Array, headers: Readonly<Record<string, string>>): T;
  /** Data time, epoch milliseconds. */
  at(item: T): number;
  /** Rows of the largest table that it fills. */
  rows(item: T): number;
  /** The same items give the same blocks. */
  blocks(items: readonly T[], batchOf: (item: T) => number): Block[];
  /** For tables in which a second copy of a row would stay: tells repeats of one partition. */
  repeats?(history: WrittenBefore, partition: number): Repeats<T>;
  /** Delivered and not written, bytes at most per partition. */
  maxInFlightBytes: number;
}

const MiB = 1024 * 1024;

const samples: RecordTopic<SampleChunk> = {
  topic: Topic.Samples,
  decode: decodeSampleChunk,
  at: ({ at }) => at,
  rows: ({ procs, facts, exits, system }) =>
    Math.max(
      procs.pid.length,
      facts.pid.length + exits.pid.length,
      [system.cpus, system.interfaces, system.disks, system.cgroups].reduce(
        (sum, list) => sum + (list?.length ?? 0),
        1,
      ),
    ),
  blocks: sampleBlocks,
  repeats: (history, partition) => sampleRepeats(history, Topic.Samples, partition),
  maxInFlightBytes: 8 * MiB,
};

const nodes: RecordTopic<NodeRecord> = {
  topic: Topic.Nodes,
  decode: decodeNodeRecord,
  at: ({ at }) => at,
  rows: () => 1,
  blocks: nodeBlocks,
  repeats: heartbeatRepeats,
  maxInFlightBytes: 2 * MiB,
};

const findings: RecordTopic<FindingRecord> = {
  topic: Topic.Findings,
  decode: decodeFindingRecord,
  at: ({ at }) => at,
  rows: () => 1,
  blocks: findingBlocks,
  repeats: findingRepeats,
  maxInFlightBytes: 2 * MiB,
};

const allocations: RecordTopic<AllocationChunk> = {
  topic: Topic.Allocations,
  decode: decodeAllocationChunk,
  at: ({ at }) => at,
  rows: ({ sites, survivors, freed }) => Math.max(1, sites.length, survivors.length + freed.length),
  blocks: allocationBlocks,
  maxInFlightBytes: 8 * MiB,
};

/** Every topic that goes to history. */
export const RECORD_TOPICS = [samples, nodes, findings, allocations] as readonly RecordTopic[];

const DAY = 86_400_000;

/** Of data time before and behind the time at which the log took the record. */
const OLDEST_MS = 400 * DAY;
const NEWEST_MS = DAY;

/**
 * What the record says; undefined for a tombstone. Throws ContractError, always for the same bytes, when it cannot be
 * read or is of a time that no table should get: a clock far off would fill a partition a day.
 */
export function decodeRecord<T>(topic: RecordTopic<T>, record: LogRecord): T | undefined {
  if (record.value === null) return undefined;
  const item = topic.decode(record.value, record.headers);
  const at = topic.at(item);
  const ahead = at - record.timestamp;
  if (ahead > NEWEST_MS || ahead < -OLDEST_MS) {
    const days = Math.round(Math.abs(ahead) / DAY);
    throw new ContractError(
      'CONTRACT_SHAPE',
      `${topic.topic}: at ${at} is ${days} days ${ahead > 0 ? 'after' : 'before'} the record was logged, allowed are ${NEWEST_MS / DAY} after and ${OLDEST_MS / DAY} before: set the clock of the host`,
    );
  }
  return item;
}
