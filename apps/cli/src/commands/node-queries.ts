import {
  GROWTH_FIELDS,
  PROCESS_FIELDS,
  type Bytes,
  type GrowthFields,
  type LeakState,
  type PageInfo,
  type ProcessFields,
} from '../api/process-fields.js';

export interface NodeMemory {
  total: Bytes;
  available: Bytes;
  used: Bytes;
  free: Bytes;
  active: Bytes;
  inactive: Bytes;
  buffers: Bytes;
  cached: Bytes;
  shared: Bytes;
  swapTotal: Bytes;
  swapFree: Bytes;
}

export interface Load {
  one: number;
  five: number;
  fifteen: number;
  running: number;
  total: number;
}

export interface Pressure {
  some: { avg10: number; avg60: number; avg300: number };
  full: { avg10: number; avg60: number; avg300: number } | null;
}

/** What the list and the page of a node both show. */
export interface NodeSummary {
  id: string;
  hostname: string;
  state: 'ACTIVE' | 'INACTIVE' | 'LEFT';
  stale: boolean;
  lastSeen: string;
  kernel: string | null;
  cpuCount: number | null;
  uptime: number | null;
  processCount: number;
  memory: NodeMemory;
  load: Load | null;
  pressure: Pressure | null;
  limitations: string[];
}

export interface NodeFinding {
  id: string;
  kind: string;
  state: LeakState;
  imminent: boolean;
  pid: number | null;
  program: string | null;
  service: string;
  openedAt: string;
  at: string;
  message: string;
  growth: GrowthFields | null;
}

export interface NodeDetail extends NodeSummary {
  architecture: string | null;
  bootedAt: string | null;
  sampledAt: string | null;
  sampleInterval: number | null;
  collector: {
    version: string;
    cpuMs: number;
    rounds: number;
    rss: Bytes;
    droppedBytes: Bytes;
    spooledBytes: Bytes;
  } | null;
  findings: NodeFinding[];
  largest: { totalCount: number; nodes: ProcessFields[] };
  growing: { totalCount: number; nodes: ProcessFields[] };
}

const SUMMARY_FIELDS = `
  id hostname state stale lastSeen kernel cpuCount uptime processCount limitations
  memory { total available used free active inactive buffers cached shared swapTotal swapFree }
  load { one five fifteen running total }
  pressure { some { avg10 avg60 avg300 } full { avg10 avg60 avg300 } }
`;

export const NODES_QUERY = /* GraphQL */ `
  query Nodes($first: Int!, $after: String) {
    cluster { now }
    nodes(first: $first, after: $after) {
      totalCount
      nodes { ${SUMMARY_FIELDS} }
      pageInfo { hasNextPage endCursor }
    }
  }
`;

export interface NodesData {
  cluster: { now: string };
  nodes: { totalCount: number; nodes: NodeSummary[]; pageInfo: PageInfo };
}

export const NODE_QUERY = /* GraphQL */ `
  query Node($id: ID!, $first: Int!) {
    cluster { now }
    node(id: $id) {
      ${SUMMARY_FIELDS}
      architecture bootedAt sampledAt sampleInterval
      collector { version cpuMs rounds rss droppedBytes spooledBytes }
      findings { id kind state imminent pid program service openedAt at message ${GROWTH_FIELDS} }
      largest: processes(first: $first, orderBy: { field: RSS }) {
        totalCount
        nodes { ${PROCESS_FIELDS} }
      }
      growing: processes(
        first: $first
        filter: { leakState: [GROWING, SUSPECTED, CONFIRMED] }
        orderBy: { field: GROWTH }
      ) {
        totalCount
        nodes { ${PROCESS_FIELDS} }
      }
    }
  }
`;

export interface NodeData {
  cluster: { now: string };
  node: NodeDetail | null;
}
