import {
  siteId,
  type AllocationChunk,
  type NodeId,
  type ProcessKey,
  type SiteFigures,
  type SiteStack,
  type Survivor,
  type TraceMeans,
  type TraceMode,
  type TraceState,
} from '@tidemark/contracts';
import type { TraceLedger } from './trace-ledger.js';

/** What was asked of a process and how it was answered. */
export interface TraceStatus {
  state: TraceState;
  means: TraceMeans | null;
  mode: TraceMode;
  sampleInterval: number | null;
  reason: string | null;
  code: string | null;
  /** Id of the request that this is about. */
  id: string;
  /** A request that nobody answers is EXPIRED from then on; null once it is answered. */
  expiry: TraceExpiry | null;
  /** Epoch milliseconds: of the node's clock, or of who asked. */
  at: number;
}

export interface TraceExpiry {
  /** Server time. */
  at: number;
  /** For a person. */
  reason: string;
  /** It was told that it expired. */
  told: boolean;
}

/** One traced process. */
export interface TraceEntry {
  readonly node: NodeId;
  readonly pid: number;
  /** Null until somebody says which process of the pid is meant. */
  start: number | null;
  key: ProcessKey | null;
  status: TraceStatus | null;
  figures: TraceFigures | null;
  /** Server time. */
  heardAt: number;
}

export interface KnownSite {
  figures: SiteFigures;
  /** Null until its stack has come. */
  stack: SiteStack | null;
  /** `siteId`, or the number of the site within its trace while the stack is not known. */
  id: string;
}

/** What the chunks of a trace said. */
export interface TraceFigures {
  /** The newest chunk; its lists are in the maps. */
  head: Omit<AllocationChunk, 'sites' | 'stacks' | 'survivors' | 'freed'>;
  ledger: TraceLedger;
  readonly sites: Map<number, KnownSite>;
  /** Stacks that came before the figures of their site. */
  readonly stacks: Map<number, SiteStack>;
  readonly survivors: Map<string, Survivor>;
  /** Sites without room since the last keyframe. */
  sitesLeftOut: Set<number>;
  /** Chunks are missing, or the beginning was not seen: until the next whole keyframe some sites and blocks may be. */
  partial: boolean;
  keyframe: { next: number; sites: Set<number>; survivors: Set<string> } | null;
  /** Figures of the look that is coming in, part by part. */
  look: { at: number; sites: SiteFigures[]; judged: boolean };
  /** `run` and `trace` of before: what still comes of them is late. */
  readonly past: string[];
}

export function createEntry(node: NodeId, pid: number, start: number | null): TraceEntry {
  return { node, pid, start, key: null, status: null, figures: null, heardAt: 0 };
}

/** Tells the processes of one pid apart as far as they are known. */
export function nameOf({ node, pid, start }: Pick<TraceEntry, 'node' | 'pid' | 'start'>): string {
  return `${node}/${pid}/${start ?? ''}`;
}

export function survivorName({ address, time }: Pick<Survivor, 'address' | 'time'>): string {
  return `${address}@${time}`;
}

export function nameOfSite(site: number, stack: SiteStack | null): string {
  return stack && stack.frames.length > 0 ? siteId(stack.frames) : `#${site}`;
}
