import type { NodeId } from '@tidemark/contracts';
import type { Interner } from './interner.js';
import type { LeakLookup } from './leak-status.js';
import type { NodeEntry } from './live-node.js';
import { cpuPercentAt } from './process-view.js';
import { NUMBER_INDEX, numberAt } from './process-table.js';
import { sizeAt, type Matcher, type SizeMetric } from './process-selection.js';
import { createTopRows } from './top-rows.js';

export type ProcessOrderField =
  SizeMetric | 'pid' | 'program' | 'startedAt' | 'threads' | 'cpuTime' | 'cpuPercent' | 'majflt' | 'growth';

export interface ProcessOrder {
  field: ProcessOrderField;
  direction: 'asc' | 'desc';
}

/** A place in an ordered list: the value (null is unknown, which comes last), then node, pid and start, ascending. */
export interface ProcessPosition {
  value: number | string | null;
  node: NodeId;
  pid: number;
  start: number;
}

export interface OrderedRow extends ProcessPosition {
  entry: NodeEntry;
  slot: number;
}

export type ValueReader = (node: NodeEntry, slot: number) => number | string | null;

export function orderValue(field: ProcessOrderField, texts: Interner, leaks: LeakLookup): ValueReader {
  const number = (read: (node: NodeEntry, slot: number) => number): ValueReader => {
    return (node, slot) => {
      const value = read(node, slot);
      return Number.isNaN(value) ? null : value;
    };
  };
  switch (field) {
    case 'pid':
      return number(({ table }, slot) => table.pid[slot] ?? NaN);
    case 'program':
      return ({ table }, slot) => texts.text(table.program[slot] ?? 0);
    case 'startedAt':
      return number(({ table }, slot) => table.startedAt[slot] ?? NaN);
    case 'threads':
    case 'majflt':
      return number(({ table }, slot) => numberAt(table, NUMBER_INDEX[field], slot));
    case 'cpuTime':
      return number(
        ({ table }, slot) => numberAt(table, NUMBER_INDEX.utime, slot) + numberAt(table, NUMBER_INDEX.stime, slot),
      );
    case 'cpuPercent':
      return number(cpuPercentAt);
    case 'growth':
      return (node, slot) => leaks.growth(node, slot)?.bytesPerHour ?? null;
    default:
      return number(({ table }, slot) => sizeAt(table, slot, field));
  }
}

export function comparePositions(direction: 'asc' | 'desc'): (a: ProcessPosition, b: ProcessPosition) => number {
  const sign = direction === 'asc' ? 1 : -1;
  return (a, b) => {
    if (a.value !== b.value) {
      if (a.value === null) return 1;
      if (b.value === null) return -1;
      return a.value < b.value ? -sign : sign;
    }
    if (a.node !== b.node) return a.node < b.node ? -1 : 1;
    return a.pid - b.pid || a.start - b.start;
  };
}

/** The first `limit` matches after a position, and how many there are in all, before and after it. */
export function selectRows(
  nodes: Iterable<NodeEntry>,
  matches: Matcher,
  value: ValueReader,
  page: { direction: 'asc' | 'desc'; after: ProcessPosition | null; limit: number },
): { rows: OrderedRow[]; total: number } {
  const compare = comparePositions(page.direction);
  const top = createTopRows<OrderedRow>(page.limit, compare);
  let total = 0;
  for (const entry of nodes) {
    const { table } = entry;
    // One object for all candidates: most are refused, and 200,000 short-lived objects cost more than the scan.
    const candidate: OrderedRow = { value: null, node: entry.id, pid: 0, start: 0, entry, slot: 0 };
    for (let slot = 0; slot < table.end; slot++) {
      if (!matches(entry, slot)) continue;
      total++;
      candidate.value = value(entry, slot);
      candidate.pid = table.pid[slot] ?? 0;
      candidate.start = table.start[slot] ?? 0;
      candidate.slot = slot;
      if (page.after && compare(candidate, page.after) <= 0) continue;
      const worst = top.worst();
      if (worst && compare(candidate, worst) >= 0) continue;
      top.offer({ ...candidate });
    }
  }
  return { rows: top.take(), total };
}
