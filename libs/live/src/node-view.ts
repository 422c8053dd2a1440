import type { NodeId, NodeRecord, SystemSample } from '@tidemark/contracts';
import type { NodeEntry, NodeState } from './live-node.js';

/** The present state of one node. */
export interface LiveNode {
  id: NodeId;
  state: NodeState;
  /** Server time. */
  lastSeen: number;
  /** Samples are known to be missing since the last keyframe: values are the last known. */
  stale: boolean;
  /** Newest heartbeat. */
  record: NodeRecord | null;
  /**
   * Server time minus the node's, milliseconds: the lowest of the newest heartbeats, which has the least of the time that
   * they were on their way. Null before the first.
   */
  clockOffset: number | null;
  boot: string | null;
  /** Data time of the newest chunk. */
  sampledAt: number | null;
  /** Newest of each section. */
  system: Readonly<SystemSample>;
  /** Percent of each CPU that was not idle between the newest two samples, by name. */
  busyPercent: ReadonlyMap<string, number>;
  processCount: number;
  missedChunks: number;
  /** Data time. */
  lastGapAt: number | null;
  /** Process rows for which the view had no room. */
  refusedRows: number;
}

export function viewNode(node: NodeEntry): LiveNode {
  return {
    id: node.id,
    state: node.state,
    lastSeen: node.lastSeen,
    stale: node.stale,
    record: node.record,
    clockOffset: node.clockOffsets.length === 0 ? null : Math.min(...node.clockOffsets),
    boot: node.boot ?? node.record?.boot ?? null,
    sampledAt: node.sampledAt,
    system: node.system,
    busyPercent: node.busyPercent,
    processCount: node.slots.size,
    missedChunks: node.missedChunks,
    lastGapAt: node.lastGapAt,
    refusedRows: node.refusedRows,
  };
}
