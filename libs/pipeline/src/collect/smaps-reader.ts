import { open } from 'node:fs/promises';
import { createRows, fillFromSmaps, type Procfs } from '@tidemark/procfs';
import type { Clock } from './clock.js';
import { mergeFigures } from './process-state.js';
import { backoffMs, createSmapsPrices, denyUntil, urgency, walkedBytes } from './smaps-choice.js';
import { createPurses, type Purse } from './smaps-purse.js';
import type { TrackedProcess } from './tracked-process.js';

/** What is cheaper than this is read at once; the rest in another thread, so that no round waits for it. Milliseconds. */
const AT_ONCE_MS = 1;
/** All processes are looked at this often for those that are due without having run; milliseconds. */
const SCAN_MS = 60_000;
/** After this long of reading at once, others get a turn for as long; milliseconds. */
const SLICE_MS = 5;
const PAUSE_MS = 5;
/** After a reading that found nothing: the process was in the middle of an exec, or about to exit. Milliseconds. */
const AGAIN_MS = 5_000;
/** `smaps_rollup` is one block below this; `smaps`, its stand-in on old kernels, may take many. */
const BUFFER_BYTES = 16_384;
const MAX_BYTES = 64 * 1024 * 1024;

export interface SmapsReaderOptions {
  procfs: Procfs;
  clock: Clock;
  /** Share of one core, 0 to 1. */
  share: number;
  /** For one process, milliseconds. */
  limitMs: number;
  /** Called with each process whose figures are not as before. */
  onChange(process: TrackedProcess): void;
}

export interface SmapsStats {
  readings: number;
  overruns: number;
  cpuMs: number;
  /** Processes that may not be looked into. */
  denied: number;
  /** Processes left out because they would cost more than one process may. */
  tooLarge: number;
}

/**
 * Reads PSS, USS and dirty within a budget of CPU time. What is not read stays as it was: unknown at first.
 *
 * `/proc/[pid]/smaps_rollup` makes the kernel walk the page tables of the process, about 40 ns a page of 4 KiB, and hold
 * its mapping lock for parts of that: so there is a limit for one process, and what passed it is left alone for longer
 * and longer.
 */
export class SmapsReader {
  private readonly prices;
  private readonly purses;
  private readonly scratch = createRows();
  private readonly file: 'smaps_rollup' | 'smaps';
  private readonly deniedProcesses = new Set<TrackedProcess>();
  /** Those that may be due. */
  private readonly wanted = new Set<TrackedProcess>();
  private scannedAt: number;
  private spending: Promise<void> | undefined;
  private closed = false;
  private counted = { readings: 0, overruns: 0, cpuMs: 0, tooLarge: 0 };

  constructor(private readonly options: SmapsReaderOptions) {
    const { procfs, limitMs, clock } = options;
    this.prices = createSmapsPrices(procfs.units.pageSize, limitMs);
    this.scannedAt = clock.monotonic();
    this.purses = createPurses(options.share, limitMs, this.scannedAt);
    const probe = procfs.processFile(process.pid, 'smaps_rollup');
    this.file = procfs.root === '/proc' && probe.read() === 'gone' ? 'smaps' : 'smaps_rollup';
    probe.close();
  }

  stats(): SmapsStats {
    for (const process of this.deniedProcesses) if (process.gone) this.deniedProcesses.delete(process);
    return { ...this.counted, denied: this.deniedProcesses.size };
  }

  /** The process's memory changed. */
  want(process: TrackedProcess): void {
    process.smaps.stale = true;
    this.wanted.add(process);
  }

  /**
   * Begins to read what the budget allows, the most urgent first, and goes on by itself between other work; does nothing
   * while it still does so. What is found is told of in later rounds.
   */
  spend(processes: readonly TrackedProcess[]): void {
    if (this.spending || this.options.share === 0) return;
    const now = this.options.clock.monotonic();
    this.purses.fill(now);
    if (now - this.scannedAt >= SCAN_MS) {
      this.scannedAt = now;
      for (const process of processes) this.wanted.add(process);
    }
    if (this.wanted.size === 0) return;
    const waiting = this.choose(now);
    if (waiting.length > 0) this.spending = this.readAll(waiting).finally(() => (this.spending = undefined));
  }

  /** Waits for what is being read in another thread. */
  async close(): Promise<void> {
    this.closed = true;
    await this.spending;
  }

  private choose(now: number): TrackedProcess[] {
    const waiting: { process: TrackedProcess; wish: number }[] = [];
    let left = 0;
    for (const process of this.wanted) {
      const wish = urgency(process, now);
      if (wish === 0) {
        // One that was read a while ago becomes due by itself; the others are found again by the next scan.
        if (process.gone || !process.smaps.stale || !process.smaps.everRead) this.wanted.delete(process);
      } else if (this.prices.estimate(process) > this.options.limitMs) left++;
      else waiting.push({ process, wish });
    }
    this.counted.tooLarge = left;
    return waiting.sort((a, b) => b.wish - a.wish).map(({ process }) => process);
  }

  /** The first that its purse cannot pay waits, and with it all after it that the same purse pays for. */
  private async readAll(waiting: readonly TrackedProcess[]): Promise<void> {
    const { clock } = this.options;
    const { small, large } = this.purses;
    const empty = new Set<Purse>();
    let started = clock.monotonic();
    for (const process of waiting) {
      if (this.closed || empty.size === 2) return;
      if (process.gone) continue;
      const estimate = this.prices.estimate(process);
      const purse = estimate > AT_ONCE_MS ? large : small;
      if (estimate > purse.inHand) empty.add(purse);
      if (empty.has(purse)) continue;
      purse.inHand -= purse === large ? await this.readElsewhere(process) : this.readNow(process);
      if (clock.monotonic() - started < SLICE_MS) continue;
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      started = clock.monotonic();
    }
  }

  /** What changes from here on is not in what is about to be read. */
  private begin(process: TrackedProcess): void {
    process.smaps.stale = false;
    process.smaps.bytes = walkedBytes(process);
    this.wanted.delete(process);
  }

  /** Gives the CPU time that it took, milliseconds; so does `readElsewhere`. */
  private readNow(process: TrackedProcess): number {
    const { procfs } = this.options;
    this.begin(process);
    const meter = startMeter();
    const file = procfs.processFile(process.pid, this.file);
    const outcome = file.read();
    file.close();
    const ms = meter();
    this.take(process, ms, outcome === 'changed' ? procfs.buffer.bytes : outcome, file.length);
    return ms;
  }

  private async readElsewhere(process: TrackedProcess): Promise<number> {
    const { procfs } = this.options;
    this.begin(process);
    const meter = startMeter();
    let found: Buffer | 'gone' | 'denied';
    try {
      found = await readWhole(`${procfs.root}/${process.pid}/${this.file}`, procfs);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      found = code === 'EACCES' || code === 'EPERM' ? 'denied' : 'gone';
    }
    const length = typeof found === 'string' ? 0 : found.length;
    const ms = meter();
    this.take(process, ms, found, length);
    return ms;
  }

  private take(process: TrackedProcess, ms: number, found: Buffer | string, length: number): void {
    const { smaps } = process;
    const now = this.options.clock.monotonic();
    this.counted.readings++;
    this.counted.cpuMs += ms;
    smaps.readAt = now;
    if (process.gone) return;
    if (found === 'denied') {
      smaps.notBefore = denyUntil(now);
      this.deniedProcesses.add(process);
      return;
    }
    this.deniedProcesses.delete(process);
    this.scratch.fill(Number.NaN);
    if (typeof found === 'string' || !fillFromSmaps(found, length, this.scratch, 0)) {
      smaps.notBefore = now + AGAIN_MS;
      return;
    }
    smaps.everRead = true;
    if (mergeFigures(process, this.scratch)) this.options.onChange(process);
    this.prices.learn(process, ms);
    if (smaps.overruns > 0) this.counted.overruns++;
    smaps.notBefore = now + backoffMs(smaps.overruns);
  }
}

/** The lesser of CPU time and time gone by: the one counts what other threads do, the other what other processes do. */
function startMeter(): () => number {
  const cpu = process.cpuUsage();
  const started = performance.now();
  return () => {
    const { user, system } = process.cpuUsage(cpu);
    return Math.min((user + system) / 1000, performance.now() - started);
  };
}

async function readWhole(path: string, { tally }: Procfs): Promise<Buffer> {
  tally.opens++;
  const file = await open(path, 'r');
  try {
    let buffer = Buffer.allocUnsafe(BUFFER_BYTES);
    let length = 0;
    for (;;) {
      tally.reads++;
      const { bytesRead } = await file.read(buffer, length, buffer.length - length, length);
      length += bytesRead;
      tally.bytes += bytesRead;
      if (bytesRead === 0 || length >= MAX_BYTES) return buffer.subarray(0, length);
      if (length === buffer.length) buffer = Buffer.concat([buffer], 2 * length);
    }
  } finally {
    await file.close();
  }
}
