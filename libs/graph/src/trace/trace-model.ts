import {
  parseProcessKey,
  type NodeId,
  type ProcessKey,
  type StackFrame,
  type Survivor,
  type TraceMeans,
  type TraceMode,
  type TraceState,
  type TraceTotals,
} from '@tidemark/contracts';
import { explainedShare, type LiveSite, type LiveTrace, type TracedVerdict } from '@tidemark/live';
import type { StoredTrace } from '../history-port.js';
import { nearestInt, toInt } from '../scalars/int.js';

/** Type `AllocationTrace`, without the fields that other questions answer. */
export interface TraceModel {
  /** Which of both knows its sites. */
  from: 'live' | 'history';
  processKey: ProcessKey | null;
  nodeId: NodeId;
  pid: number;
  state: TraceState;
  mode: TraceMode;
  means: TraceMeans | null;
  reason: string | null;
  reasonCode: string | null;
  sampleInterval: number | null;
  startedAt: number | null;
  at: number | null;
  partial: boolean;
  liveBytes: number | null;
  liveCount: number | null;
  allocations: number | null;
  frees: number | null;
  allocatedBytes: number | null;
  freedBytes: number | null;
  standardError: TraceTotals['standardError'];
  issued: number | null;
  recorded: number;
  cancelled: number;
  dropped: number;
  anonymous: number | null;
  explained: number | null;
  warnings: readonly string[];
  /** Null is asked of history. */
  sitesTotal: number | null;
  atRiskTotal: number;
}

type Figures = Pick<
  TraceModel,
  | 'liveBytes'
  | 'liveCount'
  | 'allocations'
  | 'frees'
  | 'allocatedBytes'
  | 'freedBytes'
  | 'standardError'
  | 'issued'
  | 'recorded'
  | 'cancelled'
  | 'dropped'
>;

function figuresOf(totals: TraceTotals | null): Figures {
  return {
    ...{ liveBytes: totals?.liveBytes ?? null, liveCount: totals ? nearestInt(Math.round(totals.liveCount)) : null },
    ...{ allocations: totals?.allocations ?? null, frees: totals?.frees ?? null },
    ...{ allocatedBytes: totals?.allocatedBytes ?? null, freedBytes: totals?.freedBytes ?? null },
    ...{ standardError: totals?.standardError ?? null, issued: totals?.issued ?? null },
    ...{ recorded: totals?.recorded ?? 0, cancelled: totals?.cancelled ?? 0, dropped: totals?.dropped ?? 0 },
  };
}

export function liveTraceModel(trace: LiveTrace): TraceModel {
  const { key, node, pid, state, mode, means, reason, code, startedAt, at, partial } = trace;
  return {
    ...{ from: 'live', processKey: key, nodeId: node, pid, state, mode, means, reason, reasonCode: code },
    ...{ sampleInterval: toInt(trace.sampleInterval), startedAt, at, partial, ...figuresOf(trace.totals) },
    ...{ anonymous: trace.anonymous, explained: trace.explained, warnings: trace.warnings },
    ...{ sitesTotal: trace.sitesTotal, atRiskTotal: trace.survivorsTotal },
  };
}

/** A trace that only history remembers: one without last words ended when its collector did. */
export function storedTraceModel(trace: StoredTrace): TraceModel | null {
  const parts = parseProcessKey(trace.key);
  if (!parts) return null;
  const { key, mode, means, startedAt, at, state, totals, anonymousBytes } = trace;
  return {
    ...{ from: 'history', processKey: key, nodeId: parts.node, pid: parts.pid, mode, means, startedAt, at },
    ...{ state: state === 'ACTIVE' ? 'ENDED' : state, sampleInterval: toInt(trace.sampleInterval) },
    ...(state === 'ACTIVE'
      ? { reason: 'nothing more was heard of it', reasonCode: 'SILENT' }
      : { reason: null, reasonCode: null }),
    ...{ partial: false, ...figuresOf(totals), anonymous: anonymousBytes },
    ...{ explained: explainedShare(totals, anonymousBytes), warnings: trace.warnings },
    ...{ sitesTotal: null, atRiskTotal: trace.survivorsTotal },
  };
}

/** Type `AllocationSite`, without its process. */
export interface SiteModel {
  id: string;
  processKey: ProcessKey | null;
  frames: FrameModel[];
  truncated: boolean;
  liveBytes: number;
  liveCount: number;
  allocations: number | null;
  frees: number | null;
  allocatedBytes: number | null;
  bytesPerHour: number | null;
  low: number | null;
  high: number | null;
  verdict: TracedVerdict['state'];
  confidence: number | null;
  generations: number | null;
  oldFreeRate: number | null;
  message: string | null;
  firstAt: number | null;
}

export type FrameModel = Omit<StackFrame, 'offset'> & { offset: string };

export function siteModel(
  processKey: ProcessKey | null,
  { id, frames, truncated, figures, verdict }: Pick<LiveSite, 'id' | 'frames' | 'truncated' | 'figures' | 'verdict'>,
): SiteModel {
  const { liveBytes, liveCount, allocations, frees, allocatedBytes, firstAt } = figures;
  const { state, bytesPerHour, low, high, confidence, generations, oldFreeRate, message } = verdict;
  return {
    ...{ id, processKey, frames: frames.map(frameModel), truncated, liveBytes, liveCount, allocations, frees },
    ...{ allocatedBytes, firstAt, verdict: state, bytesPerHour, low, high, confidence, generations, oldFreeRate },
    message,
  };
}

/** A site of which nothing but its number is known. */
export function unknownSite(processKey: ProcessKey | null, site: number): SiteModel {
  return {
    ...{ id: `#${site}`, processKey, frames: [], truncated: true, liveBytes: 0, liveCount: 0, allocations: null },
    ...{ frees: null, allocatedBytes: null, bytesPerHour: null, low: null, high: null, verdict: 'LEARNING' },
    ...{ confidence: null, generations: null, oldFreeRate: null, message: null, firstAt: null },
  };
}

function frameModel(frame: StackFrame): FrameModel {
  return { ...frame, line: toInt(frame.line), offset: hex(frame.offset) };
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}

/** Type `Allocation`. */
export interface AllocationModel {
  time: number;
  pid: number;
  size: number;
  address: string;
  caller: string;
  site: SiteModel;
}

export function allocationModel(pid: number, { time, size, address }: Survivor, site: SiteModel): AllocationModel {
  return { time, pid: nearestInt(pid), size, address: hex(address), caller: callerOf(site), site };
}

/** The innermost frame in one line, as much of it as is known. */
export function callerOf({ frames }: Pick<SiteModel, 'frames'>): string {
  const [frame] = frames;
  if (!frame) return 'unknown';
  const { function: name, file, line, module, offset } = frame;
  if (name !== null && file !== null) return `${name} (${file}${line === null ? '' : `:${line}`})`;
  if (name !== null) return name;
  return module === null ? offset : `${module.slice(module.lastIndexOf('/') + 1)}+${offset}`;
}
