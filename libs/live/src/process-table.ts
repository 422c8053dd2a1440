import { PROCESS_NUMBERS, processKey, type ProcessKey, type ProcessNumber } from '@tidemark/contracts';
import type { NodeEntry } from './live-node.js';
import { createRecentRing, growRecentRing, type RecentRing } from './recent-growth.js';

export const Life = { Free: 0, Living: 1, Exited: 2 } as const;

/** Where each figure stands in `ProcessTable.numbers`. */
export const NUMBER_INDEX = Object.fromEntries(PROCESS_NUMBERS.map((name, index) => [name, index])) as Record<
  ProcessNumber,
  number
>;

/**
 * The processes of one node, one typed array per column, so that a fleet's worth fits in memory and a scan stays in
 * the cache. A slot is one process; freed slots are used again. Unknown is NaN (numbers), 0 (state letter, text ids).
 */
export interface ProcessTable {
  capacity: number;
  /** Every slot in use is below this. */
  end: number;
  free: number[];
  life: Uint8Array;
  pid: Uint32Array;
  start: Float64Array;
  /** In the order of PROCESS_NUMBERS. */
  numbers: Float64Array[];
  state: Uint8Array;
  startedAt: Float64Array;
  uid: Float64Array;
  gid: Float64Array;
  /** Text ids. */
  program: Uint32Array;
  user: Uint32Array;
  service: Uint32Array;
  cgroup: Uint32Array;
  commandLine: (string | null)[];
  /** Data time of the newest change of a figure. */
  updatedAt: Float64Array;
  /** Milliseconds of CPU per millisecond between the newest two rounds of this process. */
  cpuRate: Float32Array;
  /** Count of the node's chunk that named the slot last. */
  touched: Uint32Array;
  recent: RecentRing;
}

const FIRST_CAPACITY = 64;
const GROWTH = 1.25;

export function createProcessTable(): ProcessTable {
  return {
    capacity: 0,
    end: 0,
    free: [],
    life: new Uint8Array(0),
    pid: new Uint32Array(0),
    start: new Float64Array(0),
    numbers: PROCESS_NUMBERS.map(() => new Float64Array(0)),
    state: new Uint8Array(0),
    startedAt: new Float64Array(0),
    uid: new Float64Array(0),
    gid: new Float64Array(0),
    program: new Uint32Array(0),
    user: new Uint32Array(0),
    service: new Uint32Array(0),
    cgroup: new Uint32Array(0),
    commandLine: [],
    updatedAt: new Float64Array(0),
    cpuRate: new Float32Array(0),
    touched: new Uint32Array(0),
    recent: createRecentRing(),
  };
}

/** A slot with nothing known but the identity. */
export function takeSlot(table: ProcessTable, pid: number, start: number): number {
  const slot = table.free.pop() ?? table.end++;
  if (slot >= table.capacity) growTable(table, Math.max(FIRST_CAPACITY, Math.ceil(table.capacity * GROWTH)));
  table.life[slot] = Life.Living;
  table.pid[slot] = pid;
  table.start[slot] = start;
  for (const column of table.numbers) column[slot] = NaN;
  table.state[slot] = 0;
  table.startedAt[slot] = NaN;
  table.uid[slot] = NaN;
  table.gid[slot] = NaN;
  table.commandLine[slot] = null;
  table.updatedAt[slot] = NaN;
  table.cpuRate[slot] = NaN;
  for (const row of table.recent.rows) row[slot] = NaN;
  return slot;
}

/** The caller has released the slot's texts. */
export function freeSlot(table: ProcessTable, slot: number): void {
  table.life[slot] = Life.Free;
  table.commandLine[slot] = null;
  table.program[slot] = 0;
  table.user[slot] = 0;
  table.service[slot] = 0;
  table.cgroup[slot] = 0;
  table.free.push(slot);
}

/** Cell of one figure; NaN is unknown. */
export function numberAt(table: ProcessTable, index: number, slot: number): number {
  return table.numbers[index]?.[slot] ?? NaN;
}

export function keyAt(node: NodeEntry, slot: number): ProcessKey {
  return processKey(node.id, node.boot ?? '', node.table.pid[slot] ?? 0, node.table.start[slot] ?? 0);
}

type Column = Uint8Array | Uint32Array | Float32Array | Float64Array;

/** Room for a known number of processes and a few more, so that a first keyframe does not leave a fifth unused. */
export function reserveSlots(table: ProcessTable, processes: number): void {
  if (processes > table.capacity) growTable(table, Math.ceil(processes * 1.1));
}

function growTable(table: ProcessTable, capacity: number): void {
  const wider = <T extends Column>(column: T): T => {
    const copy = new (column.constructor as new (length: number) => T)(capacity);
    copy.set(column);
    return copy;
  };
  table.life = wider(table.life);
  table.pid = wider(table.pid);
  table.start = wider(table.start);
  table.numbers = table.numbers.map(wider);
  table.state = wider(table.state);
  table.startedAt = wider(table.startedAt);
  table.uid = wider(table.uid);
  table.gid = wider(table.gid);
  table.program = wider(table.program);
  table.user = wider(table.user);
  table.service = wider(table.service);
  table.cgroup = wider(table.cgroup);
  table.updatedAt = wider(table.updatedAt);
  table.cpuRate = wider(table.cpuRate);
  table.touched = wider(table.touched);
  growRecentRing(table.recent, wider);
  table.capacity = capacity;
}
