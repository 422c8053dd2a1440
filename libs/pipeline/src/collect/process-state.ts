import { PROCESS_NUMBERS } from '@tidemark/contracts';
import type { ProcessRow } from '@tidemark/procfs';

/** What changes seldom; see FactColumns of the contract. */
export interface ProcessFacts {
  startedAt: number;
  program: string;
  commandLine: string | null;
  uid: number | null;
  gid: number | null;
  user: string | null;
  cgroup: string | null;
  service: string;
}

/** What is known of one living process, and what of it the log has not been told yet. */
export interface ProcessState {
  readonly pid: number;
  readonly start: number;
  /** Character code of field 3 of stat. */
  state: number;
  /** Last known figures; NaN is unknown. */
  readonly row: ProcessRow;
  /** One bit per figure, in the order of PROCESS_NUMBERS, and STATE_CHANGED. */
  changed: number;
  facts: ProcessFacts;
  factsChanged: boolean;
  /** The log knows of it. */
  told: boolean;
  /** It is among those that the next chunk tells of. */
  pending: boolean;
}

export const STATE_CHANGED = 1 << PROCESS_NUMBERS.length;

/**
 * Takes the known ones of `figures` over and marks those that differ; an unknown figure leaves what was known.
 * True when anything differs. Allocates nothing.
 */
export function mergeFigures(process: ProcessState, figures: ProcessRow): boolean {
  const { row } = process;
  let changed = 0;
  for (let index = 0; index < row.length; index++) {
    const figure = figures[index]!;
    // NaN is equal to nothing, so an unknown figure is told by not being equal to itself.
    if (figure !== row[index] && figure === figure) {
      row[index] = figure;
      changed |= 1 << index;
    }
  }
  process.changed |= changed;
  return changed !== 0;
}

/** True when the state differs. */
export function mergeState(process: ProcessState, state: number): boolean {
  if (process.state === state) return false;
  process.state = state;
  process.changed |= STATE_CHANGED;
  return true;
}

export function sameFacts(a: ProcessFacts, b: ProcessFacts): boolean {
  return (
    a.program === b.program &&
    a.commandLine === b.commandLine &&
    a.uid === b.uid &&
    a.gid === b.gid &&
    a.user === b.user &&
    a.cgroup === b.cgroup &&
    a.service === b.service
  );
}
