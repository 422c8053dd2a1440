import { readFileSync } from 'node:fs';
import type { KeptFile, ReadOutcome } from '@tidemark/procfs';
import type { TrackedProcess } from './tracked-process.js';

/** Without a limit that can be read, what POSIX promises. */
const ASSUMED_LIMIT = 1024;
/** When the host has none left although we are below our share, we take this many less. */
const STEP_BACK = 32;
/** A process must have been idle this many rounds longer than another to lose its descriptor to it. */
const IDLE_ROUNDS = 30;
/** Processes looked at for one descriptor to take back. */
const LOOK_AT = 32;

/** Soft RLIMIT_NOFILE of this process. */
export function openFilesLimit(limits = '/proc/self/limits'): number {
  try {
    const soft = /^Max open files\s+(\d{1,15}|unlimited)/m.exec(readFileSync(limits, 'utf8'))?.[1];
    return soft === 'unlimited' ? 1_048_576 : Number(soft ?? ASSUMED_LIMIT);
  } catch {
    return ASSUMED_LIMIT;
  }
}

/**
 * Keeps no more files open than its limit. When there are more processes than that, those that changed least recently
 * lose their descriptors and are opened anew each time.
 */
export class DescriptorBudget {
  used = 0;
  /** Where the search for a descriptor to take back goes on: a clock hand, so that no round scans all. */
  private hand = 0;

  constructor(
    public limit: number,
    private readonly processes: readonly TrackedProcess[],
  ) {}

  /** Reads and counts; tries again after making room when the host has no descriptor left. */
  read(file: KeptFile): ReadOutcome {
    const outcome = this.count(file);
    if (outcome !== 'failed' || (file.errorCode !== 'EMFILE' && file.errorCode !== 'ENFILE')) return outcome;
    this.limit = Math.max(1, Math.min(this.limit, this.used) - STEP_BACK);
    for (const process of this.processes) {
      if (this.used <= this.limit) break;
      this.release(process.status);
      this.release(process.stat);
    }
    return this.count(file);
  }

  /** After a read: keeps the process's stat open if there is room or a process that has been idle longer makes some. */
  keepStat(process: TrackedProcess, changed: boolean): void {
    if (this.used <= this.limit || !process.stat.isOpen) return;
    if (changed) this.takeBack(process);
    if (this.used > this.limit) this.release(process.stat);
  }

  /** After a read: keeps the process's status open if it is read often and there is room. */
  keepStatus(process: TrackedProcess, often: boolean): void {
    if (!often || this.used > this.limit) this.release(process.status);
  }

  release(file: KeptFile): void {
    if (!file.isOpen) return;
    file.release();
    this.used--;
  }

  /** Closes `status` of processes that have been idle for long; a share of them each round. */
  tidy(round: number): void {
    const share = Math.ceil(this.processes.length / IDLE_ROUNDS);
    for (let step = 0; step < share; step++) {
      const process = this.next();
      if (process && round - process.activeRound > IDLE_ROUNDS) this.release(process.status);
    }
  }

  private count(file: KeptFile): ReadOutcome {
    const before = file.isOpen;
    const outcome = file.read();
    if (file.isOpen !== before) this.used += before ? -1 : 1;
    return outcome;
  }

  private takeBack(wanting: TrackedProcess): void {
    for (let step = 0; step < LOOK_AT && this.used > this.limit; step++) {
      const process = this.next();
      if (!process || process === wanting) continue;
      this.release(process.status);
      if (this.used > this.limit && wanting.activeRound - process.activeRound > IDLE_ROUNDS) this.release(process.stat);
    }
  }

  private next(): TrackedProcess | undefined {
    this.hand = (this.hand + 1) % Math.max(1, this.processes.length);
    return this.processes[this.hand];
  }
}
