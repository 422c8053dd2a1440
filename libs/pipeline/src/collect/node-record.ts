import { arch } from 'node:os';
import { isBootId, type NodeRecord } from '@tidemark/contracts';
import type { Host, KernelUnits } from '@tidemark/procfs';
import type { CollectConfig } from './config.js';
import type { CollectStats } from './self-metrics.js';

export interface NodeRecordParts {
  config: CollectConfig;
  host: Host;
  run: string;
  units: KernelUnits;
  startedAt: number;
  at: number;
  state: NodeRecord['state'];
  stats: CollectStats;
  limitations: readonly string[];
}

const MAX_LIMITATIONS = 64;
const MAX_LINE = 1024;

export function nodeRecord(parts: NodeRecordParts): NodeRecord {
  const { config, host, stats, limitations } = parts;
  return {
    v: 1,
    node: config.node,
    boot: bootOf(host),
    run: parts.run,
    at: Math.max(0, parts.at),
    state: parts.state,
    hostname: (host.hostname || config.hostname).slice(0, 253) || 'unknown',
    kernel: host.kernel.slice(0, 256),
    architecture: arch(),
    cpus: host.cpus,
    pageSize: parts.units.pageSize,
    bootedAt: host.bootedAt,
    interval: config.interval,
    processes: stats.processes,
    limitations: limitations.slice(0, MAX_LIMITATIONS).map((line) => line.slice(0, MAX_LINE)),
    collector: {
      version: config.version,
      pid: process.pid,
      startedAt: Math.max(0, parts.startedAt),
      rounds: stats.rounds,
      cpuMs: stats.cpuMs,
      rss: stats.rss,
      reads: stats.reads,
      opens: stats.opens,
      bytesRead: stats.bytesRead,
      bytesSent: stats.sentBytes,
      spooledBytes: stats.spooledBytes,
      droppedBytes: stats.droppedBytes,
      droppedChunks: stats.droppedRecords,
      latenessMs: stats.latenessMs,
      skippedRounds: stats.skippedRounds,
      clockJumps: stats.clockJumps,
    },
  };
}

/** The boot id as the contract takes it, whatever a strange kernel writes. */
export function bootOf({ bootId }: Host): string {
  return isBootId(bootId) ? bootId : bootId.replace(/[^A-Za-z0-9-]/g, '').slice(0, 64) || 'unknown';
}
