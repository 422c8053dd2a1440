import {
  ByteScanner,
  createRows,
  createStatIdentity,
  fillFromStat,
  fillFromStatm,
  fillFromStatus,
  isKernelThread,
  ROW,
  statName,
  type KeptFile,
  type Procfs,
} from '@tidemark/procfs';
import type { Clock } from './clock.js';
import { DescriptorBudget } from './descriptor-budget.js';
import type { FactsReader } from './facts.js';
import { createProcessListing } from './process-listing.js';
import { mergeFigures, mergeState, sameFacts, type ProcessFacts } from './process-state.js';
import type { Slices } from './slices.js';
import { TrackedProcess } from './tracked-process.js';

export interface SweepOptions {
  procfs: Procfs;
  facts: FactsReader;
  clock: Clock;
  maxOpenFiles: number;
  /** Called with each process whose memory may have changed. */
  onMemory(process: TrackedProcess): void;
}

/**
 * `status` is read at least this often (in rounds in which the process ran) even when stat says that its memory is as
 * before: stat's own rss is not exact since Linux 6.2.
 */
const STATUS_AT_LEAST_EVERY = 10;
/** Kernel threads have no memory of their own: one in so many is read in each round. */
const KERNEL_THREADS_EVERY = 5;
/** A process that could not be read for want of permission is tried again after this many rounds. */
const DENIED_ROUNDS = 60;
/** Facts are read again this long after the first time if the process was young then, and when it ran after the second. */
const SECOND_LOOK_MS = 10_000;
const FACTS_AGE_MS = 600_000;
/** … and not more often than this, however often it changes its name. */
const FACTS_PAUSE_MS = 1_000;
/** Facts that are read again in one round, at most. */
const FACTS_PER_ROUND = 20;

const ZOMBIE = 90;
/** Field 26 of stat, counted in words from the state (field 3) on. */
const WORDS_TO_START_CODE = 23;

/**
 * Reads every process, each round. Of a process that did not run since the last round one file is read, kept open, and
 * nothing is parsed, allocated or opened.
 */
export class Sweep {
  /** By pid, ascending. */
  readonly processes: TrackedProcess[] = [];
  readonly descriptors: DescriptorBudget;
  /** Blocks that were no stat of any kernel known here. */
  malformed = 0;
  private round = 0;
  private readonly byPid = new Map<number, TrackedProcess>();
  private readonly deniedUntil = new Map<number, number>();
  private readonly listing;
  private readonly scratch = createRows();
  private readonly identity = createStatIdentity();
  private readonly scanner = new ByteScanner();
  private readonly factsDue = new Map<TrackedProcess, number>();
  private anyGone = false;
  private pending: TrackedProcess[] = [];
  private exits: TrackedProcess[] = [];
  private reused: number[] = [];

  constructor(private readonly options: SweepOptions) {
    this.descriptors = new DescriptorBudget(options.maxOpenFiles, this.processes);
    this.listing = createProcessListing(options.procfs);
  }

  /** Processes whose directory is there but may not be read. */
  get denied(): number {
    return this.deniedUntil.size;
  }

  /** rss of a process, bytes; undefined when it is not watched or not known. */
  residentBytes(pid: number): number | undefined {
    const rss = this.byPid.get(pid)?.row[ROW.rss];
    return rss === undefined || Number.isNaN(rss) ? undefined : rss;
  }

  /** Those that exited since the last call and that the log knows of. */
  takeExits(): TrackedProcess[] {
    const exits = this.exits.filter((process) => process.told);
    this.exits = [];
    return exits;
  }

  /** The next chunk has something to tell of this process. */
  readonly note = (process: TrackedProcess): void => {
    if (process.pending) return;
    process.pending = true;
    this.pending.push(process);
  };

  /** The living processes that were noted since the last call, by pid. */
  takeNoted(): TrackedProcess[] {
    const noted = this.pending.filter((process) => !process.gone);
    for (const process of this.pending) process.pending = false;
    this.pending = [];
    return noted.sort((a, b) => a.pid - b.pid);
  }

  /** One round over all processes. Throws PROCFS_ROOT when they cannot be listed. */
  async run(slices: Slices): Promise<void> {
    this.round++;
    const { processes } = this;
    for (let at = 0; at < processes.length; at++) {
      this.readKnown(processes[at]!);
      if ((at & 31) === 31 && slices.over()) await slices.rest();
    }
    await this.findNew(slices);
    await this.refreshFacts(slices);
    this.descriptors.tidy(this.round);
  }

  close(): void {
    for (const { stat, status } of this.processes) {
      stat.close();
      status.close();
    }
    this.listing.close();
  }

  private readKnown(process: TrackedProcess): void {
    if (process.kernelThread && (this.round + process.pid) % KERNEL_THREADS_EVERY !== 0) return;
    const { descriptors } = this;
    const outcome = descriptors.read(process.stat);
    if (outcome === 'gone') {
      this.forget(process);
      return;
    }
    if (outcome === 'changed') this.takeStat(process);
    if (!process.gone) descriptors.keepStat(process, outcome === 'changed');
  }

  /** A stat block that differs from the last one is in the buffer. */
  private takeStat(process: TrackedProcess): void {
    const { scratch, identity, options } = this;
    const { bytes } = options.procfs.buffer;
    if (!this.parseStat(process.stat)) return;
    if (identity.start !== process.start) {
      // Its file was not kept open and the pid is another process's by now.
      this.forget(process);
      this.reused.push(process.pid);
      return;
    }
    process.activeRound = this.round;
    process.kernelThread = isKernelThread(identity.flags);
    if (mergeState(process, identity.state)) this.note(process);
    const moved = memoryMoved(process, scratch);
    this.noticeExec(process, bytes, moved);
    // A leader that has exited while its threads run on shows no memory, although the process has it.
    const hidden = identity.state === ZOMBIE && scratch[ROW.threads]! > 1;
    if (hidden) scratch[ROW.vms] = scratch[ROW.rss] = Number.NaN;
    else if (moved || this.round - process.statusRound >= STATUS_AT_LEAST_EVERY) this.readStatus(process);
    else scratch[ROW.rss] = Number.NaN;
    if (mergeFigures(process, scratch)) this.note(process);
  }

  /** The time of day was set: every start is at another time now. */
  shiftStarts(byMs: number): void {
    for (const process of this.processes) {
      this.setFacts(process, { ...process.facts, startedAt: Math.max(0, process.facts.startedAt + byMs) });
    }
  }

  private setFacts(process: TrackedProcess, facts: ProcessFacts): void {
    process.facts = facts;
    process.factsChanged = true;
    this.note(process);
  }

  private parseStat(stat: KeptFile): boolean {
    const { procfs } = this.options;
    this.scratch.fill(Number.NaN);
    if (fillFromStat(procfs.buffer.bytes, stat.length, procfs.units, this.scratch, 0, this.identity)) return true;
    this.malformed++;
    return false;
  }

  private readStatus(process: TrackedProcess): void {
    const { scratch, options } = this;
    const often = this.round - process.statusRound <= STATUS_AT_LEAST_EVERY && process.statusRound > 0;
    const { minflt, majflt, vms, rss } = ROW;
    const { seen } = process;
    seen.minflt = scratch[minflt]!;
    seen.majflt = scratch[majflt]!;
    seen.vms = scratch[vms]!;
    seen.rss = scratch[rss]!;
    process.statusRound = this.round;
    this.options.onMemory(process);
    if (this.descriptors.read(process.status) === 'changed') {
      fillFromStatus(options.procfs.buffer.bytes, process.status.length, scratch, 0);
      // Before Linux 4.5 status does not tell file pages from anonymous ones; statm does.
      if (Number.isNaN(scratch[ROW.rssAnon]!)) this.readStatm(process.pid);
    } else process.status.reopen();
    this.descriptors.keepStatus(process, often && !process.kernelThread);
  }

  private readStatm(pid: number): void {
    const { procfs } = this.options;
    const file = procfs.processFile(pid, 'statm');
    if (file.read() === 'changed') fillFromStatm(procfs.buffer.bytes, file.length, procfs.units, this.scratch, 0);
    file.close();
  }

  /** Another command name, or (an exec always moves memory) another start of code: the facts are another program's. */
  private noticeExec(process: TrackedProcess, bytes: Uint8Array, moved: boolean): void {
    const { identity } = this;
    let changed = false;
    const hash = hashOf(bytes, identity.nameFrom, identity.nameTo);
    if (hash !== process.nameHash) {
      changed = process.nameHash !== 0;
      process.nameHash = hash;
    }
    if (moved && !process.kernelThread) {
      const { scanner } = this;
      scanner.reset(bytes, process.stat.length, identity.nameTo + 1).skipWords(WORDS_TO_START_CODE);
      const startCode = scanner.number();
      changed ||= startCode !== process.startCode && !Number.isNaN(process.startCode);
      process.startCode = startCode;
    }
    const now = this.options.clock.monotonic();
    const due = changed ? process.factsAt + FACTS_PAUSE_MS : process.factsAt + FACTS_AGE_MS;
    if ((changed || due <= now) && !this.factsDue.has(process)) this.factsDue.set(process, due);
  }

  private async findNew(slices: Slices): Promise<void> {
    const before = this.processes.length;
    const reused = this.reused;
    this.reused = [];
    for (const pid of reused) this.discover(pid);
    const newcomers = this.listing.newcomers(before);
    if (newcomers.kind === 'range') {
      for (let pid = newcomers.from; pid <= newcomers.to; pid++) if (!this.byPid.has(pid)) this.discover(pid);
    } else if (newcomers.kind === 'all') await this.findAll(newcomers.pids, slices);
    if (this.processes.length > before) this.processes.sort((a, b) => a.pid - b.pid);
    if (this.anyGone) this.dropGone();
  }

  private async findAll(pids: readonly number[], slices: Slices): Promise<void> {
    for (const pid of pids) {
      const known = this.byPid.get(pid);
      if (known) known.listedRound = this.round;
      else {
        this.discover(pid);
        if (slices.over()) await slices.rest();
      }
    }
    this.checkUnlisted(pids);
  }

  private discover(pid: number): void {
    const { procfs, facts, clock } = this.options;
    const { descriptors, identity } = this;
    if ((this.deniedUntil.get(pid) ?? 0) > this.round) return;
    const stat = procfs.processFile(pid, 'stat', { compare: true });
    const outcome = descriptors.read(stat);
    if (outcome === 'denied') this.deniedUntil.set(pid, this.round + DENIED_ROUNDS);
    if (outcome !== 'changed' || !this.parseStat(stat)) {
      descriptors.release(stat);
      return;
    }
    this.deniedUntil.delete(pid);
    const { start } = identity;
    const known = facts.read(pid, start, statName(procfs.buffer.bytes, identity));
    if (!known) {
      // A thread: it can be looked up like a process, though the directory does not name it.
      descriptors.release(stat);
      return;
    }
    const now = clock.monotonic();
    const status = procfs.processFile(pid, 'status');
    const process = new TrackedProcess({ pid, start, facts: known, stat, status, now });
    process.listedRound = this.round;
    // The facts are this process's only if it is still there; and stat again, since the buffer has been used.
    stat.forget();
    if (descriptors.read(stat) !== 'changed') {
      descriptors.release(stat);
      return;
    }
    this.takeStat(process);
    if (process.gone) return;
    this.processes.push(process);
    this.byPid.set(pid, process);
    descriptors.keepStat(process, true);
    // A young process may be about to exec, or to be put into its control group.
    const young = clock.wall() - known.startedAt < SECOND_LOOK_MS;
    if (young) this.factsDue.set(process, now + SECOND_LOOK_MS);
  }

  /** A process that the directory does not name is gone, or hidden: looking it up tells. */
  private checkUnlisted(pids: readonly number[]): void {
    for (const process of this.processes) {
      if (process.listedRound === this.round || process.gone) continue;
      this.descriptors.release(process.stat);
      process.stat.reopen();
      if (this.descriptors.read(process.stat) === 'gone') this.forget(process);
      else process.stat.forget();
    }
    if (this.deniedUntil.size === 0) return;
    const listed = new Set(pids);
    for (const pid of this.deniedUntil.keys()) if (!listed.has(pid)) this.deniedUntil.delete(pid);
  }

  private forget(process: TrackedProcess): void {
    process.gone = true;
    this.descriptors.release(process.stat);
    this.descriptors.release(process.status);
    process.stat.close();
    process.status.close();
    this.factsDue.delete(process);
    // A process that was being discovered is in no table yet.
    if (this.byPid.get(process.pid) !== process) return;
    this.anyGone = true;
    this.byPid.delete(process.pid);
    this.exits.push(process);
  }

  private dropGone(): void {
    const { processes } = this;
    let kept = 0;
    for (const process of processes) if (!process.gone) processes[kept++] = process;
    processes.length = kept;
    this.anyGone = false;
  }

  private async refreshFacts(slices: Slices): Promise<void> {
    const now = this.options.clock.monotonic();
    let read = 0;
    for (const [process, due] of this.factsDue) {
      if (due > now) continue;
      if (read++ === FACTS_PER_ROUND) break;
      this.factsDue.delete(process);
      const facts = this.options.facts.read(process.pid, process.start, process.facts.program);
      process.factsAt = now;
      // While it lives its pid was not another's; if it is gone, this may have been another's facts.
      if (process.stat.isOpen && this.descriptors.read(process.stat) === 'gone') {
        process.stat.forget();
        continue;
      }
      process.stat.forget();
      if (facts && !sameFacts(facts, process.facts)) {
        this.setFacts(process, facts);
      }
      if (slices.over()) await slices.rest();
    }
  }
}

function memoryMoved({ seen }: TrackedProcess, figures: Float64Array): boolean {
  return (
    seen.minflt !== figures[ROW.minflt] ||
    seen.majflt !== figures[ROW.majflt] ||
    seen.vms !== figures[ROW.vms] ||
    seen.rss !== figures[ROW.rss]
  );
}

/** FNV-1a, 30 bits of it, which the engine holds in a word; never 0. */
function hashOf(bytes: Uint8Array, from: number, to: number): number {
  let hash = 0x811c9dc5;
  for (let at = from; at < to; at++) hash = Math.imul(hash ^ bytes[at]!, 0x01000193);
  return hash & 0x3fff_ffff || 1;
}
