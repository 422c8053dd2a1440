import {
  expiredReason,
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
  | { kind: 'start'; wish: TraceWish }
  /** Nothing, and to say why. */
  | { kind: 'decline'; wish: TraceWish; state: 'EXPIRED' | 'REFUSED'; code: string; reason: string }
  | { kind: 'stop'; id: string; pid: number };

interface Entry {
  request: TraceRequestRecord | undefined;
  status: TraceStatusRecord | undefined;
  /** Id that was decided upon in this run. */
  decided: string | undefined;
  /** Requests that newer ones followed before anybody answered, by id. */
  overtaken: Map<string, TraceRequestRecord>;
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
      const entry = entries.get(record.pid) ?? newEntry();
      if (record.type === 'trace-request') ask(entry, record);
      else answer(entry, record);
      entries.set(record.pid, entry);
      changed.add(record.pid);
    },
    decide(now) {
      const decisions: ControlDecision[] = [];
      for (const pid of changed) {
        const entry = entries.get(pid)!;
        for (const request of entry.overtaken.values()) decisions.push(overtakenBy(entry, request));
        entry.overtaken.clear();
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

function newEntry(): Entry {
  return { request: undefined, status: undefined, decided: undefined, overtaken: new Map() };
}

/** Of several requests the newest counts; whoever made the others is to hear of it. */
function ask(entry: Entry, request: TraceRequestRecord): void {
  const before = entry.request;
  const isOpen = before && before.id !== request.id && before.id !== entry.decided && before.id !== entry.status?.id;
  if (isOpen) entry.overtaken.set(before.id, before);
  entry.request = request;
}

function answer(entry: Entry, status: TraceStatusRecord): void {
  entry.overtaken.delete(status.id);
  entry.status = status;
}

function overtakenBy({ request }: Entry, overtaken: TraceRequestRecord): ControlDecision {
  const reason = `A newer request for process ${overtaken.pid} took its place${request?.action === 'STOP' ? ': to stop' : ''}.`;
  return { kind: 'decline', wish: wishOfRequest(overtaken), state: 'REFUSED', code: 'TRACE_OVERTAKEN', reason };
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
  // To stop is right however late: nobody asked otherwise since.
  if (request.action === 'STOP') return { kind: 'stop', id, pid: request.pid };
  const wish = wishOfRequest(request);
  if (now <= request.expiresAt) return { kind: 'start', wish };
  return { kind: 'decline', wish, state: 'EXPIRED', code: 'TRACE_EXPIRED', reason: expiredReason(request) };
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
