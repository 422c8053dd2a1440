import type { EventLog } from '@tidemark/event-log';
import type { AllocationChunk, Finding, NodeId, NodeRecord, SampleChunk } from '@tidemark/contracts';

/** Rows that a chunk makes and exact sums over them; see `ledger.mjs`. */
export interface ChunkFigures {
  rows: number;
  facts: number;
  exits: number;
  nodeRows: number;
  deviceRows: number;
  pids: number;
  rss: number;
  utime: number;
  mix: number;
}

/** One record that was made or acknowledged. */
export interface LoadEntry {
  kind: 'samples' | 'heartbeat' | 'allocations' | 'finding';
  node: NodeId;
  run: string;
  /** Of samples and allocations. */
  seq?: number;
  at: number;
  rows: number;
  /** Of samples, when `figures` is set. */
  figures?: ChunkFigures;
  trace?: string;
  id?: string;
}

export interface LoadCount {
  samples: number;
  chunks: number;
  heartbeats: number;
  allocations: number;
  findings: number;
}

export interface LoadSummary {
  made: LoadCount;
  acknowledged: LoadCount;
  /** Values of all records, compressed. */
  bytes: number;
  /** Calls of `append` that rejected; each was repeated. */
  refusals: number;
  /** How late a round was made at the worst. */
  lateMs: number;
}

export interface LoadOptions {
  log: Pick<EventLog, 'append'>;
  nodes: number;
  /** Of each node, 20,000 at most. */
  processes: number;
  seconds: number;
  /** Milliseconds between two rounds of a node. Default 1,000. */
  interval?: number;
  /** Mean share of the processes that change in a round. Default 0.2. */
  changing?: number;
  /** Processes that leak, of all nodes together. Default one in 5,000. */
  leaks?: number;
  /** Traced processes, of all nodes together. Default one in ten nodes. */
  traces?: number;
  /** Of each node. Default 0. */
  findingsPerMinute?: number;
  seed?: number;
  /** Of a collector that was started again; names the runs. Default 0. */
  incarnation?: number;
  /** Begins the names of the nodes. Default `load`. */
  name?: string;
  /** Number of the first node. Default 0. */
  first?: number;
  /** Time of the first round, epoch milliseconds. Default now. */
  at?: number;
  /** A small round of a host waits so long for the next and goes along with it, as a collector's does. Default 0. */
  lingerMs?: number;
  /**
   * Makes all records before the first round, which is so many milliseconds from now; they stay in memory until they are
   * played. Default 0: each is made when it is due.
   */
  prepareMs?: number;
  /** False: as fast as the log takes it. Default true. */
  paced?: boolean;
  /** Appends under way at once. Default 4. */
  lanes?: number;
  /** What waits for the log at most; above it rounds are late. Default 32 MiB. */
  waitingBytes?: number;
  /** How long the log may take at the end. Default 60,000. */
  drainMs?: number;
  /** Gives `figures` with the entries of samples. Default false. */
  figures?: boolean;
  /** Before a record is appended, and when the log has acknowledged it. */
  onMade?: (entry: LoadEntry) => void;
  onAcknowledged?: (entry: LoadEntry) => void;
  onRefused?: (error: Error) => void;
  /** Called now and then. */
  onProgress?: (summary: LoadSummary) => void;
  signal?: AbortSignal;
}

export interface LoadResult extends LoadSummary {
  /** False when something was not acknowledged in time. */
  drained: boolean;
  seconds: number;
  drainSeconds: number;
  /** CPU time of this process meanwhile. */
  cpuSeconds: number;
}

export function playLoad(options: LoadOptions): Promise<LoadResult>;

export interface NodeLoadOptions {
  name?: string;
  index: number;
  seed: number;
  incarnation?: number;
  processes: number;
  changing: number;
  leaks: number;
  interval: number;
  at: number;
  traces?: number;
}

export interface NodeLoad {
  readonly node: NodeId;
  readonly run: string;
  round(number: number, at: number, keyframe: boolean): SampleChunk;
  heartbeat(at: number): NodeRecord;
  allocations(at: number): AllocationChunk[];
  finding(at: number): Finding;
}
