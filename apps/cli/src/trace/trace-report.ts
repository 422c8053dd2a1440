import type {
  LeakState,
  SiteFigures,
  StackFrame,
  Survivor,
  TraceMeans,
  TraceMode,
  TraceTotals,
} from '@tidemark/contracts';

/** What the judge of sites said about one. */
export interface ReportVerdict {
  state: LeakState;
  bytesPerHour: number | null;
  /** Distinct ages alive, of BIRTH_BINS. */
  generations: number;
  /** Share of the blocks that got old and were freed after all, 0 to 1; null when none got old. */
  oldFreeRate: number | null;
  /** One sentence: why. */
  message: string;
}

export interface ReportSite {
  /** Stable over runs of the same program: made of its frames. */
  id: string;
  frames: readonly StackFrame[];
  truncated: boolean;
  figures: SiteFigures;
  verdict: ReportVerdict;
  /** Named survivors of the site, oldest first. */
  survivors: readonly Survivor[];
}

/** How the traced process ended; null while it runs on. */
export interface ProcessEnd {
  code: number | null;
  signal: string | null;
}

/** Everything that a trace of one process found. */
export interface TraceReport {
  pid: number;
  program: string;
  command: string;
  end: ProcessEnd | null;
  means: TraceMeans;
  mode: TraceMode;
  sampleInterval: number | null;
  /** Epoch milliseconds of the first and the last look. */
  startedAt: number;
  endedAt: number;
  totals: TraceTotals;
  /** Leaking ones first, then by live bytes. */
  sites: readonly ReportSite[];
  /** Live blocks known to have outlived the survival window (all, once the process is gone), named or not. */
  survivorsTotal: number;
  /** At the last look at which the process lived: rssAnon + swap, and the live heap then, bytes. */
  memory: { anonymous: number; live: number } | null;
  warnings: readonly string[];
}

const LEAKING: ReadonlySet<LeakState> = new Set(['SUSPECTED', 'CONFIRMED']);

export function isLeaking(site: Pick<ReportSite, 'verdict'>): boolean {
  return LEAKING.has(site.verdict.state);
}

/** Leaking sites by what they hold, then the others by what they hold. */
export function orderSites(sites: readonly ReportSite[]): ReportSite[] {
  return [...sites].sort(
    (a, b) =>
      Number(isLeaking(b)) - Number(isLeaking(a)) ||
      b.figures.liveBytes - a.figures.liveBytes ||
      b.figures.allocatedBytes - a.figures.allocatedBytes ||
      (a.id < b.id ? -1 : 1),
  );
}

/**
 * Share of the anonymous memory that the live heap seen explains, 0 to 1; null when unknown. Blocks that were never
 * touched take no memory, so the heap can be the larger one: that counts as all of it.
 */
export function explainedShare({ memory }: Pick<TraceReport, 'memory'>): number | null {
  if (memory === null || memory.anonymous <= 0) return null;
  return Math.min(1, memory.live / memory.anonymous);
}

/** The frame a person looks for: the innermost one of a stack. `malloc` and its kin are left out already. */
export function frameText(frame: StackFrame | undefined): string {
  if (frame === undefined) return 'unknown';
  const place = framePlace(frame);
  return frame.function === null ? place : `${frame.function} (${place})`;
}

/** `file.c:12`, else `libx.so+0x1f3`. */
export function framePlace(frame: StackFrame): string {
  if (frame.file !== null) return frame.line === null ? frame.file : `${frame.file}:${frame.line}`;
  return `${frame.module === null ? 'generated code' : baseName(frame.module)}+0x${frame.offset.toString(16)}`;
}

export function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
