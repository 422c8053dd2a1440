import {
  parseProcessKey,
  type AllocationChunk,
  type ControlRecord,
  type NodeId,
  type ProcessKey,
  type Survivor,
} from '@tidemark/contracts';
import { applyToTrace, type ChunkOutcome, type TraceBounds } from './trace-chunks.js';
import { adoptChunkState, applyControl } from './trace-control.js';
import { createEntry, nameOf, type TraceEntry } from './trace-entry.js';
import type { TraceLedger } from './trace-ledger.js';
import { selectSites, selectSurvivors, viewSite, viewTrace } from './trace-view.js';
import type { LiveSite, LiveTrace, SiteOrderField } from './trace-view.js';

export interface TraceBookOptions extends Partial<TraceBounds> {
  /** Judges the sites of one trace. */
  createLedger(): TraceLedger;
  /** Traces kept; of more, the one that is over or silent for longest goes first. Default 256. */
  maxTraces?: number;
  /** How long a trace that is over, or that nothing was heard of, still answers here; milliseconds. Default 10 minutes. */
  endedForMs?: number;
}

/** Which trace a record was about. */
export interface TraceChange {
  /** Of the trace in this book. */
  name: string;
  node: NodeId;
  pid: number;
  outcome: ChunkOutcome;
  /** The process is gone: nothing more will come. */
  over: boolean;
}

/** The newest state of every trace, as the event log tells it. Pure: time is what the caller says. */
export interface TraceBook {
  applyChunk(chunk: AllocationChunk, receivedAt: number): TraceChange;
  applyControl(record: ControlRecord, receivedAt: number): TraceChange;
  /** Forgets what is over for long; tells of the requests that expired since the last call. */
  tick(now: number): TraceChange[];
  /** Of the process with this key. */
  trace(key: string, now: number): LiveTrace | undefined;
  /** By `LiveTrace.name`. */
  named(name: string, now: number): LiveTrace | undefined;
  /** The newest of those of the pid, whatever process it was. */
  newest(node: string, pid: number, now: number): LiveTrace | undefined;
  sites(key: string, order: { field: SiteOrderField; descending: boolean; limit: number }): LiveSite[];
  /** By `siteId`. */
  site(key: string, id: string): LiveSite | undefined;
  atRisk(key: string, limit: number): { survivor: Survivor; site: LiveSite | null }[];
  metrics(): { traces: number; sites: number; survivors: number };
}

const DEFAULTS = { maxSites: 16_384, maxSurvivors: 20_000, maxTraces: 256, endedForMs: 600_000 };

interface Book {
  readonly options: Required<TraceBookOptions>;
  /** By node, pid and start ticks. */
  readonly entries: Map<string, TraceEntry>;
  /** Entries whose process nobody has named yet, by id of the request. */
  readonly nameless: Map<string, string>;
}

export function createTraceBook(options: TraceBookOptions): TraceBook {
  const book: Book = { options: { ...DEFAULTS, ...options }, entries: new Map(), nameless: new Map() };
  const figuresOf = (key: string) => find(book, key)?.figures ?? undefined;
  return {
    applyChunk: (chunk, receivedAt) => applyChunk(book, chunk, receivedAt),
    applyControl: (record, receivedAt) => takeControl(book, record, receivedAt),
    tick(now) {
      forgetOld(book, now);
      return tellExpired(book, now);
    },
    trace(key, now) {
      const entry = find(book, key);
      const view = entry && viewTrace(entry, now);
      return view && { ...view, key: view.key ?? (key as ProcessKey) };
    },
    named(name, now) {
      const entry = book.entries.get(name);
      return entry && viewTrace(entry, now);
    },
    newest(node, pid, now) {
      let newest: TraceEntry | undefined;
      for (const entry of book.entries.values()) {
        if (entry.node === node && entry.pid === pid && entry.heardAt >= (newest?.heardAt ?? 0)) newest = entry;
      }
      return newest && viewTrace(newest, now);
    },
    sites(key, order) {
      const figures = figuresOf(key);
      return figures ? selectSites(figures, order) : [];
    },
    site(key, id) {
      const figures = figuresOf(key);
      for (const known of figures?.sites.values() ?? []) {
        if (figures && known.id === id) return viewSite(figures, known);
      }
      return undefined;
    },
    atRisk(key, limit) {
      const figures = figuresOf(key);
      return figures ? selectSurvivors(figures, limit) : [];
    },
    metrics: () => measure(book),
  };
}

function applyChunk(book: Book, chunk: AllocationChunk, receivedAt: number): TraceChange {
  const entry = entryOf(book, chunk.node, chunk.pid, chunk.start);
  const change = (outcome: ChunkOutcome): TraceChange => changeOf(entry, outcome);
  // The same pid and start ticks in another boot are another process.
  if (entry.key !== null && entry.key !== chunk.key) {
    if (entry.figures && entry.figures.head.at > chunk.at) return change('superseded');
    entry.figures = null;
    entry.status = null;
  }
  entry.key = chunk.key;
  const outcome = applyToTrace(entry, chunk, book.options, book.options.createLedger);
  if (outcome === 'applied') {
    entry.status = adoptChunkState(entry);
    touch(entry, receivedAt);
  }
  return change(outcome);
}

function takeControl(book: Book, record: ControlRecord, receivedAt: number): TraceChange {
  const { node, pid } = record;
  const entry = entryOf(book, node, pid, startOf(book, record));
  applyControl(entry, record, receivedAt);
  touch(entry, receivedAt);
  return changeOf(entry, 'applied');
}

function changeOf(entry: TraceEntry, outcome: ChunkOutcome): TraceChange {
  return { name: nameOf(entry), node: entry.node, pid: entry.pid, outcome, over: entry.status?.state === 'ENDED' };
}

/** Which process of the pid is meant: by its start ticks, else by the request that is answered. */
function startOf({ entries, nameless }: Book, record: ControlRecord): number | null {
  if (record.type === 'trace-request') {
    if (record.start === null) nameless.set(record.id, nameOf({ ...record, start: null }));
    return record.start;
  }
  const named = record.key === null ? undefined : parseProcessKey(record.key)?.start;
  if (named !== undefined) {
    const old = nameless.get(record.id);
    if (old !== undefined) entries.delete(old);
    nameless.delete(record.id);
    return named;
  }
  for (const entry of entries.values()) {
    if (entry.node === record.node && entry.pid === record.pid && entry.status?.id === record.id) return entry.start;
  }
  return null;
}

function entryOf(book: Book, node: NodeId, pid: number, start: number | null): TraceEntry {
  const { entries, options } = book;
  const name = nameOf({ node, pid, start });
  const known = entries.get(name);
  if (known) return known;
  if (entries.size >= options.maxTraces) makeRoom(book);
  const entry = createEntry(node, pid, start);
  entries.set(name, entry);
  return entry;
}

function touch(entry: TraceEntry, receivedAt: number): void {
  entry.heardAt = Math.max(entry.heardAt, receivedAt);
}

const isOver = ({ status }: TraceEntry): boolean => status?.state !== 'ACTIVE' && status?.state !== 'REQUESTED';

function makeRoom({ entries, nameless }: Book): void {
  let worst: { name: string; entry: TraceEntry } | undefined;
  for (const [name, entry] of entries) {
    const isWorse =
      !worst ||
      (isOver(entry) && !isOver(worst.entry)) ||
      (isOver(entry) === isOver(worst.entry) && entry.heardAt < worst.entry.heardAt);
    if (isWorse) worst = { name, entry };
  }
  if (worst) entries.delete(worst.name);
  // Requests that were never answered would stay for ever.
  for (const [id, name] of nameless) if (!entries.has(name)) nameless.delete(id);
}

/** A trace that goes on is heard of each minute at least. */
function forgetOld({ entries, nameless, options }: Book, now: number): void {
  for (const [name, { heardAt }] of entries) if (now - heardAt > options.endedForMs) entries.delete(name);
  for (const [id, name] of nameless) if (!entries.has(name)) nameless.delete(id);
}

function tellExpired({ entries }: Book, now: number): TraceChange[] {
  const changes: TraceChange[] = [];
  for (const entry of entries.values()) {
    const expiry = entry.status?.expiry;
    if (!expiry || expiry.told || now <= expiry.at) continue;
    expiry.told = true;
    changes.push(changeOf(entry, 'applied'));
  }
  return changes;
}

function find({ entries }: Book, key: string): TraceEntry | undefined {
  const parts = parseProcessKey(key);
  const entry = parts && entries.get(nameOf(parts));
  return entry && (entry.key === null || entry.key === key) ? entry : undefined;
}

function measure({ entries }: Book): ReturnType<TraceBook['metrics']> {
  let [sites, survivors] = [0, 0];
  for (const { figures } of entries.values()) {
    sites += figures?.sites.size ?? 0;
    survivors += figures?.survivors.size ?? 0;
  }
  return { traces: entries.size, sites, survivors };
}
