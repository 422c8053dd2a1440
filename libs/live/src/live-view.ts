import {
  NODE_TIMEOUT_MS,
  parseProcessKey,
  type FindingRecord,
  type NodeId,
  type NodeRecord,
  type ProcessKey,
  type SampleChunk,
  type SystemMemory,
} from '@tidemark/contracts';
import { type Bounds, type Ground } from './chunk-rows.js';
import { createFindingBook, type FindingBook } from './finding-book.js';
import { createInterner } from './interner.js';
import { createLeakLookup, type LeakLookup, type LeakStatus } from './leak-status.js';
import { createNodeEntry, type NodeEntry } from './live-node.js';
import { applyToNode, dropProcesses, forgetExited, type LiveChange } from './node-chunks.js';
import { viewNode, type LiveNode } from './node-view.js';
import { aggregateProcesses, type ProcessAggregate } from './process-aggregate.js';
import { orderValue, selectRows, type ProcessOrder, type ProcessPosition } from './process-order.js';
import { compileSelection, type ProcessSelection, type SizeMetric } from './process-selection.js';
import { viewProcess, type LiveProcess } from './process-view.js';
import { Life, NUMBER_INDEX, numberAt } from './process-table.js';

export interface LiveViewOptions extends Partial<Bounds> {
  /** What a detector in the same process says; without one, the findings of the log answer. */
  leakOf?: (key: ProcessKey) => LeakStatus | undefined;
  /** Silence after which a node is INACTIVE, milliseconds. */
  nodeTimeoutMs?: number;
  /** How long an exited process still answers, milliseconds. Default 2 minutes. */
  exitedForMs?: number;
  /** Silence after which a node's processes are forgotten; the node is not. Default 1 hour. */
  silentForMs?: number;
  /** Silence after which the node is forgotten too, as the log forgets it. Default 7 days. */
  forgetNodeMs?: number;
  maxNodes?: number;
  maxFindings?: number;
}

/** Where to look: all nodes that report, or one node whatever its state. */
export interface ProcessQuery {
  selection: ProcessSelection;
  node?: NodeId;
}

export interface ProcessPage {
  rows: { process: LiveProcess; position: ProcessPosition }[];
  /** Matches in all. */
  total: number;
}

/**
 * The present state of every node and process, as the event log tells it. Pure: time is what the caller says. Server
 * time (`receivedAt`, `now`) decides who is silent; data time, the nodes' own, is on everything else.
 */
export interface LiveView {
  applyChunk(chunk: SampleChunk, receivedAt: number): LiveChange;
  applyNode(record: NodeRecord, receivedAt: number): void;
  applyFinding(record: FindingRecord): void;
  /** Last figures of a node from before this view's time: stand until the node says something itself. */
  seedMemory(node: NodeId, memory: SystemMemory): void;
  removeNode(node: NodeId): void;
  /** Forgets what is over; tells the nodes that became INACTIVE. Call it about once a second. */
  tick(now: number): NodeId[];

  node(id: string): LiveNode | undefined;
  nodes(): LiveNode[];
  /** The living process with this pid. */
  process(node: string, pid: number): LiveProcess | undefined;
  /** Living, or exited a short while ago. */
  processByKey(key: string): LiveProcess | undefined;
  children(node: string, pid: number): LiveProcess[];
  /** Grows whenever something was heard of the living process; undefined when there is none. */
  touched(node: string, pid: number): number | undefined;
  select(query: ProcessQuery, page: { order: ProcessOrder; after: ProcessPosition | null; limit: number }): ProcessPage;
  aggregate(query: ProcessQuery, metric: SizeMetric): ProcessAggregate;
  readonly findings: Pick<FindingBook, 'get' | 'ofProcess' | 'all' | 'overflowed' | 'size'>;
  metrics(): LiveViewMetrics;
}

export interface LiveViewMetrics {
  nodes: number;
  /** Slots in use: living and just exited. */
  processes: number;
  findings: number;
  commandLineChars: number;
  refusedRows: number;
  missedChunks: number;
}

/** Heartbeats that the difference of the clocks is taken from. */
const CLOCK_SAMPLES = 8;

interface Inner {
  readonly options: Required<Omit<LiveViewOptions, 'leakOf'>>;
  readonly ground: Ground;
  readonly entries: Map<string, NodeEntry>;
  readonly seeds: Map<NodeId, SystemMemory>;
  readonly book: FindingBook;
  readonly leaks: LeakLookup;
}

const DEFAULTS = {
  nodeTimeoutMs: NODE_TIMEOUT_MS,
  exitedForMs: 120_000,
  silentForMs: 3_600_000,
  forgetNodeMs: 604_800_000,
  maxNodes: 20_000,
  maxFindings: 20_000,
  maxProcesses: 2_000_000,
  maxExitedPerNode: 4_096,
  maxCommandLineChars: 268_435_456,
  maxTextChars: 67_108_864,
} satisfies Required<Omit<LiveViewOptions, 'leakOf'>>;

export function createLiveView(options: LiveViewOptions = {}): LiveView {
  const { leakOf, ...given } = options;
  const settings = { ...DEFAULTS, ...given };
  const book = createFindingBook(settings.maxFindings);
  const inner: Inner = {
    options: settings,
    ground: { texts: createInterner(settings.maxTextChars), bounds: settings, slots: 0, commandLineChars: 0 },
    entries: new Map(),
    seeds: new Map(),
    book,
    leaks: createLeakLookup(book, leakOf),
  };
  return { ...intake(inner), ...answers(inner), findings: book, metrics: () => measure(inner) };
}

function intake(
  inner: Inner,
): Pick<LiveView, 'applyChunk' | 'applyNode' | 'applyFinding' | 'seedMemory' | 'removeNode' | 'tick'> {
  const { entries, ground, book } = inner;
  return {
    applyChunk(chunk, receivedAt) {
      const node = entryOf(inner, chunk.node);
      if (!node) return { node: chunk.node, outcome: 'refused', missed: 0, rows: 0, ended: 0 };
      const change = applyToNode(ground, node, chunk, receivedAt);
      if (change.outcome === 'applied' && chunk.run !== node.leftRun) hear(node, receivedAt);
      return change;
    },
    applyNode(record, receivedAt) {
      const node = entryOf(inner, record.node);
      if (!node) return;
      node.record = record;
      node.clockOffsets.push(receivedAt - record.at);
      if (node.clockOffsets.length > CLOCK_SAMPLES) node.clockOffsets.shift();
      if (record.state === 'LEAVING') {
        node.lastSeen = Math.max(node.lastSeen, receivedAt);
        node.state = 'LEFT';
        node.leftRun = record.run;
        return;
      }
      node.leftRun = null;
      hear(node, receivedAt);
    },
    applyFinding: (record) => book.apply(record),
    seedMemory(id, memory) {
      const node = entries.get(id);
      if (node) node.system = { memory, ...node.system };
      else if (inner.seeds.size < inner.options.maxNodes) inner.seeds.set(id, memory);
    },
    removeNode(id) {
      const node = entries.get(id);
      if (!node) return;
      dropProcesses(ground, node);
      entries.delete(id);
    },
    tick: (now) => tick(inner, now),
  };
}

function hear(node: NodeEntry, receivedAt: number): void {
  node.lastSeen = Math.max(node.lastSeen, receivedAt);
  node.state = 'ACTIVE';
}

/** The node's entry, made when there is room; a node that is silent for longest makes room. */
function entryOf(inner: Inner, id: NodeId): NodeEntry | undefined {
  const { entries, options, ground, seeds } = inner;
  const known = entries.get(id);
  if (known) return known;
  if (entries.size >= options.maxNodes) {
    let oldest: NodeEntry | undefined;
    for (const entry of entries.values()) {
      if (entry.state !== 'ACTIVE' && (!oldest || entry.lastSeen < oldest.lastSeen)) oldest = entry;
    }
    if (!oldest) return undefined;
    dropProcesses(ground, oldest);
    entries.delete(oldest.id);
  }
  const node = createNodeEntry(id);
  const memory = seeds.get(id);
  if (memory) node.system = { memory };
  seeds.delete(id);
  entries.set(id, node);
  return node;
}

function tick({ entries, options, ground }: Inner, now: number): NodeId[] {
  const silent: NodeId[] = [];
  for (const node of entries.values()) {
    forgetExited(ground, node, now - options.exitedForMs);
    if (node.state === 'ACTIVE' && now - node.lastSeen > options.nodeTimeoutMs) {
      node.state = 'INACTIVE';
      silent.push(node.id);
    }
    if (node.state !== 'ACTIVE' && node.table.end > 0 && now - node.lastSeen > options.silentForMs) {
      dropProcesses(ground, node);
    }
    if (node.state !== 'ACTIVE' && now - node.lastSeen > options.forgetNodeMs) {
      dropProcesses(ground, node);
      entries.delete(node.id);
    }
  }
  return silent;
}

function answers(
  inner: Inner,
): Pick<LiveView, 'node' | 'nodes' | 'process' | 'processByKey' | 'children' | 'touched' | 'select' | 'aggregate'> {
  const { entries, ground, leaks } = inner;
  const view = (node: NodeEntry, slot: number) => viewProcess(node, slot, ground.texts, leaks);
  return {
    node(id) {
      const node = entries.get(id);
      return node && viewNode(node);
    },
    nodes: () => Array.from(entries.values(), viewNode),
    process(id, pid) {
      const node = entries.get(id);
      const slot = node?.slots.get(pid);
      return node && slot !== undefined ? view(node, slot) : undefined;
    },
    processByKey(key) {
      const found = findKey(entries, key);
      return found && view(found.node, found.slot);
    },
    children(id, pid) {
      const node = entries.get(id);
      if (!node) return [];
      const slots = [...node.slots.values()].filter((slot) => numberAt(node.table, NUMBER_INDEX.ppid, slot) === pid);
      return slots.map((slot) => view(node, slot)).sort((a, b) => a.pid - b.pid);
    },
    touched(id, pid) {
      const node = entries.get(id);
      const slot = node?.slots.get(pid);
      return slot === undefined ? undefined : node?.table.touched[slot];
    },
    select(query, page) {
      const matches = compileSelection(query.selection, ground.texts, leaks);
      const value = orderValue(page.order.field, ground.texts, leaks);
      const found = selectRows(nodesOf(inner, query), matches, value, { ...page, direction: page.order.direction });
      const rows = found.rows.map(({ entry, slot, value, node, pid, start }) => ({
        process: view(entry, slot),
        position: { value, node, pid, start },
      }));
      return { rows, total: found.total };
    },
    aggregate(query, metric) {
      const matches = compileSelection(query.selection, ground.texts, leaks);
      return aggregateProcesses(nodesOf(inner, query), matches, metric, ground.texts);
    },
  };
}

function nodesOf({ entries }: Inner, { node, selection }: ProcessQuery): NodeEntry[] {
  if (node !== undefined) {
    const entry = entries.get(node);
    const allowed = !selection.nodes || selection.nodes.includes(node);
    return entry && allowed ? [entry] : [];
  }
  const candidates = selection.nodes
    ? [...new Set(selection.nodes)].map((id) => entries.get(id))
    : [...entries.values()];
  return candidates.filter((entry): entry is NodeEntry => entry?.state === 'ACTIVE');
}

function findKey(entries: Map<string, NodeEntry>, key: string): { node: NodeEntry; slot: number } | undefined {
  const parts = parseProcessKey(key);
  const node = parts && entries.get(parts.node);
  if (!node || node.boot !== parts.boot) return undefined;
  const living = node.slots.get(parts.pid);
  if (living !== undefined && node.table.start[living] === parts.start) return { node, slot: living };
  const { table } = node;
  const exited = node.exited.find(
    ({ slot }) =>
      table.life[slot] === Life.Exited && table.pid[slot] === parts.pid && table.start[slot] === parts.start,
  );
  return exited && { node, slot: exited.slot };
}

function measure({ entries, ground, book }: Inner): LiveViewMetrics {
  let refusedRows = 0;
  let missedChunks = 0;
  for (const node of entries.values()) {
    refusedRows += node.refusedRows;
    missedChunks += node.missedChunks;
  }
  return {
    nodes: entries.size,
    processes: ground.slots,
    findings: book.size,
    commandLineChars: ground.commandLineChars,
    refusedRows,
    missedChunks,
  };
}
