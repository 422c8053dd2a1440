import type { Bytes } from '../format.js';

/** What the questions of this page are answered with; `schema.graphql` says what each field means. */
export type LeakState = 'LEARNING' | 'STABLE' | 'GROWING' | 'SUSPECTED' | 'CONFIRMED' | 'CLEARED' | 'SATURATING';
export type NodeState = 'ACTIVE' | 'INACTIVE' | 'LEFT';

export interface Connection<T> {
  totalCount: number | null;
  pageInfo: { hasNextPage: boolean; endCursor: string | null };
  nodes: T[];
}

export interface Point {
  at: string;
  value: number;
  min: number | null;
  max: number | null;
}

export interface Growth {
  bytesPerHour: number;
  low: number;
  high: number;
  window: number;
  secondsToExhaustion: number | null;
  source: 'DETECTOR' | 'RECENT';
}

export interface Leak {
  state: LeakState;
  since: string | null;
  confidence: number | null;
  imminent: boolean;
}

export interface FindingCounts {
  growing: number;
  suspected: number;
  confirmed: number;
  imminent: number;
}

export interface NodeRow {
  id: string;
  hostname: string;
  state: NodeState;
  lastSeen: string;
  stale: boolean;
  cpuCount: number | null;
  memory: { total: Bytes; available: Bytes; used: Bytes };
  load: { one: number } | null;
  pressure: { some: { avg10: number } } | null;
  processCount: number;
  top: { nodes: { key: string; program: string; memory: { rss: Bytes | null } }[] };
  findings: { id: string; state: LeakState; imminent: boolean }[];
}

export interface GrowingRow {
  key: string;
  pid: number;
  program: string;
  node: { id: string };
  memory: { rss: Bytes | null };
  growth: Growth | null;
  leak: Leak;
}

export interface ProgramRow {
  program: string;
  total: Bytes;
  processes: number;
  nodes: number;
  max: Bytes | null;
}

export interface ClusterAnswer {
  cluster: {
    version: string;
    now: string;
    nodesExpected: number;
    nodesReporting: number;
    nodesAwaited: string[];
    processes: number;
    memory: { total: Bytes; available: Bytes; used: Bytes; swapTotal: Bytes | null; swapFree: Bytes | null };
    findings: FindingCounts;
    programs: ProgramRow[];
  };
  growing: { nodes: GrowingRow[] };
}

export interface NodesAnswer {
  nodes: Connection<NodeRow>;
}

export interface Memory {
  [name: string]: Bytes | null;
}

export interface ProcessRow {
  key: string;
  pid: number;
  program: string;
  commandLine: string | null;
  user: string | null;
  state: string | null;
  node: { id: string };
  memory: { rss: Bytes | null; pss: Bytes | null; anonymous: Bytes | null; swap: Bytes | null };
  cpu: { percent: number | null };
  growth: Growth | null;
  leak: Leak;
}

export interface Finding {
  id: string;
  kind: 'PROCESS_LEAK' | 'SERVICE_LEAK' | 'EXHAUSTION' | 'SITE_LEAK';
  nodeId: string;
  processKey: string | null;
  pid: number | null;
  program: string | null;
  commandLine: string | null;
  user: string | null;
  service: string;
  state: LeakState;
  previous: LeakState;
  imminent: boolean;
  confidence: number;
  openedAt: string;
  at: string;
  bytes: Bytes;
  limit: Bytes | null;
  growth: Growth | null;
  secondsToExhaustion: number | null;
  message: string;
  evidence: { name: string; value: number | null }[];
  acknowledgement: { at: string; note: string | null } | null;
}

export interface NodeDetail {
  id: string;
  hostname: string;
  state: NodeState;
  lastSeen: string;
  sampledAt: string | null;
  stale: boolean;
  kernel: string | null;
  architecture: string | null;
  cpuCount: number | null;
  uptime: number | null;
  bootedAt: string | null;
  memory: Memory;
  load: { one: number; five: number; fifteen: number } | null;
  pressure: { some: { avg10: number; avg60: number; avg300: number } } | null;
  cpu: { busyPercent: number | null } | null;
  counters: { oomKills: number | null } | null;
  processCount: number;
  limitations: string[];
  dataLoss: { missedChunks: number; droppedChunks: number | null };
  findings: Finding[];
}

export interface ProcessDetail {
  key: string;
  node: { id: string; state: NodeState };
  pid: number;
  ppid: number | null;
  program: string;
  commandLine: string | null;
  user: string | null;
  service: string | null;
  cgroup: string | null;
  state: string | null;
  startedAt: string;
  exitedAt: string | null;
  updatedAt: string | null;
  stale: boolean;
  threads: number | null;
  memory: Memory;
  cpu: { user: number | null; system: number | null; percent: number | null };
  faults: { minor: number | null; major: number | null };
  growth: Growth | null;
  leak: Leak;
  parent: { key: string; pid: number; program: string } | null;
  children: { key: string; pid: number; program: string; memory: { rss: Bytes | null } }[];
  findings: Finding[];
}

export interface Frame {
  function: string | null;
  file: string | null;
  line: number | null;
  module: string | null;
  offset: string;
  inlined: boolean;
}

export interface Site {
  id: string;
  frames: Frame[];
  truncated: boolean;
  liveBytes: Bytes;
  liveCount: number;
  allocatedBytes: Bytes | null;
  bytesPerHour: number | null;
  low: number | null;
  high: number | null;
  verdict: LeakState;
  confidence: number | null;
  generations: number | null;
  message: string | null;
}

export interface Trace {
  state: 'REQUESTED' | 'ACTIVE' | 'STOPPED' | 'ENDED' | 'REFUSED' | 'EXPIRED';
  mode: 'DORMANT' | 'SAMPLED' | 'EXACT';
  means: 'LIBRARY' | 'UPROBES' | null;
  reason: string | null;
  startedAt: string | null;
  at: string | null;
  partial: boolean;
  liveBytes: Bytes | null;
  liveCount: number | null;
  allocatedBytes: Bytes | null;
  standardError: { liveBytes: number } | null;
  explained: number | null;
  dropped: number;
  warnings: string[];
  sitesTotal: number;
  atRiskTotal: number;
  sites: Site[];
  atRisk: { time: string; size: Bytes; address: string; caller: string; site: { id: string } }[];
}

export interface Aggregate {
  total: Bytes;
  processes: number;
  measured: number;
  unmeasuredRss: Bytes;
  nodesReporting: number;
  nodesExpected: number;
  max: Bytes | null;
  mean: number | null;
  p95: Bytes | null;
  byNode: { node: { id: string; state: NodeState }; total: Bytes; processes: number; max: Bytes | null }[];
}
