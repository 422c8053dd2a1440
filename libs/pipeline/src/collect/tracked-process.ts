import { createRows, type KeptFile, type ProcessRow } from '@tidemark/procfs';
import type { ProcessFacts, ProcessState } from './process-state.js';

export interface TrackedProcessOptions {
  pid: number;
  start: number;
  facts: ProcessFacts;
  stat: KeptFile;
  status: KeptFile;
  /** Monotonic milliseconds. */
  now: number;
}

/**
 * A living process and what reading it needs to remember.
 *
 * A class, and numbers that may have a fraction begin as NaN, so that all of them keep one shape in the engine: with
 * several shapes each look at a field costs more than the whole comparison of a stat block.
 */
export class TrackedProcess implements ProcessState {
  readonly pid: number;
  readonly start: number;
  readonly stat: KeptFile;
  readonly status: KeptFile;
  readonly row: ProcessRow = createRows();
  readonly seen = new SeenMemory();
  readonly smaps: SmapsState;
  facts: ProcessFacts;
  state = 0;
  changed = 0;
  factsChanged = true;
  told = false;
  pending = false;
  /** It has exited: whoever still holds it must not use it. */
  gone = false;
  kernelThread = false;
  /** A hash of the command name, and the start of the program's code: an exec changes one of them. */
  nameHash = 0;
  startCode = Number.NaN;
  /** Number of the round in which stat last changed, `status` was last read, the process was last listed. */
  activeRound = 0;
  statusRound = 0;
  listedRound = 0;
  /** Monotonic milliseconds of the last reading of the facts. */
  factsAt = Number.NaN;

  constructor({ pid, start, facts, stat, status, now }: TrackedProcessOptions) {
    this.pid = pid;
    this.start = start;
    this.facts = facts;
    this.stat = stat;
    this.status = status;
    this.factsAt = now;
    this.smaps = new SmapsState(now);
  }
}

/** What stat said of a process's memory when `status` was last read; while it says so, `status` would say the same. */
class SeenMemory {
  minflt = Number.NaN;
  majflt = Number.NaN;
  vms = Number.NaN;
  rss = Number.NaN;
}

class SmapsState {
  /** Monotonic milliseconds of the last reading; when the process was first seen while there is none. */
  readAt = Number.NaN;
  everRead = false;
  /** Something of its memory changed since. */
  stale = true;
  /** rss + swap at the last reading, bytes. */
  bytes = Number.NaN;
  /** What a page of it costs, nanoseconds; NaN before the first telling reading. */
  nsPerPage = Number.NaN;
  /** Readings in a row that passed the limit. */
  overruns = 0;
  /** Monotonic milliseconds before which it is left alone. */
  notBefore = Number.NaN;

  constructor(now: number) {
    this.readAt = now;
    this.bytes = 0;
    this.notBefore = 0;
  }
}
