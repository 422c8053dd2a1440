import { PROCESS_NUMBERS, type SampleChunk } from '@tidemark/contracts';
import type { Interner } from './interner.js';
import type { NodeEntry } from './live-node.js';
import { freeSlot, Life, NUMBER_INDEX, numberAt, reserveSlots, takeSlot, type ProcessTable } from './process-table.js';

/** What bounds a view whatever the hosts send. */
export interface Bounds {
  /** Processes of all nodes, living and just exited. */
  maxProcesses: number;
  maxExitedPerNode: number;
  /** Characters of the command lines, and of the other texts, of all nodes. */
  maxCommandLineChars: number;
  maxTextChars: number;
}

/** What all nodes of a view have in common. */
export interface Ground {
  readonly texts: Interner;
  readonly bounds: Bounds;
  /** Slots in use, and characters of command lines held, of all nodes. */
  slots: number;
  commandLineChars: number;
}

/** A longer command line is cut: nobody reads it, and it would be held once per process. */
const COMMAND_LINE_CHARS = 4096;

/** No Linux has more (PID_MAX_LIMIT is 2^22), and no reader of ours must be able to hold more. */
const MAX_PID = 0x7fff_ffff;

/**
 * The slot of a living process, made when there is none; −1 when the view is full or no kernel gives such a pid.
 * Another start is another process.
 */
export function slotFor(ground: Ground, node: NodeEntry, pid: number, start: number, at: number, now: number): number {
  const known = node.slots.get(pid);
  if (known !== undefined) {
    if (node.table.start[known] === start) return known;
    endProcess(ground, node, known, at, now);
  }
  if (ground.slots >= ground.bounds.maxProcesses || pid > MAX_PID) {
    node.refusedRows++;
    return -1;
  }
  const slot = takeSlot(node.table, pid, start);
  node.slots.set(pid, slot);
  ground.slots++;
  return slot;
}

/** The process is gone at data time `at`; its last figures stay for a while. */
export function endProcess(ground: Ground, node: NodeEntry, slot: number, at: number, now: number): void {
  node.slots.delete(node.table.pid[slot] ?? -1);
  node.table.life[slot] = Life.Exited;
  node.table.touched[slot] = node.applied;
  node.exited.push({ slot, exitedAt: at, noticedAt: now });
  if (node.exited.length > ground.bounds.maxExitedPerNode) {
    const oldest = node.exited.shift();
    if (oldest) forgetSlot(ground, node, oldest.slot);
  }
}

export function forgetSlot(ground: Ground, node: NodeEntry, slot: number): void {
  const { table } = node;
  ground.texts.release(table.program[slot] ?? 0);
  ground.texts.release(table.user[slot] ?? 0);
  ground.texts.release(table.service[slot] ?? 0);
  ground.texts.release(table.cgroup[slot] ?? 0);
  ground.commandLineChars -= table.commandLine[slot]?.length ?? 0;
  ground.slots--;
  freeSlot(table, slot);
}

/** Slots of the rows, in order; −1 where the view is full. */
function slotsOf(
  ground: Ground,
  node: NodeEntry,
  rows: { pid: number[]; start: number[] },
  at: number,
  now: number,
): Int32Array {
  const slots = new Int32Array(rows.pid.length);
  reserveSlots(node.table, Math.min(slots.length, ground.bounds.maxProcesses));
  for (let row = 0; row < slots.length; row++) {
    const slot = slotFor(ground, node, rows.pid[row] ?? 0, rows.start[row] ?? 0, at, now);
    slots[row] = slot;
    if (slot >= 0) node.table.touched[slot] = node.applied;
  }
  return slots;
}

/**
 * Puts the rows of a chunk into the table. A null cell keeps the last value, except in a keyframe, where it is unknown.
 */
export function applyProcesses(ground: Ground, node: NodeEntry, chunk: SampleChunk, now: number): void {
  const { procs, keyframe } = chunk;
  const rows = procs.pid.length;
  if (rows === 0) return;
  if (chunk.at !== node.roundAt) {
    node.previousRoundAt = node.roundAt;
    node.roundAt = chunk.at;
  }
  const slots = slotsOf(ground, node, procs, chunk.at, now);
  const { table } = node;
  const cpuBefore = Float64Array.from(slots, (slot) => cpuTime(table, slot));
  const changed = new Uint8Array(rows);
  PROCESS_NUMBERS.forEach((name, index) => {
    const cells = procs[name];
    const column = table.numbers[index];
    if (!column || (!cells && !keyframe)) return;
    for (let row = 0; row < rows; row++) {
      const slot = slots[row] ?? -1;
      const cell = cells?.[row] ?? null;
      if (slot < 0 || (cell === null && !keyframe)) continue;
      const value = cell ?? NaN;
      if (Object.is(column[slot], value)) continue;
      column[slot] = value;
      changed[row] = 1;
    }
  });
  applyStates(table, procs.state, slots, keyframe, changed);
  noteChanges(node, chunk.at, slots, changed, cpuBefore);
}

function applyStates(
  table: ProcessTable,
  cells: (string | null)[] | undefined,
  slots: Int32Array,
  keyframe: boolean,
  changed: Uint8Array,
): void {
  if (!cells && !keyframe) return;
  for (let row = 0; row < slots.length; row++) {
    const slot = slots[row] ?? -1;
    const cell = cells?.[row] ?? null;
    if (slot < 0 || (cell === null && !keyframe)) continue;
    const letter = cell === null ? 0 : cell.charCodeAt(0) & 0x7f;
    if (table.state[slot] === letter) continue;
    table.state[slot] = letter;
    changed[row] = 1;
  }
}

function noteChanges(
  node: NodeEntry,
  at: number,
  slots: Int32Array,
  changed: Uint8Array,
  cpuBefore: Float64Array,
): void {
  const { table } = node;
  const interval = at - node.previousRoundAt;
  for (let row = 0; row < slots.length; row++) {
    const slot = slots[row] ?? -1;
    if (slot < 0) continue;
    if (changed[row]) table.updatedAt[slot] = at;
    const used = cpuTime(table, slot) - (cpuBefore[row] ?? NaN);
    table.cpuRate[slot] = interval > 0 && used >= 0 ? used / interval : NaN;
  }
}

/** utime + stime, milliseconds. */
function cpuTime(table: ProcessTable, slot: number): number {
  if (slot < 0) return NaN;
  return numberAt(table, NUMBER_INDEX.utime, slot) + numberAt(table, NUMBER_INDEX.stime, slot);
}

export function applyFacts(ground: Ground, node: NodeEntry, chunk: SampleChunk, now: number): void {
  const { facts } = chunk;
  if (facts.pid.length === 0) return;
  const slots = slotsOf(ground, node, facts, chunk.at, now);
  const { table } = node;
  for (let row = 0; row < slots.length; row++) {
    const slot = slots[row] ?? -1;
    if (slot < 0) continue;
    table.startedAt[slot] = facts.startedAt[row] ?? NaN;
    table.uid[slot] = facts.uid[row] ?? NaN;
    table.gid[slot] = facts.gid[row] ?? NaN;
    setText(ground, table.program, slot, facts.program[row] ?? null);
    setText(ground, table.user, slot, facts.user[row] ?? null);
    setText(ground, table.service, slot, facts.service[row] ?? null);
    setText(ground, table.cgroup, slot, facts.cgroup[row] ?? null);
    setCommandLine(ground, table, slot, facts.commandLine[row] ?? null);
  }
}

function setText(ground: Ground, column: Uint32Array, slot: number, text: string | null): void {
  const before = column[slot] ?? 0;
  // Acquired before the other is released: the same text must not be forgotten in between.
  column[slot] = ground.texts.acquire(text);
  ground.texts.release(before);
}

function setCommandLine(ground: Ground, table: ProcessTable, slot: number, text: string | null): void {
  const before = table.commandLine[slot] ?? null;
  if (before === text) return;
  const room = ground.bounds.maxCommandLineChars - ground.commandLineChars + (before?.length ?? 0);
  let kept = text;
  // A slice would hold the whole text in memory; a round trip through bytes does not.
  if (kept && kept.length > COMMAND_LINE_CHARS) kept = Buffer.from(kept.slice(0, COMMAND_LINE_CHARS)).toString();
  if (kept && kept.length > room) kept = null;
  ground.commandLineChars += (kept?.length ?? 0) - (before?.length ?? 0);
  table.commandLine[slot] = kept;
}

export function applyExits(ground: Ground, node: NodeEntry, chunk: SampleChunk, now: number): number {
  let ended = 0;
  chunk.exits.pid.forEach((pid, row) => {
    const slot = node.slots.get(pid);
    if (slot === undefined || node.table.start[slot] !== chunk.exits.start[row]) return;
    endProcess(ground, node, slot, chunk.at, now);
    ended++;
  });
  return ended;
}
