import type { Finding, NodeId, ProcessKey } from '@tidemark/contracts';
import type { LiveFinding, LiveTrace, LiveView, TraceChange } from '@tidemark/live';
import { createConflatingQueue, type ConflatingQueue } from './conflating-queue.js';

/** Finding ids that may wait for one subscriber. */
const WAITING_FINDINGS = 1_000;

/** Hands what changed to whoever subscribed, each at its own pace. */
export interface FanOut {
  /** Every finding record that `wanted` lets through; `initial` comes first. */
  findings(
    wanted: (event: FindingEvent) => boolean,
    initial: readonly LiveFinding[],
  ): AsyncIterableIterator<LiveFinding>;
  /** The node's id at once, and again whenever something was heard of it. */
  node(id: NodeId): AsyncIterableIterator<NodeId>;
  /** The process's key at once, whenever it changed, and when it ended, which is the last. */
  process(node: NodeId, pid: number, key: ProcessKey): AsyncIterableIterator<ProcessKey>;

  /** The trace's name at once, whenever something was heard of it, and when its process ended, which is the last. */
  trace(trace: Pick<LiveTrace, 'name' | 'state'>): AsyncIterableIterator<string>;

  publishFinding(event: FindingEvent): void;
  publishNode(id: NodeId): void;
  publishTrace(change: Pick<TraceChange, 'name' | 'over'>): void;
  /** Ends every subscription after what waits. */
  close(): void;
  counters(): FanOutCounters;
}

/** A finding record and what was known of its id before. */
export interface FindingEvent {
  finding: LiveFinding;
  before: Finding | undefined;
}

export interface FanOutCounters {
  subscribers: number;
  conflated: number;
  dropped: number;
}

interface ProcessWatch {
  queue: ConflatingQueue<ProcessKey>;
  pid: number;
  key: ProcessKey;
  touched: number | undefined;
}

export function createFanOut(live: LiveView): FanOut {
  const findingWatches = new Map<ConflatingQueue<LiveFinding>, (event: FindingEvent) => boolean>();
  const nodeWatches = new Map<NodeId, Set<ConflatingQueue<NodeId>>>();
  const processWatches = new Map<NodeId, Set<ProcessWatch>>();
  const open = new Set<ConflatingQueue<unknown>>();
  const counts = { conflated: 0, dropped: 0 };
  const counters = { conflated: () => void counts.conflated++, dropped: () => void counts.dropped++ };

  function openQueue<Value>(limit: number, onEnd: (queue: ConflatingQueue<Value>) => void): ConflatingQueue<Value> {
    const queue: ConflatingQueue<Value> = createConflatingQueue<Value>({
      limit,
      counters,
      onEnd: () => {
        open.delete(queue as ConflatingQueue<unknown>);
        onEnd(queue);
      },
    });
    open.add(queue as ConflatingQueue<unknown>);
    return queue;
  }

  return {
    findings(wanted, initial) {
      const queue = openQueue<LiveFinding>(WAITING_FINDINGS, (ended) => findingWatches.delete(ended));
      findingWatches.set(queue, wanted);
      for (const finding of initial.slice(-WAITING_FINDINGS)) queue.push(finding.finding.id, finding);
      return queue;
    },
    node(id) {
      const queue = openQueue<NodeId>(1, (ended) => removeFrom(nodeWatches, id, ended));
      addTo(nodeWatches, id, queue);
      queue.push(id, id);
      return queue;
    },
    process(node, pid, key) {
      const queue = openQueue<ProcessKey>(1, () => removeFrom(processWatches, node, watch));
      const watch: ProcessWatch = { queue, pid, key, touched: live.touched(node, pid) };
      addTo(processWatches, node, watch);
      queue.push(key, key);
      return queue;
    },
    ...watchTraces(openQueue),
    publishFinding(event) {
      for (const [queue, wanted] of findingWatches) {
        if (wanted(event)) queue.push(event.finding.finding.id, event.finding);
      }
      // The process may not have changed, its leak status has.
      const { node, process } = event.finding.finding;
      for (const watch of processWatches.get(node) ?? []) {
        if (watch.key === process?.key) watch.queue.push(watch.key, watch.key);
      }
    },
    publishNode(id) {
      for (const queue of nodeWatches.get(id) ?? []) queue.push(id, id);
      for (const watch of processWatches.get(id) ?? []) checkProcess(live, id, watch);
    },
    close() {
      for (const queue of open) queue.finish();
    },
    counters: () => ({ subscribers: open.size, ...counts }),
  };
}

type OpenQueue = (limit: number, onEnd: (queue: ConflatingQueue<string>) => void) => ConflatingQueue<string>;

function watchTraces(openQueue: OpenQueue): Pick<FanOut, 'trace' | 'publishTrace'> {
  const watches = new Map<string, Set<ConflatingQueue<string>>>();
  return {
    trace({ name, state }) {
      const queue = openQueue(1, (ended) => removeFrom(watches, name, ended));
      addTo(watches, name, queue);
      queue.push(name, name);
      if (state === 'ENDED') queue.finish();
      return queue;
    },
    publishTrace({ name, over }) {
      for (const queue of [...(watches.get(name) ?? [])]) {
        queue.push(name, name);
        if (over) queue.finish();
      }
    },
  };
}

function checkProcess(live: LiveView, node: NodeId, watch: ProcessWatch): void {
  const touched = live.touched(node, watch.pid);
  if (touched !== undefined && touched === watch.touched) return;
  watch.touched = touched;
  const process = live.process(node, watch.pid);
  watch.queue.push(watch.key, watch.key);
  // Another process may have the pid by now.
  if (process?.key !== watch.key) watch.queue.finish();
}

function addTo<Key, Item>(map: Map<Key, Set<Item>>, key: Key, item: Item): void {
  const items = map.get(key) ?? new Set<Item>();
  items.add(item);
  map.set(key, items);
}

function removeFrom<Key, Item>(map: Map<Key, Set<Item>>, key: Key, item: Item): void {
  const items = map.get(key);
  items?.delete(item);
  if (items?.size === 0) map.delete(key);
}
