import type { NodeId } from '@tidemark/contracts';
import type { Interner } from './interner.js';
import type { NodeEntry } from './live-node.js';
import type { Matcher, SizeMetric } from './process-selection.js';
import { sizeAt } from './process-selection.js';
import { NUMBER_INDEX, numberAt } from './process-table.js';
import { quantile } from './quantile.js';

/** Memory of many processes, bytes. */
export interface ProcessAggregate {
  /** Over the processes of which the metric is known. */
  total: number;
  /** Matches. */
  processes: number;
  /** Matches of which the metric is known. */
  measured: number;
  /** RSS of the other matches. */
  unmeasuredRss: number;
  /** Null when nothing was measured. */
  max: number | null;
  mean: number | null;
  /** Nearest rank. */
  p95: number | null;
  /** Largest first; nodes and programs without a match are left out. */
  byNode: NodeShare[];
  byProgram: ProgramShare[];
}

export interface NodeShare {
  node: NodeId;
  total: number;
  processes: number;
  max: number | null;
}

export interface ProgramShare {
  /** Null for processes whose facts have not come. */
  program: string | null;
  total: number;
  processes: number;
  nodes: number;
  max: number | null;
}

/** Sums per program, indexed by text id. */
interface ProgramSums {
  total: Float64Array;
  processes: Uint32Array;
  nodes: Uint32Array;
  max: Float64Array;
  /** Number of the node that counted last, so that each counts once. */
  lastNode: Int32Array;
}

export function aggregateProcesses(
  nodes: readonly NodeEntry[],
  matches: Matcher,
  metric: SizeMetric,
  texts: Interner,
): ProcessAggregate {
  const values = new Float64Array(nodes.reduce((sum, node) => sum + node.slots.size, 0));
  const sums = createSums(texts.end);
  const byNode: NodeShare[] = [];
  let measured = 0;
  let unmeasuredRss = 0;
  nodes.forEach((node, number) => {
    const { table } = node;
    const share: NodeShare = { node: node.id, total: 0, processes: 0, max: null };
    for (let slot = 0; slot < table.end; slot++) {
      if (!matches(node, slot)) continue;
      const size = sizeAt(table, slot, metric);
      share.processes++;
      addToProgram(sums, table.program[slot] ?? 0, number, size);
      if (Number.isNaN(size)) {
        unmeasuredRss += numberAt(table, NUMBER_INDEX.rss, slot) || 0;
        continue;
      }
      values[measured++] = size;
      share.total += size;
      if (share.max === null || size > share.max) share.max = size;
    }
    if (share.processes > 0) byNode.push(share);
  });
  return summarize(values, measured, unmeasuredRss, byNode, viewSums(sums, texts));
}

function summarize(
  values: Float64Array,
  measured: number,
  unmeasuredRss: number,
  byNode: NodeShare[],
  byProgram: ProgramShare[],
): ProcessAggregate {
  const total = byNode.reduce((sum, share) => sum + share.total, 0);
  return {
    total,
    processes: byNode.reduce((sum, share) => sum + share.processes, 0),
    measured,
    unmeasuredRss,
    max: byNode.reduce<number | null>((max, share) => largest(max, share.max), null),
    mean: measured === 0 ? null : total / measured,
    p95: measured === 0 ? null : quantile(values, measured, 0.95),
    byNode: byNode.sort((a, b) => b.total - a.total || (a.node < b.node ? -1 : 1)),
    byProgram: byProgram.sort((a, b) => b.total - a.total || ((a.program ?? '') < (b.program ?? '') ? -1 : 1)),
  };
}

function largest(a: number | null, b: number | null): number | null {
  return a === null || (b !== null && b > a) ? b : a;
}

function createSums(programs: number): ProgramSums {
  return {
    total: new Float64Array(programs),
    processes: new Uint32Array(programs),
    nodes: new Uint32Array(programs),
    max: new Float64Array(programs).fill(NaN),
    lastNode: new Int32Array(programs).fill(-1),
  };
}

function addToProgram(sums: ProgramSums, program: number, node: number, size: number): void {
  sums.processes[program] = (sums.processes[program] ?? 0) + 1;
  if (sums.lastNode[program] !== node) {
    sums.lastNode[program] = node;
    sums.nodes[program] = (sums.nodes[program] ?? 0) + 1;
  }
  if (Number.isNaN(size)) return;
  sums.total[program] = (sums.total[program] ?? 0) + size;
  if (!(size <= (sums.max[program] ?? NaN))) sums.max[program] = size;
}

function viewSums(sums: ProgramSums, texts: Interner): ProgramShare[] {
  const shares: ProgramShare[] = [];
  sums.processes.forEach((processes, id) => {
    if (processes === 0) return;
    const max = sums.max[id] ?? NaN;
    shares.push({
      program: texts.text(id),
      total: sums.total[id] ?? 0,
      processes,
      nodes: sums.nodes[id] ?? 0,
      max: Number.isNaN(max) ? null : max,
    });
  });
  return shares;
}
