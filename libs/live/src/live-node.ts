import type { NodeId, NodeRecord, SystemSample } from '@tidemark/contracts';
import { createProcessTable, type ProcessTable } from './process-table.js';
import type { KeyframeProgress } from './chunk-order.js';

/** ACTIVE was heard of within the node timeout; LEFT said goodbye. */
export type NodeState = 'ACTIVE' | 'INACTIVE' | 'LEFT';

/** A slot whose process is gone, kept for a short while. */
export interface ExitedSlot {
  slot: number;
  /** Data time. */
  exitedAt: number;
  /** Server time, for forgetting. */
  noticedAt: number;
}

/** All that the view keeps of one node. */
export interface NodeEntry {
  readonly id: NodeId;
  state: NodeState;
  /** Server time. */
  lastSeen: number;
  record: NodeRecord | null;
  /** Server time minus the node's, milliseconds, of the newest heartbeats. */
  clockOffsets: number[];
  /** Run of the collector that said it leaves: late chunks of it do not bring the node back. */
  leftRun: string | null;

  boot: string | null;
  run: string | null;
  /** Runs before this one: what still arrives of them is old. */
  pastRuns: string[];
  seq: number;
  stale: boolean;
  keyframe: KeyframeProgress | null;
  /** Chunks applied; the table's `touched` counts in it. */
  applied: number;
  missedChunks: number;
  lastGapAt: number | null;
  refusedRows: number;

  /** Data time of the newest chunk. */
  sampledAt: number | null;
  /** Data time of the newest round that had process rows, and of the one before. */
  roundAt: number;
  previousRoundAt: number;
  system: SystemSample;
  /** Percent of each CPU that was not idle between the newest two samples, by name. */
  busyPercent: ReadonlyMap<string, number>;

  table: ProcessTable;
  /** Living processes: pid to slot. */
  slots: Map<number, number>;
  exited: ExitedSlot[];
}

export function createNodeEntry(id: NodeId): NodeEntry {
  return {
    id,
    state: 'ACTIVE',
    lastSeen: 0,
    record: null,
    clockOffsets: [],
    leftRun: null,
    boot: null,
    run: null,
    pastRuns: [],
    seq: -1,
    stale: true,
    keyframe: null,
    applied: 0,
    missedChunks: 0,
    lastGapAt: null,
    refusedRows: 0,
    sampledAt: null,
    roundAt: NaN,
    previousRoundAt: NaN,
    system: {},
    busyPercent: new Map(),
    table: createProcessTable(),
    slots: new Map(),
    exited: [],
  };
}
