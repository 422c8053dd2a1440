/** How a process is traced now. DORMANT: the library is there and does nothing. */
export const TRACE_MODES = ['DORMANT', 'SAMPLED', 'EXACT'] as const;
export type TraceMode = (typeof TRACE_MODES)[number];

/** LIBRARY: the preloaded library and its ring file. UPROBES: kernel probes in sampled windows. */
export const TRACE_MEANS = ['LIBRARY', 'UPROBES'] as const;
export type TraceMeans = (typeof TRACE_MEANS)[number];

/**
 * REQUESTED: nobody answered yet. ACTIVE: events are taken. STOPPED: asked to stop. ENDED: the process is gone.
 * REFUSED: cannot be, the reason says why. EXPIRED: the node did not answer in time.
 */
export const TRACE_STATES = ['REQUESTED', 'ACTIVE', 'STOPPED', 'ENDED', 'REFUSED', 'EXPIRED'] as const;
export type TraceState = (typeof TRACE_STATES)[number];

/** A block that lives longer than this is a survivor, milliseconds. */
export const SURVIVAL_MS = 5_000;

/** Everything is named again this often, milliseconds, so that a reader that comes late knows it all. */
export const TRACE_KEYFRAME_MS = 60_000;

/** Bins of the births of a site's live blocks. */
export const BIRTH_BINS = 32;

/** One standard error of each estimate. */
export interface TraceErrors {
  allocations: number;
  allocatedBytes: number;
  liveCount: number;
  liveBytes: number;
}

/**
 * Since the tracing began; exact, or unbiased estimates where `standardError` is not null. Bytes are what was asked for.
 * issued = recorded + cancelled + dropped, all three exact in every mode; in exact mode issued = allocations + frees.
 */
export interface TraceTotals {
  allocations: number;
  frees: number;
  allocatedBytes: number;
  freedBytes: number;
  liveCount: number;
  liveBytes: number;
  issued: number;
  recorded: number;
  /** Died within the survival window, or were passed over by the sampler. */
  cancelled: number;
  /** Found no room: what is lost. */
  dropped: number;
  standardError: TraceErrors | null;
}

/** Cumulative figures of one site, exact or estimated like the totals. `site` is its number within the trace. */
export interface SiteFigures {
  site: number;
  allocations: number;
  frees: number;
  allocatedBytes: number;
  freedBytes: number;
  liveCount: number;
  liveBytes: number;
  /** Blocks that outlived the survival window and were freed after all. */
  oldFrees: number;
  /** Blocks of which these figures know: the sample size in sampled mode, `liveCount` in exact mode. */
  liveSamples: number;
  /** Variance of `liveBytes`; 0 when exact. */
  liveVariance: number;
  /** When the site first allocated, epoch milliseconds with fractions. */
  firstAt: number;
  /**
   * Live blocks by birth: BIRTH_BINS equal bins over [firstAt, TraceObservation.birthsUntil]. Counts blocks known, not
   * estimates. Where allocations are watched in windows, the bins are of the time watched between the two. How many bins are not empty is the number of distinct ages alive (GenCount).
   */
  births: readonly number[];
}

/** One frame of a stack, as a person reads it. What is not known is null. */
export interface StackFrame {
  function: string | null;
  file: string | null;
  line: number | null;
  /** Path of the object on the host; null when the address lies in none (generated code). */
  module: string | null;
  /** Hexadecimal. */
  buildId: string | null;
  /** Address of the return within the object (as its ELF file counts them), or in memory when `module` is null. */
  offset: number;
  /** It has no call of its own: the compiler put it into the frame that follows. */
  inlined: boolean;
}

/** Innermost first, the allocator's own frames left out. */
export interface SiteStack {
  site: number;
  frames: readonly StackFrame[];
  /** The stack went on, or could not be walked to its end. */
  truncated: boolean;
}

/** One block that is alive and has outlived the survival window: an allocation at risk. */
export interface Survivor {
  /** When it was allocated, epoch milliseconds with fractions. */
  time: number;
  /** As asked for, bytes. */
  size: number;
  /** User space addresses have at most 57 bits; those above 2^53 are left out. */
  address: number;
  site: number;
}
