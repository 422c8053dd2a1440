import type {
  Acknowledgement,
  Finding,
  LeakState,
  MemoryMetric as ProcessMemoryMetric,
  NodeId,
  ProcessKey,
  SystemMemory,
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

/** What the API asks at once, at most: processes, nodes, findings. */
export const HISTORY_BATCH = { processes: 200, nodes: 500, findings: 500 } as const;

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
}
