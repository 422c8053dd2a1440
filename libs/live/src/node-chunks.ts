import type { CpuTimes, NodeId, SampleChunk, SystemSample } from '@tidemark/contracts';
import { advance, completesKeyframe, orderOf } from './chunk-order.js';
import { applyExits, applyFacts, applyProcesses, endProcess, forgetSlot, type Ground } from './chunk-rows.js';
import type { NodeEntry } from './live-node.js';
import { createProcessTable, Life, NUMBER_INDEX, numberAt, type ProcessTable } from './process-table.js';
import { snapshotRecent } from './recent-growth.js';

/** What one chunk did. */
export interface LiveChange {
  node: NodeId;
  /** Not applied: already seen, of a collector run that is over, or of a node beyond the view's bound. */
  outcome: 'applied' | 'duplicate' | 'superseded' | 'refused';
  /** Chunks known to be missing before this one. */
  missed: number;
  /** Process rows in the chunk. */
  rows: number;
  /** Processes that ended with it. */
  ended: number;
}

export function applyToNode(ground: Ground, node: NodeEntry, chunk: SampleChunk, now: number): LiveChange {
  const order = orderOf(node, chunk);
  const change: LiveChange = { node: node.id, outcome: 'applied', missed: 0, rows: 0, ended: 0 };
  if (order === 'duplicate' || order === 'superseded') return { ...change, outcome: order };
  if (order === 'new-boot') change.ended = dropProcesses(ground, node);
  change.missed = advance(node, chunk, order);
  change.rows = chunk.procs.pid.length;
  if (node.sampledAt === null || chunk.at !== node.sampledAt) node.sampledAt = chunk.at;
  applyFacts(ground, node, chunk, now);
  applyProcesses(ground, node, chunk, now);
  const complete = completesKeyframe(node, chunk);
  change.ended += applyExits(ground, node, chunk, now);
  if (complete) {
    change.ended += endUntouched(ground, node, node.keyframe?.from ?? 0, chunk.at, now);
    node.keyframe = null;
    node.stale = false;
  }
  applySystem(node, chunk.system);
  snapshotRecent(node.table.recent, chunk.at, node.table.end, (slot) => signalAt(node.table, slot));
  return change;
}

/** rssAnon + swap of a living process, bytes; NaN when rssAnon is unknown. A kernel without swap accounting counts 0. */
export function signalAt(table: ProcessTable, slot: number): number {
  if (table.life[slot] !== Life.Living) return NaN;
  const swap = numberAt(table, NUMBER_INDEX.swap, slot);
  return numberAt(table, NUMBER_INDEX.rssAnon, slot) + (Number.isNaN(swap) ? 0 : swap);
}

/** A keyframe names every living process: the others ended some time before it. */
function endUntouched(ground: Ground, node: NodeEntry, since: number, at: number, now: number): number {
  let ended = 0;
  for (const slot of [...node.slots.values()]) {
    if ((node.table.touched[slot] ?? 0) >= since) continue;
    endProcess(ground, node, slot, at, now);
    ended++;
  }
  return ended;
}

/** Forgets every process of the node; tells how many were alive. */
export function dropProcesses(ground: Ground, node: NodeEntry): number {
  const alive = node.slots.size;
  for (let slot = 0; slot < node.table.end; slot++) {
    if (node.table.life[slot] !== Life.Free) forgetSlot(ground, node, slot);
  }
  node.table = createProcessTable();
  node.slots = new Map();
  node.exited = [];
  node.roundAt = NaN;
  node.previousRoundAt = NaN;
  return alive;
}

/** Forgets the processes that ended at or before server time `before`. */
export function forgetExited(ground: Ground, node: NodeEntry, before: number): void {
  const kept = node.exited.findIndex((exited) => exited.noticedAt > before);
  const gone = node.exited.splice(0, kept === -1 ? node.exited.length : kept);
  for (const { slot } of gone) forgetSlot(ground, node, slot);
}

function applySystem(node: NodeEntry, system: SystemSample): void {
  if (system.cpus && node.system.cpus) node.busyPercent = busyPercent(node.system.cpus, system.cpus);
  node.system = { ...node.system, ...system };
}

function busyPercent(before: readonly CpuTimes[], after: readonly CpuTimes[]): ReadonlyMap<string, number> {
  const old = new Map(before.map((cpu) => [cpu.name, cpu]));
  const percents = new Map<string, number>();
  for (const cpu of after) {
    const then = old.get(cpu.name);
    if (!then) continue;
    const total = sumOf(cpu) - sumOf(then);
    const idle = idleOf(cpu) - idleOf(then);
    if (total > 0 && idle >= 0) percents.set(cpu.name, Math.max(0, 100 * (1 - idle / total)));
  }
  return percents;
}

function idleOf(cpu: CpuTimes): number {
  return cpu.idle + (cpu.iowait ?? 0);
}

/** `user` and `nice` already hold the guests' time. */
function sumOf(cpu: CpuTimes): number {
  return cpu.user + cpu.nice + cpu.system + idleOf(cpu) + (cpu.irq ?? 0) + (cpu.softirq ?? 0) + (cpu.steal ?? 0);
}
