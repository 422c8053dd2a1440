import { PROCESS_NUMBERS, type NodeId, type ProcessKey, type ProcessNumber } from '@tidemark/contracts';
import type { Interner } from './interner.js';
import type { LeakLookup, LeakStatus, ProcessGrowth } from './leak-status.js';
import type { NodeEntry } from './live-node.js';
import { keyAt, Life, numberAt } from './process-table.js';

/** The present state of one process; null is unknown. Bytes, milliseconds, epoch milliseconds. */
export interface LiveProcess {
  key: ProcessKey;
  node: NodeId;
  boot: string;
  pid: number;
  start: number;
  /** Null until its facts have come. */
  program: string | null;
  commandLine: string | null;
  user: string | null;
  uid: number | null;
  gid: number | null;
  service: string | null;
  cgroup: string | null;
  startedAt: number | null;
  /** Data time; null while it lives. */
  exitedAt: number | null;
  /** Data time of the newest change of a figure. */
  updatedAt: number | null;
  /** Samples of the node are missing, or it is silent: the values may be behind. */
  stale: boolean;
  state: string | null;
  numbers: Readonly<Record<ProcessNumber, number | null>>;
  /** Percent of one CPU between the newest two samples. */
  cpuPercent: number | null;
  leak: LeakStatus | undefined;
  growth: ProcessGrowth | null;
}

const known = (value: number | undefined): number | null => (value === undefined || Number.isNaN(value) ? null : value);

/** A process that the newest round did not name did not run in it. */
export function cpuPercentAt({ table, roundAt }: NodeEntry, slot: number): number {
  if (table.life[slot] === Life.Exited) return NaN;
  if (Number.isNaN(table.cpuRate[slot])) return NaN;
  return table.updatedAt[slot] === roundAt ? 100 * (table.cpuRate[slot] ?? NaN) : 0;
}

export function viewProcess(node: NodeEntry, slot: number, texts: Interner, leaks: LeakLookup): LiveProcess {
  const { table } = node;
  const numbers = {} as Record<ProcessNumber, number | null>;
  PROCESS_NUMBERS.forEach((name, index) => {
    numbers[name] = known(numberAt(table, index, slot));
  });
  const exited = table.life[slot] === Life.Exited ? node.exited.find((one) => one.slot === slot) : undefined;
  const letter = table.state[slot] ?? 0;
  return {
    key: keyAt(node, slot),
    node: node.id,
    boot: node.boot ?? '',
    pid: table.pid[slot] ?? 0,
    start: table.start[slot] ?? 0,
    program: texts.text(table.program[slot] ?? 0),
    commandLine: table.commandLine[slot] ?? null,
    user: texts.text(table.user[slot] ?? 0),
    uid: known(table.uid[slot]),
    gid: known(table.gid[slot]),
    service: texts.text(table.service[slot] ?? 0),
    cgroup: texts.text(table.cgroup[slot] ?? 0),
    startedAt: known(table.startedAt[slot]),
    exitedAt: exited?.exitedAt ?? null,
    updatedAt: known(table.updatedAt[slot]),
    stale: node.stale || node.state !== 'ACTIVE',
    state: letter === 0 ? null : String.fromCharCode(letter),
    numbers,
    cpuPercent: known(cpuPercentAt(node, slot)),
    leak: leaks.status(node, slot),
    growth: leaks.growth(node, slot),
  };
}
