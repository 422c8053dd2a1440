import type { LeakState, ProcessKey } from '@tidemark/contracts';
import type { FindingBook } from './finding-book.js';
import type { NodeEntry } from './live-node.js';
import { signalAt } from './node-chunks.js';
import { keyAt } from './process-table.js';
import { recentGrowth, type Growth } from './recent-growth.js';

/** What the leak detector says of one process now. */
export interface LeakStatus {
  state: LeakState;
  /** Data time of entering the state. */
  since: number | null;
  /** 0 to 1. */
  confidence: number | null;
  imminent: boolean;
  growth: Growth | null;
  secondsToExhaustion: number | null;
}

export type ProcessGrowth = Growth & { secondsToExhaustion: number | null; source: 'detector' | 'recent' };

/** Asks a detector of the same process first, then the findings of the log. */
export interface LeakLookup {
  status(node: NodeEntry, slot: number): LeakStatus | undefined;
  growth(node: NodeEntry, slot: number): ProcessGrowth | null;
}

export function createLeakLookup(
  book: FindingBook,
  leakOf: ((key: ProcessKey) => LeakStatus | undefined) | undefined,
): LeakLookup {
  const status = (node: NodeEntry, slot: number): LeakStatus | undefined => {
    if (!leakOf && book.size === 0) return undefined;
    const key = keyAt(node, slot);
    return leakOf?.(key) ?? statusOfFinding(book, key);
  };
  return {
    status,
    growth(node, slot) {
      const known = status(node, slot);
      if (known?.growth) {
        return { ...known.growth, secondsToExhaustion: known.secondsToExhaustion, source: 'detector' };
      }
      const recent = recentGrowth(node.table.recent, slot, node.sampledAt ?? NaN, signalAt(node.table, slot));
      return recent && { ...recent, secondsToExhaustion: null, source: 'recent' };
    },
  };
}

const GROWING: ReadonlySet<LeakState> = new Set(['GROWING', 'SUSPECTED', 'CONFIRMED']);

function statusOfFinding(book: FindingBook, key: ProcessKey): LeakStatus | undefined {
  const finding = book.ofProcess(key)?.finding;
  if (!finding) return undefined;
  const { state, at, confidence, imminent } = finding;
  // What it grew by until it stopped is not how it grows now.
  const grows = imminent || GROWING.has(state);
  const { growth, secondsToExhaustion } = grows ? finding : { growth: null, secondsToExhaustion: null };
  return { state, since: at, confidence, imminent, growth, secondsToExhaustion };
}
