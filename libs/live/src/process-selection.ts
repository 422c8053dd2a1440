import type { LeakState, MemoryMetric, NodeId } from '@tidemark/contracts';
import type { Interner } from './interner.js';
import type { LeakLookup } from './leak-status.js';
import type { NodeEntry } from './live-node.js';
import { signalAt } from './node-chunks.js';
import { Life, NUMBER_INDEX, numberAt, type ProcessTable } from './process-table.js';

/** A size in bytes; `leakSignal` is rssAnon + swap. */
export type SizeMetric = MemoryMetric | 'leakSignal';

/** All that is given must hold; what is left out does not restrict. Living processes only. */
export interface ProcessSelection {
  nodes?: readonly NodeId[];
  programs?: readonly string[];
  pids?: readonly number[];
  user?: string;
  service?: string;
  /** Any of these letters. */
  states?: string;
  /** At least so many bytes; a process of which the metric is unknown does not match. */
  min?: { metric: SizeMetric; bytes: number };
  leakStates?: readonly LeakState[];
  /** Part of program, command line, service or user, in either case, or the pid. */
  text?: string;
}

export type Matcher = (node: NodeEntry, slot: number) => boolean;

/** Bytes; NaN is unknown. */
export function sizeAt(table: ProcessTable, slot: number, metric: SizeMetric): number {
  return metric === 'leakSignal' ? signalAt(table, slot) : numberAt(table, NUMBER_INDEX[metric], slot);
}

/** Tests for one scan: text ids are looked up now and may be given to other texts later. */
export function compileSelection(selection: ProcessSelection, texts: Interner, leaks: LeakLookup): Matcher {
  const tests: Matcher[] = [];
  const { programs, pids, user, service, states, min, leakStates, text } = selection;
  if (programs) {
    const ids = new Set(programs.map((name) => texts.find(name)).filter((id) => id !== 0));
    tests.push(({ table }, slot) => ids.has(table.program[slot] ?? 0));
  }
  if (pids) {
    const wanted = new Set(pids);
    tests.push(({ table }, slot) => wanted.has(table.pid[slot] ?? -1));
  }
  if (user !== undefined) tests.push(sameText((table) => table.user, texts.find(user)));
  if (service !== undefined) tests.push(sameText((table) => table.service, texts.find(service)));
  if (states !== undefined) {
    const letters = new Set([...states].map((letter) => letter.charCodeAt(0)));
    tests.push(({ table }, slot) => letters.has(table.state[slot] ?? 0));
  }
  if (min) tests.push(({ table }, slot) => sizeAt(table, slot, min.metric) >= min.bytes);
  if (text !== undefined && text !== '') tests.push(matchText(text, texts));
  if (leakStates) {
    const wanted = new Set<LeakState>(leakStates);
    tests.push((node, slot) => wanted.has(leaks.status(node, slot)?.state ?? 'LEARNING'));
  }
  return (node, slot) => {
    if (node.table.life[slot] !== Life.Living) return false;
    for (const test of tests) if (!test(node, slot)) return false;
    return true;
  };
}

function sameText(column: (table: ProcessTable) => Uint32Array, id: number): Matcher {
  return ({ table }, slot) => id !== 0 && column(table)[slot] === id;
}

function matchText(text: string, texts: Interner): Matcher {
  const pattern = new RegExp(text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'), 'i');
  const verdicts = new Map<number, boolean>();
  const ofId = (id: number): boolean => {
    let verdict = verdicts.get(id);
    if (verdict === undefined) {
      verdict = pattern.test(texts.text(id) ?? '');
      verdicts.set(id, verdict);
    }
    return verdict;
  };
  return ({ table }, slot) =>
    ofId(table.program[slot] ?? 0) ||
    ofId(table.service[slot] ?? 0) ||
    ofId(table.user[slot] ?? 0) ||
    String(table.pid[slot]) === text ||
    pattern.test(table.commandLine[slot] ?? '');
}
