import { Counter, Gauge, type Registry } from '@tidemark/service';

/** What a collector tells of itself; times are milliseconds, counts are since it started. */
export interface CollectStats {
  processes: number;
  rounds: number;
  keyframes: number;
  skippedRounds: number;
  failedRounds: number;
  clockJumps: number;
  /** How late the last round began. */
  latenessMs: number;
  /** CPU time of all rounds, and of the last one. */
  cpuMs: number;
  lastCpuMs: number;
  reads: number;
  opens: number;
  bytesRead: number;
  openFiles: number;
  rss: number;
  sentBytes: number;
  sentRecords: number;
  spooledBytes: number;
  spooledDiskBytes: number;
  droppedBytes: number;
  droppedRecords: number;
  deniedProcesses: number;
  malformedBlocks: number;
  smapsReadings: number;
  smapsCpuMs: number;
  smapsDenied: number;
  smapsTooLarge: number;
}

type Kind = 'counter' | 'gauge';

/** Metric names without their prefix; times are told in seconds, as is the custom. */
const METRICS: Readonly<Record<keyof CollectStats, readonly [kind: Kind, name: string, help: string]>> = {
  processes: ['gauge', 'processes', 'Processes that are watched'],
  rounds: ['counter', 'rounds_total', 'Rounds'],
  keyframes: ['counter', 'keyframes_total', 'Rounds that told everything'],
  skippedRounds: ['counter', 'skipped_rounds_total', 'Rounds left out because the one before took too long'],
  failedRounds: ['counter', 'failed_rounds_total', 'Rounds that failed'],
  clockJumps: ['counter', 'clock_jumps_total', 'Times that the time of day jumped'],
  latenessMs: ['gauge', 'lateness_seconds', 'How late the last round began'],
  cpuMs: ['counter', 'cpu_seconds_total', 'CPU time of all rounds'],
  lastCpuMs: ['gauge', 'round_cpu_seconds', 'CPU time of the last round'],
  reads: ['counter', 'reads_total', 'Reads of kernel files'],
  opens: ['counter', 'opens_total', 'Opens of kernel files'],
  bytesRead: ['counter', 'read_bytes_total', 'Bytes read from kernel files'],
  openFiles: ['gauge', 'open_files', 'Files of processes kept open'],
  rss: ['gauge', 'resident_bytes', 'Resident memory of the process that the collector runs in'],
  sentBytes: ['counter', 'sent_bytes_total', 'Bytes that the event log has taken'],
  sentRecords: ['counter', 'sent_records_total', 'Records that the event log has taken'],
  spooledBytes: ['gauge', 'spooled_bytes', 'Bytes that wait for the event log'],
  spooledDiskBytes: ['gauge', 'spooled_disk_bytes', 'Of the bytes that wait, those on disk'],
  droppedBytes: ['counter', 'dropped_bytes_total', 'Bytes dropped because the event log was away for too long'],
  droppedRecords: ['counter', 'dropped_records_total', 'Records dropped because the event log was away for too long'],
  deniedProcesses: ['gauge', 'denied_processes', 'Processes that may not be read'],
  malformedBlocks: ['counter', 'malformed_blocks_total', 'Kernel texts that could not be understood'],
  smapsReadings: ['counter', 'smaps_readings_total', 'Readings of PSS, USS and dirty'],
  smapsCpuMs: ['counter', 'smaps_cpu_seconds_total', 'CPU time of these readings'],
  smapsDenied: ['gauge', 'smaps_denied_processes', 'Processes whose PSS may not be read'],
  smapsTooLarge: ['gauge', 'smaps_too_large_processes', 'Processes whose PSS would cost more than one process may'],
};

const PREFIX = 'tidemark_collect_';

/** Registers the metrics, asked of `stats` at each scrape; gives what takes them out again. */
export function registerMetrics(registry: Registry, stats: () => CollectStats): () => void {
  const fields = Object.keys(METRICS) as (keyof CollectStats)[];
  const valueOf = (field: keyof CollectStats): number => stats()[field] / (field.endsWith('Ms') ? 1000 : 1);
  for (const field of fields) {
    const [kind, name, help] = METRICS[field];
    const shared = { name: PREFIX + name, help, registers: [registry] };
    if (kind === 'gauge') {
      new Gauge({
        ...shared,
        collect() {
          this.set(valueOf(field));
        },
      });
    } else {
      new Counter({
        ...shared,
        collect() {
          this.reset();
          this.inc(valueOf(field));
        },
      });
    }
  }
  return () => fields.forEach((field) => registry.removeSingleMetric(PREFIX + METRICS[field][1]));
}
