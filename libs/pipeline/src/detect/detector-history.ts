import type { NodeId } from '@tidemark/contracts';

/** A judged process as it was kept, so that judging goes on after a restart instead of beginning anew. */
export interface KeptSeries {
  node: NodeId;
  boot: string;
  pid: number;
  start: number;
  /** Data time of the newest sample in it. */
  at: number;
  /** JSON of the detector's snapshot. */
  snapshot: string;
}

/** Lowest leak signal (rssAnon + swap, bytes) of each minute and hour of one process, oldest first. */
export interface KeptMinima {
  pid: number;
  start: number;
  minute: { at: number; bytes: number }[];
  hour: { at: number; bytes: number }[];
}

/** What the detect stage remembers across restarts. */
export interface DetectorHistory {
  /** The newest snapshot of each process of one boot of a node. */
  loadSeries(node: NodeId, boot: string): Promise<KeptSeries[]>;
  saveSeries(rows: readonly KeptSeries[]): Promise<void>;
  /** Floors from the rollups, for processes that have no snapshot. */
  loadMinima(node: NodeId, boot: string): Promise<KeptMinima[]>;
}

/** Remembers nothing. */
export const noDetectorHistory: DetectorHistory = {
  loadSeries: async () => [],
  saveSeries: async () => {},
  loadMinima: async () => [],
};
