import type { SampleChunk } from '@tidemark/contracts';
import type { NodeEntry } from './live-node.js';

/** A keyframe on its way: complete when part 0 … parts − 1 were seen in order without a gap. */
export interface KeyframeProgress {
  /** `applied` of the node at part 0: what was touched since lives. */
  from: number;
  parts: number;
  next: number;
}

export type ChunkOrder = 'next' | 'gap' | 'new-run' | 'new-boot' | 'duplicate' | 'superseded';

const PAST_RUNS = 8;

/** Where a chunk stands against what the node sent before; changes nothing. */
export function orderOf(node: NodeEntry, chunk: SampleChunk): ChunkOrder {
  if (node.run === null) return 'new-boot';
  if (chunk.run === node.run && chunk.boot === node.boot) {
    if (chunk.seq <= node.seq) return 'duplicate';
    return chunk.seq === node.seq + 1 ? 'next' : 'gap';
  }
  if (node.pastRuns.includes(chunk.run)) return 'superseded';
  return chunk.boot === node.boot ? 'new-run' : 'new-boot';
}

/** Moves the node's position to the chunk; tells how many chunks are known to be missing before it. */
export function advance(node: NodeEntry, chunk: SampleChunk, order: ChunkOrder): number {
  let missed = 0;
  if (order === 'gap') missed = chunk.seq - node.seq - 1;
  if (order === 'new-run' || order === 'new-boot') {
    // What a first sight of a node does not show was before our time, not lost.
    missed = node.run === null ? 0 : chunk.seq;
    if (node.run !== null) node.pastRuns = [node.run, ...node.pastRuns].slice(0, PAST_RUNS);
    node.run = chunk.run;
    node.boot = chunk.boot;
  }
  if (order !== 'next') {
    node.stale = true;
    node.keyframe = null;
  }
  node.missedChunks += missed;
  if (missed > 0) node.lastGapAt = chunk.at;
  node.seq = chunk.seq;
  node.applied++;
  return missed;
}

/** Follows the parts of keyframes; true when this chunk completed one. Call after the rows are applied. */
export function completesKeyframe(node: NodeEntry, chunk: SampleChunk): boolean {
  if (!chunk.keyframe) return false;
  if (chunk.part === 0) node.keyframe = { from: node.applied, parts: chunk.parts, next: 0 };
  const progress = node.keyframe;
  if (!progress) return false;
  if (chunk.part !== progress.next || chunk.parts !== progress.parts) {
    node.keyframe = null;
    return false;
  }
  progress.next++;
  return progress.next === progress.parts;
}
