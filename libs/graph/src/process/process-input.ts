import { isNodeId, type LeakState } from '@tidemark/contracts';
import type { ProcessOrder, ProcessOrderField, ProcessSelection, SizeMetric } from '@tidemark/live';
import { GraphError } from '../graph-error.js';
import type { AggregateFilter } from '../history-port.js';

/** Enum `MemoryMetric`, and what it is inside. */
export const MEMORY_METRICS = {
  RSS: 'rss',
  VMS: 'vms',
  SHARED: 'shared',
  TEXT: 'text',
  DATA: 'data',
  LIB: 'lib',
  DIRTY: 'dirty',
  ANONYMOUS: 'rssAnon',
  FILE: 'rssFile',
  SHMEM: 'rssShmem',
  SWAP: 'swap',
  PSS: 'pss',
  USS: 'uss',
  LEAK_SIGNAL: 'leakSignal',
} as const satisfies Record<string, SizeMetric>;

export type MemoryMetricName = keyof typeof MEMORY_METRICS;

const ORDER_FIELDS = {
  ...MEMORY_METRICS,
  PID: 'pid',
  PROGRAM: 'program',
  STARTED_AT: 'startedAt',
  THREADS: 'threads',
  CPU_TIME: 'cpuTime',
  CPU_PERCENT: 'cpuPercent',
  MAJOR_FAULTS: 'majflt',
  GROWTH: 'growth',
} as const satisfies Record<string, ProcessOrderField>;

export interface ProcessOrderInput {
  field: keyof typeof ORDER_FIELDS;
  direction: 'ASC' | 'DESC';
}

export function toProcessOrder(order: ProcessOrderInput | null | undefined): ProcessOrder {
  if (!order) return { field: 'rss', direction: 'desc' };
  return { field: ORDER_FIELDS[order.field], direction: order.direction === 'ASC' ? 'asc' : 'desc' };
}

/** Input `ProcessFilter`; null is the same as left out. */
export interface ProcessFilterInput {
  nodes?: string[] | null;
  program?: string | null;
  programs?: string[] | null;
  pids?: number[] | null;
  user?: string | null;
  service?: string | null;
  state?: string | null;
  minBytes?: number | null;
  minBytesOf?: MemoryMetricName;
  leakState?: LeakState[] | null;
  text?: string | null;
}

const STATE_LETTERS = /^[A-Za-z]{1,16}$/;
const MAX_TEXT = 256;

/** Throws GraphError BAD_FILTER that names the field. */
export function toSelection(filter: ProcessFilterInput | null | undefined): ProcessSelection {
  if (!filter) return {};
  const selection: ProcessSelection = {};
  const programs = programsOf(filter);
  if (filter.nodes) selection.nodes = filter.nodes.filter(isNodeId);
  if (programs) selection.programs = programs;
  if (filter.pids) selection.pids = filter.pids;
  if (typeof filter.user === 'string') selection.user = filter.user;
  if (typeof filter.service === 'string') selection.service = filter.service;
  if (typeof filter.state === 'string') {
    if (!STATE_LETTERS.test(filter.state)) throw bad('state', filter.state, 'one or more letters of R S D Z T t X I');
    selection.states = filter.state;
  }
  if (typeof filter.minBytes === 'number') {
    selection.min = { metric: MEMORY_METRICS[filter.minBytesOf ?? 'RSS'], bytes: filter.minBytes };
  }
  if (filter.leakState) selection.leakStates = filter.leakState;
  if (typeof filter.text === 'string') {
    if (filter.text.length > MAX_TEXT) throw bad('text', filter.text, `at most ${MAX_TEXT} characters`);
    selection.text = filter.text;
  }
  return selection;
}

/** Both `program` and `programs` must hold. */
function programsOf({ program, programs }: ProcessFilterInput): string[] | undefined {
  if (typeof program !== 'string') return programs ?? undefined;
  return !programs || programs.includes(program) ? [program] : [];
}

/** What history can filter by; throws GraphError BAD_FILTER that names what it cannot. */
export function toAggregateFilter(filter: ProcessFilterInput): AggregateFilter {
  for (const field of ['state', 'minBytes', 'leakState', 'text'] as const) {
    if (filter[field] === undefined || filter[field] === null) continue;
    throw new GraphError(
      'BAD_FILTER',
      `series: history cannot filter by ${field}; leave ${field} out of the filter, or series out of the query`,
    );
  }
  const { nodes, programs, pids, user, service } = toSelection(filter);
  return {
    ...(nodes && { nodes }),
    ...(programs && { programs }),
    ...(pids && { pids }),
    ...(user !== undefined && { user }),
    ...(service !== undefined && { service }),
  };
}

function bad(field: string, value: string, wanted: string): GraphError {
  return new GraphError('BAD_FILTER', `filter.${field}: ${JSON.stringify(value.slice(0, 40))} must be ${wanted}`);
}
