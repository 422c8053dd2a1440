import type {
  Acknowledgement,
  ChunkState,
  Finding,
  LeakState,
  MemoryMetric as ProcessMemoryMetric,
  NodeId,
  ProcessKey,
  SiteFigures,
  StackFrame,
  Survivor,
  SystemMemory,
  TraceMeans,
  TraceMode,
  TraceTotals,
} from '@tidemark/contracts';

/** `leakSignal` is rssAnon + swap. */
export type ProcessSeriesMetric = ProcessMemoryMetric | 'leakSignal';

export type NodeSeriesMetric =
  | 'total'
  | 'available'
  | 'used'
  | 'free'
  | 'active'
  | 'inactive'
  | 'buffers'
  | 'cached'
  | 'shared'
  | 'swapTotal'
  | 'swapFree'
  | 'swapUsed'
  | 'loadOne'
  | 'loadFive'
  | 'loadFifteen'
  | 'pressureSome'
  | 'pressureFull';

/** Half-open stretch of data time, epoch milliseconds, cut into steps; steps begin at multiples of `stepMs`. */
export interface SeriesWindow {
  from: number;
  to: number;
  stepMs: number;
}

/** Mean, least and greatest of one step; `at` is its start. A step in which nothing was known has no point. */
export interface SeriesPoint {
  at: number;
  value: number;
  min: number | null;
  max: number | null;
}

/** Processes to sum; what is left out does not restrict. */
export interface AggregateFilter {
  nodes?: readonly NodeId[];
  programs?: readonly string[];
  pids?: readonly number[];
  user?: string;
  service?: string;
}

export interface FindingQuery {
  nodes?: readonly NodeId[];
  kinds?: readonly Finding['kind'][];
  states?: readonly LeakState[];
  program?: string;
  service?: string;
  pid?: number;
  subject?: string;
  imminent?: boolean;
  acknowledged?: boolean;
  /** Of `at`, epoch milliseconds, half-open. */
  from?: number;
  to?: number;
}

/** The newest record of one finding id, and the newest acknowledgement of it. */
export interface StoredFinding {
  finding: Finding;
  acknowledgement: Acknowledgement | null;
}

/** What history remembers of a process that may be gone. */
export interface StoredProcess {
  key: ProcessKey;
  ppid: number | null;
  program: string;
  commandLine: string | null;
  user: string | null;
  uid: number | null;
  gid: number | null;
  service: string;
  cgroup: string | null;
  /** Epoch milliseconds. */
  startedAt: number;
  /** Null when no exit was recorded. */
  exitedAt: number | null;
  /** Time of the newest stored sample. */
  lastSampleAt: number | null;
  /** Last known value of each metric, bytes; null is unknown. */
  memory: Readonly<Record<ProcessMemoryMetric, number | null>>;
}

/** The newest trace of a process, as its last chunk told of it. Epoch milliseconds. */
export interface StoredTrace {
  key: ProcessKey;
  at: number;
  startedAt: number;
  state: ChunkState;
  means: TraceMeans;
  mode: TraceMode;
  sampleInterval: number | null;
  totals: TraceTotals;
  /** rssAnon + swap, bytes. */
  anonymousBytes: number | null;
  /** Allocations at risk that there were, named or not. */
  survivorsTotal: number;
  warnings: readonly string[];
}

/** A site of the newest trace with its last figures. */
export interface StoredSite {
  /** `siteId`; null when its stack never came. */
  id: string | null;
  frames: readonly StackFrame[];
  truncated: boolean;
  figures: SiteFigures;
  /** When the figures were read, and the end of the bins of births in them; epoch milliseconds. */
  at: number;
  birthsUntil: number;
}

export type StoredSiteOrder = 'liveBytes' | 'liveCount' | 'allocatedBytes' | 'allocations';

/** `site` is the number of the site in the trace. */
export type StoredSurvivor = Survivor & { siteId: string | null };

/** What the API asks at once, at most: processes, nodes, findings, sites and allocations of a trace. */
export const HISTORY_BATCH = {
  ...{ processes: 200, nodes: 500, findings: 500, sites: 1_000, allocations: 1_000 },
} as const;

/**
 * What the API asks history. Every call may reject; the API then answers HISTORY_UNAVAILABLE for that field only, or
 * RANGE_TOO_LONG with the error's message when its `code` is HISTORY_RANGE.
 */
export interface HistoryQueries {
  /** A key without points may be absent from the result. */
  processSeries(
    keys: readonly ProcessKey[],
    metric: ProcessSeriesMetric,
    window: SeriesWindow,
  ): Promise<ReadonlyMap<ProcessKey, SeriesPoint[]>>;
  nodeSeries(
    nodes: readonly NodeId[],
    metric: NodeSeriesMetric,
    window: SeriesWindow,
  ): Promise<ReadonlyMap<NodeId, SeriesPoint[]>>;
  /** Sum over the matching processes: `value` is the mean sum of the step, `max` its greatest, `min` its least. */
  aggregateSeries(filter: AggregateFilter, metric: ProcessSeriesMetric, window: SeriesWindow): Promise<SeriesPoint[]>;
  /** Newest record per finding id, ordered by (at, id) descending, strictly after `before` in that order. */
  findings(query: FindingQuery, before: { at: number; id: string } | null, limit: number): Promise<StoredFinding[]>;
  countFindings(query: FindingQuery): Promise<number>;
  finding(id: string): Promise<StoredFinding | null>;
  /** Processes that history knows; the others are absent. */
  processes(keys: readonly ProcessKey[]): Promise<ReadonlyMap<ProcessKey, StoredProcess>>;
  /** Newest stored memory of every node, so that a node that fell silent long ago still has its last figures. */
  lastNodeMemory(): Promise<{ node: NodeId; at: number; memory: SystemMemory }[]>;
  /** The newest trace of a process; null when it was never traced, or nothing remembers it. */
  traceOf(key: ProcessKey): Promise<StoredTrace | null>;
  /** Sites of that trace, largest first. */
  tracedSites(key: ProcessKey, order: StoredSiteOrder, limit: number): Promise<StoredSite[]>;
  /** Allocations of that trace that no free was seen of, oldest first. */
  atRisk(key: ProcessKey, limit: number): Promise<StoredSurvivor[]>;
}
