import type { SiteFigures, SiteStack, Survivor, TraceMeans, TraceMode, TraceTotals } from './allocation-trace.js';
import type { NodeId, ProcessKey } from './ids.js';

export const ALLOCATION_CHUNK_VERSION = 1;

/** No record of `mem.allocations.v1` is larger, before or after compression. */
export const MAX_ALLOCATION_CHUNK_BYTES = 1_000_000;

/** An observation never has more parts. */
export const MAX_ALLOCATION_PARTS = 1_000;

/** What does not fit is cut when it is written, and refused when it is read: characters, frames, lines. */
export const MAX_CHUNK_NAME = 1024;
export const MAX_CHUNK_COMMAND_LINE = 16_384;
export const MAX_STACK_FRAMES = 256;
export const MAX_CHUNK_WARNINGS = 32;

/** Times in a chunk come in steps of 1/1024 ms, and end in the year 2248, so that they are whole numbers on the way. */
export const TRACE_TIME_STEPS = 1024;
export const MAX_TRACE_TIME = 2 ** 43 - 1;

/** What the trace was when the chunk was made. STOPPED and ENDED are the last words of a trace. */
export const CHUNK_STATES = ['ACTIVE', 'STOPPED', 'ENDED'] as const;
export type ChunkState = (typeof CHUNK_STATES)[number];

/** A survivor is known by both: an address is used again. */
export type SurvivorName = Pick<Survivor, 'address' | 'time'>;

/**
 * What one look at one traced process found, or a part of it.
 *
 * Everything in it is cumulative since the trace began, or the state at `at`: to read it twice changes nothing. `seq` grows
 * by one with every chunk of one trace in one collector run, parts counted; it starts at 0 with a keyframe. The parts of
 * a look have the same `at`, follow each other and share head and totals; each holds some of the four lists, and can
 * be read without the others. A keyframe names all sites, all stacks and all survivors: what it does not name is
 * gone. Between keyframes the lists hold what changed since the chunk before.
 */
export interface AllocationChunk {
  v: typeof ALLOCATION_CHUNK_VERSION;
  node: NodeId;
  boot: string;
  pid: number;
  /** Start ticks since boot. */
  start: number;
  /** Made of the four above. */
  key: ProcessKey;
  program: string;
  commandLine: string | null;
  /** Names the run of the collector. */
  run: string;
  seq: number;
  part: number;
  parts: number;
  keyframe: boolean;
  /** Id of the request that began the trace. */
  trace: string;
  /** Epoch milliseconds of the node's clock. */
  at: number;
  state: ChunkState;
  means: TraceMeans;
  mode: TraceMode;
  /** Mean bytes between samples; null in exact mode. */
  sampleInterval: number | null;
  startedAt: number;
  totals: TraceTotals;
  /** End of the bins of births. */
  birthsUntil: number;
  /** rssAnon + swap of the process at that time, bytes; null when unknown. */
  anonymousBytes: number | null;
  /** Sites whose figures are not those of the chunk before; sorted by site. */
  sites: SiteFigures[];
  /** Stacks of sites that no chunk since the last keyframe named. */
  stacks: SiteStack[];
  /** Allocations at risk that came up since the chunk before; sorted by address, then time. */
  survivors: Survivor[];
  /** Survivors named before that are so no more: freed, or no longer among those that are named. */
  freed: SurvivorName[];
  /** How many survivors there are, named or not. */
  survivorsTotal: number;
  warnings: string[];
}

/** A time as a chunk carries it: epoch milliseconds, to 1/1024 ms. */
export function traceTime(time: number): number {
  const steps = Math.round(Math.min(Math.max(time, 0), MAX_TRACE_TIME) * TRACE_TIME_STEPS);
  return steps / TRACE_TIME_STEPS;
}
