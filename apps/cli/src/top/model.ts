import type { Load, NodeMemory, Pressure } from '../commands/node-queries.js';
import type { LeakState, ProcessFields } from '../api/process-fields.js';

/** What one refresh brings. */
export interface TopSnapshot {
  node: TopNode;
  /** Ids of all nodes, to step through. */
  nodes: readonly string[];
  /** When it was received, epoch milliseconds of this host. */
  receivedAt: number;
}

export interface TopNode {
  id: string;
  hostname: string;
  state: 'ACTIVE' | 'INACTIVE' | 'LEFT';
  stale: boolean;
  kernel: string | null;
  cpuCount: number | null;
  uptime: number | null;
  processCount: number;
  memory: NodeMemory;
  load: Load | null;
  pressure: Pressure | null;
  cpu: { busyPercent: number | null } | null;
  findings: { state: LeakState; imminent: boolean }[];
  processes: { totalCount: number; nodes: TopProcess[] };
}

export type TopProcess = ProcessFields & { cgroup: string | null };

/** Columns that the table can be ordered by; the key that chooses each, and its field in the API. */
export const SORT_KEYS = {
  rss: { key: 'm', field: 'RSS', title: 'RSS' },
  anonymous: { key: 'a', field: 'ANONYMOUS', title: 'ANON' },
  swap: { key: 's', field: 'SWAP', title: 'SWAP' },
  pss: { key: 'p', field: 'PSS', title: 'PSS' },
  growth: { key: 'g', field: 'GROWTH', title: 'GROWTH/H' },
  cpu: { key: 'c', field: 'CPU_PERCENT', title: 'CPU%' },
  started: { key: 't', field: 'STARTED_AT', title: 'AGE' },
  pid: { key: 'i', field: 'PID', title: 'PID' },
  program: { key: 'n', field: 'PROGRAM', title: 'PROGRAM' },
} as const;

export type SortName = keyof typeof SORT_KEYS;

export type Connection =
  | { state: 'connecting' }
  | { state: 'live' }
  /** The last refresh failed; what is shown is of before. */
  | { state: 'lost'; why: string; since: number };

/** Everything the picture depends on, besides the size of the terminal and the time. */
export interface TopState {
  url: string;
  /** undefined until the first answer chose one. */
  node: string | undefined;
  snapshot: TopSnapshot | undefined;
  /** Recent anonymous + swap per process key, oldest first; null where it was unknown. */
  recent: ReadonlyMap<string, readonly (number | null)[]>;
  connection: Connection;
  sort: SortName;
  reverse: boolean;
  /** Text that the API filters by. */
  filter: string;
  /** What is being typed after `/`; undefined when nothing is. */
  typing: string | undefined;
  /** Key of the marked process, so that the mark stays with it when the order changes. */
  selected: string | undefined;
  /** First row shown. */
  offset: number;
  view: 'table' | 'help' | 'detail';
  paused: boolean;
}

export function initialState(url: string, node: string | undefined, sort: SortName, filter: string): TopState {
  return {
    url,
    node,
    snapshot: undefined,
    recent: new Map(),
    connection: { state: 'connecting' },
    sort,
    reverse: false,
    filter,
    typing: undefined,
    selected: undefined,
    offset: 0,
    view: 'table',
    paused: false,
  };
}

/** Samples kept per process for its spark line. */
export const RECENT_SAMPLES = 60;

/** Takes a snapshot in: appends to what is recent, and forgets processes that are not listed any more. */
export function withSnapshot(state: TopState, snapshot: TopSnapshot): TopState {
  const recent = new Map<string, readonly (number | null)[]>();
  for (const process of snapshot.node.processes.nodes) {
    const before = state.recent.get(process.key) ?? [];
    recent.set(process.key, [...before, leakSignal(process)].slice(-RECENT_SAMPLES));
  }
  const sameNode = state.snapshot?.node.id === snapshot.node.id;
  // A process that dropped off the list for a moment keeps its past while the node stays the same.
  if (sameNode && !state.filter) keepMissing(recent, state.recent);
  return { ...state, snapshot, recent, node: snapshot.node.id, connection: { state: 'live' } };
}

const MOST_REMEMBERED = 5_000;

function keepMissing(
  recent: Map<string, readonly (number | null)[]>,
  before: ReadonlyMap<string, readonly (number | null)[]>,
): void {
  for (const [key, values] of before) {
    if (recent.size >= MOST_REMEMBERED) return;
    // One gap a refresh: when only gaps are left, nothing is worth keeping.
    if (!recent.has(key) && values.some((value) => value !== null)) {
      recent.set(key, [...values, null].slice(-RECENT_SAMPLES));
    }
  }
}

/** anonymous + swap; null when neither is known. */
export function leakSignal({ memory }: Pick<ProcessFields, 'memory'>): number | null {
  if (memory.anonymous === null) return null;
  return Number(memory.anonymous) + Number(memory.swap ?? 0);
}

/** The processes shown, in order. */
export function rowsOf(state: TopState): readonly TopProcess[] {
  return state.snapshot?.node.processes.nodes ?? [];
}

/** Place of the marked process; −1 when it is not listed. */
export function selectedIndex(state: TopState): number {
  return state.selected === undefined ? -1 : rowsOf(state).findIndex(({ key }) => key === state.selected);
}
