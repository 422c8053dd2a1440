import type { NodeId, ProcessKey, Survivor } from '@tidemark/contracts';
import { createConnection, type Connection, type ConnectionOptions } from './connection.js';
import type { HistoryRole } from './grants.js';
import { migrate, type MigrationReport } from './migrate.js';
import { preflight } from './preflight.js';
import { aggregateSeries, type AggregateFilter } from './queries/aggregate-series.js';
import { createDetectorLoader } from './queries/detector-loader.js';
import { saveSeries, type KeptMinima, type KeptSeries } from './queries/detector.js';
import { countFindings, finding, findings, type FindingQuery, type StoredFinding } from './queries/findings.js';
import { nodeSeries, type NodeSeriesMetric } from './queries/node-series.js';
import { lastNodeMemory, lastNodes, type NodeMemoryAt, type StoredNode } from './queries/nodes.js';
import { processSeries, type ProcessSeriesMetric } from './queries/process-series.js';
import { processes, processesAt, type StoredProcess } from './queries/processes.js';
import type { SeriesPoint, SeriesWindow } from './queries/series-window.js';
import {
  atRisk,
  siteSeries,
  traceOf,
  tracedSites,
  type SiteOrder,
  type StoredSite,
  type StoredTrace,
} from './queries/traces.js';
import { writtenChunks, writtenFindings, writtenHeartbeats, type WrittenRecord } from './queries/written.js';
import { applyRetention, checkRetention, DEFAULT_RETENTION, type Retention } from './retention.js';
import type { Block } from './write/block.js';
import type { WrittenRun } from './write/written-chunks-block.js';
import { writeBlocks, type WriteOptions, type WriteReport } from './write/write-blocks.js';

export interface HistoryOptions extends ConnectionOptions {
  /** What the tables keep; queries choose their source by it. */
  retention?: Retention;
}

/** What is kept in ClickHouse, wherever it runs. Every call may throw HistoryError. */
export interface History {
  /** Brings the tables to what this build expects and sets how long they keep what; safe to call again and at once. */
  migrate(): Promise<MigrationReport>;
  /** Whether the user may do what the role needs and the tables are there. Throws HISTORY_ACCESS, HISTORY_SCHEMA. */
  preflight(role: HistoryRole): Promise<void>;
  write(blocks: readonly Block[], options: WriteOptions): Promise<WriteReport>;
  /** The newest chunk of every run that came through one partition of the log. */
  writtenChunks(topic: string, partition: number): Promise<WrittenRun[]>;
  /** Heartbeats of nodes, and findings of ids, from this moment on, that another batch than this one brought. */
  writtenHeartbeats(ids: readonly string[], from: number, batch: number): Promise<WrittenRecord[]>;
  writtenFindings(ids: readonly string[], from: number, batch: number): Promise<WrittenRecord[]>;
  processSeries(
    keys: readonly ProcessKey[],
    metric: ProcessSeriesMetric,
    window: SeriesWindow,
  ): Promise<Map<ProcessKey, SeriesPoint[]>>;
  nodeSeries(
    nodes: readonly NodeId[],
    metric: NodeSeriesMetric,
    window: SeriesWindow,
  ): Promise<Map<NodeId, SeriesPoint[]>>;
  aggregateSeries(filter: AggregateFilter, metric: ProcessSeriesMetric, window: SeriesWindow): Promise<SeriesPoint[]>;
  findings(query: FindingQuery, before: { at: number; id: string } | null, limit: number): Promise<StoredFinding[]>;
  countFindings(query: FindingQuery): Promise<number>;
  finding(id: string): Promise<StoredFinding | null>;
  processes(keys: readonly ProcessKey[]): Promise<Map<ProcessKey, StoredProcess>>;
  processesAt(
    node: NodeId,
    at: number,
    after: { pid: number; start: number } | null,
    limit: number,
  ): Promise<StoredProcess[]>;
  lastNodes(): Promise<StoredNode[]>;
  lastNodeMemory(): Promise<NodeMemoryAt[]>;
  loadSeries(node: NodeId, boot: string): Promise<KeptSeries[]>;
  saveSeries(rows: readonly KeptSeries[]): Promise<void>;
  loadMinima(node: NodeId, boot: string): Promise<KeptMinima[]>;
  /** The newest allocation trace of a process, with what its last chunks told; also of one that is over. */
  traceOf(key: ProcessKey): Promise<StoredTrace | null>;
  tracedSites(key: ProcessKey, order: SiteOrder, limit: number): Promise<StoredSite[]>;
  atRisk(key: ProcessKey, limit: number): Promise<(Survivor & { siteId: string | null })[]>;
  /** Live bytes of the site with this id (`siteId`). */
  siteSeries(key: ProcessKey, site: string, window: SeriesWindow): Promise<SeriesPoint[]>;
  ping(): Promise<void>;
  close(): Promise<void>;
}

export function createHistory(options: HistoryOptions): History {
  const retention = checkRetention(options.retention ?? DEFAULT_RETENTION);
  const connection = createConnection(options);
  return {
    migrate: () =>
      atHome(options, async (home) => {
        const report = await migrate(connection, home, { cluster: options.cluster });
        await applyRetention(connection, retention, options.cluster);
        return report;
      }),
    preflight: (role) =>
      atHome(options, (home) => preflight(connection, home, role, { clustered: options.cluster !== undefined })),
    write: (blocks, writeOptions) => writeBlocks(connection, blocks, writeOptions),
    writtenChunks: (topic, partition) => writtenChunks(connection, topic, partition),
    writtenHeartbeats: (ids, from, batch) => writtenHeartbeats(connection, ids, from, batch),
    writtenFindings: (ids, from, batch) => writtenFindings(connection, ids, from, batch),
    processSeries: (keys, metric, window) => processSeries(connection, retention, keys, metric, window),
    nodeSeries: (nodes, metric, window) => nodeSeries(connection, retention, nodes, metric, window),
    aggregateSeries: (filter, metric, window) => aggregateSeries(connection, retention, filter, metric, window),
    findings: (query, before, limit) => findings(connection, query, before, limit),
    countFindings: (query) => countFindings(connection, query),
    finding: (id) => finding(connection, id),
    processes: (keys) => processes(connection, keys),
    processesAt: (node, at, after, limit) => processesAt(connection, retention, node, at, after, limit),
    lastNodes: () => lastNodes(connection),
    lastNodeMemory: () => lastNodeMemory(connection, retention),
    ...createDetectorLoader(connection),
    saveSeries: (rows) => saveSeries(connection, rows),
    traceOf: (key) => traceOf(connection, key),
    tracedSites: (key, order, limit) => tracedSites(connection, key, order, limit),
    atRisk: (key, limit) => atRisk(connection, key, limit),
    siteSeries: (key, site, window) => siteSeries(connection, key, site, window),
    ping: () => connection.ping(),
    close: () => connection.close(),
  };
}

/** The database may not be there yet, and a connection to it would be refused. */
async function atHome<T>(options: HistoryOptions, action: (home: Connection) => Promise<T>): Promise<T> {
  const home = createConnection({ ...options, database: 'default', maxConnections: 1 });
  try {
    return await action(home);
  } finally {
    await home.close();
  }
}
