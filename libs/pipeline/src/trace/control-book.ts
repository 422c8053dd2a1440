import {
  parseProcessKey,
  type ControlRecord,
  type NodeId,
  type TraceRequestRecord,
  type TraceStatusRecord,
} from '@tidemark/contracts';

/** A trace that is wanted. */
export interface TraceWish {
  /** Of the request that began it. */
  id: string;
  pid: number;
  /** Start ticks of the process that is meant; null: whoever has the pid. */
  start: number | null;
  /** Boot that the start ticks count from; null: this one. */
  boot: string | null;
  mode: 'SAMPLED' | 'EXACT';
  sampleInterval: number | null;
  maxFrames: number | null;
  /** It was active when an earlier run of the collector ended: since when, epoch milliseconds. */
  resumedFrom: number | null;
}

/** What is to be done about a control record. */
export type ControlDecision =
  { kind: 'start'; wish: TraceWish } | { kind: 'expire'; wish: TraceWish } | { kind: 'stop'; id: string; pid: number };

interface Entry {
  request: TraceRequestRecord | undefined;
  status: TraceStatusRecord | undefined;
  /** Id that was decided upon in this run. */
  decided: string | undefined;
}

/** What the control topic asks of one node, folded: the newest request of each pid, and whether it was answered. */
export interface ControlBook {
  note(record: ControlRecord): void;
  /** What follows from the records since the last call. `now` is epoch milliseconds. */
  decide(now: number): ControlDecision[];
  readonly size: number;
}

export function createControlBook(node: NodeId): ControlBook {
  const entries = new Map<number, Entry>();
  const changed = new Set<number>();
  return {
    note(record) {
      if (record.node !== node) return;
      const entry = entries.get(record.pid) ?? { request: undefined, status: undefined, decided: undefined };
      if (record.type === 'trace-request') entry.request = record;
      else entry.status = record;
      entries.set(record.pid, entry);
      changed.add(record.pid);
    },
    decide(now) {
      const decisions: ControlDecision[] = [];
      for (const pid of changed) {
        const entry = entries.get(pid)!;
        const decision = decide(entry, now);
        if (decision) decisions.push(decision);
        if (isOver(entry)) entries.delete(pid);
      }
      changed.clear();
      return decisions;
    },
    get size() {
      return entries.size;
    },
  };
}

function decide(entry: Entry, now: number): ControlDecision | undefined {
  const { request, status } = entry;
  const answered = request === undefined || status?.id === request.id;
  const id = request?.id ?? status?.id;
  if (id === undefined || entry.decided === id) return undefined;
  if (answered) {
    // An answer of an earlier run: what was active then is to go on.
    if (status?.state !== 'ACTIVE') return undefined;
    entry.decided = id;
    return { kind: 'start', wish: wishOfStatus(status) };
  }
  entry.decided = id;
  if (request.action === 'STOP') return { kind: 'stop', id, pid: request.pid };
  return { kind: now > request.expiresAt ? 'expire' : 'start', wish: wishOfRequest(request) };
}

/** Nothing more can follow from what is known of the pid. */
function isOver({ request, status }: Entry): boolean {
  if (!status || status.state === 'ACTIVE' || status.state === 'REQUESTED') return false;
  return request === undefined || request.id === status.id;
}

function wishOfRequest({ id, pid, start, mode, sampleInterval, maxFrames }: TraceRequestRecord): TraceWish {
  return { id, pid, start, boot: null, mode, sampleInterval, maxFrames, resumedFrom: null };
}

function wishOfStatus({ id, pid, key, mode, sampleInterval, maxFrames, at }: TraceStatusRecord): TraceWish {
  const parts = key === null ? undefined : parseProcessKey(key);
  const [start, boot] = [parts?.start ?? null, parts?.boot ?? null];
  return { id, pid, start, boot, mode, sampleInterval, maxFrames, resumedFrom: at };
}
