import type { NodeRecord } from '@tidemark/contracts';
import { block, byDay, LAST_MOMENT, traceOf, type BatchOf, type Block } from './block.js';
import {
  countColumn,
  dictionaryColumn,
  floatColumn,
  textListColumn,
  timeColumn,
  type NativeColumn,
} from './native-columns.js';

/** One row per heartbeat. */
export function nodeBlocks(records: readonly NodeRecord[], batchOf: BatchOf<NodeRecord>): Block[] {
  return byDay(records).map(([day, ofDay]) => {
    const text = (name: string, pick: (record: NodeRecord) => string): NativeColumn =>
      dictionaryColumn(
        name,
        ofDay.map((record) => ({ text: pick(record), rows: 1 })),
      );
    const count = (name: string, pick: (record: NodeRecord) => number): NativeColumn =>
      countColumn(name, ofDay.map(pick));
    const time = (name: string, pick: (record: NodeRecord) => number): NativeColumn =>
      timeColumn(
        name,
        ofDay.map((record) => Math.min(pick(record), LAST_MOMENT)),
      );
    const columns = [
      text('node', ({ node }) => node),
      time('at', ({ at }) => at),
      count('batch', batchOf),
      text('boot', ({ boot }) => boot),
      text('run', ({ run }) => run),
      text('state', ({ state }) => state),
      text('hostname', ({ hostname }) => hostname),
      text('kernel', ({ kernel }) => kernel),
      text('architecture', ({ architecture }) => architecture),
      count('cpus', ({ cpus }) => cpus),
      count('page_size', ({ pageSize }) => pageSize),
      time('booted_at', ({ bootedAt }) => bootedAt),
      count('interval_ms', ({ interval }) => interval),
      count('processes', ({ processes }) => processes),
      textListColumn(
        'limitations',
        ofDay.map(({ limitations }) => limitations),
      ),
      text('collector_version', ({ collector }) => collector.version),
      count('collector_pid', ({ collector }) => collector.pid),
      time('collector_started_at', ({ collector }) => collector.startedAt),
      count('rounds', ({ collector }) => collector.rounds),
      floatColumn(
        'cpu_ms',
        ofDay.map(({ collector }) => collector.cpuMs),
      ),
      count('rss', ({ collector }) => collector.rss),
      count('reads', ({ collector }) => collector.reads),
      count('opens', ({ collector }) => collector.opens),
      count('bytes_read', ({ collector }) => collector.bytesRead),
      count('bytes_sent', ({ collector }) => collector.bytesSent),
      count('spooled_bytes', ({ collector }) => collector.spooledBytes),
      count('dropped_bytes', ({ collector }) => collector.droppedBytes),
      count('dropped_chunks', ({ collector }) => collector.droppedChunks),
      floatColumn(
        'lateness_ms',
        ofDay.map(({ collector }) => collector.latenessMs),
      ),
      count('skipped_rounds', ({ collector }) => collector.skippedRounds),
      count('clock_jumps', ({ collector }) => collector.clockJumps),
    ];
    return block('heartbeats', day, ofDay.length, columns, traceOf(batchOf, ofDay));
  });
}
