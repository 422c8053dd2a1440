import type { SiteFigures, Survivor, TraceMeans, TraceMode, TraceTotals } from '@tidemark/contracts';

/** One object that is or was mapped into the traced process. */
export interface TracedModule {
  /** As the process sees it: may lie in another mount namespace or be deleted. */
  path: string;
  /** Where this host can open it: `/proc/PID/root/…`, `/proc/PID/map_files/…` or the path itself; null when nowhere. */
  file: string | null;
  /** Hexadecimal; null when the object has none. */
  buildId: string | null;
  /** Address range in the process, and what to subtract from an address in memory to get the file's. */
  start: number;
  end: number;
  bias: number;
}

/** A frame before anybody gave it a name. `address` is that of the return: within the module, or in memory without one. */
export interface RawFrame {
  module: TracedModule | null;
  address: number;
}

export interface RawStack {
  /** Innermost first. */
  frames: readonly RawFrame[];
  truncated: boolean;
}

/** What a traced process looked like when it was read. */
export interface TraceObservation {
  /** Epoch milliseconds. */
  at: number;
  /** The process is gone: this is the last state it left, and all there will be. */
  ended: boolean;
  mode: TraceMode;
  /** Mean bytes between samples; null in exact mode. */
  sampleInterval: number | null;
  totals: TraceTotals;
  /** End of the bins of births: `at`, or the last sign of allocation when the process is gone. Epoch milliseconds. */
  birthsUntil: number;
  /** Every site that ever allocated in this trace. */
  sites: SiteFigures[];
  /** Live blocks that have outlived the survival window (all live blocks when `ended`): the oldest and the largest of each
   * site, bounded by the options of the source; together with the number that there are. */
  survivors: Survivor[];
  survivorsTotal: number;
  /** What is not as asked for, in one sentence for a person: no room, a bound reached, a window too busy. */
  warnings: string[];
}

/** A process being traced, by whatever means. Readers of one process share nothing with those of another. */
export interface TraceSource {
  readonly means: TraceMeans;
  readonly pid: number;
  /** Reads everything now. Throws TraceError when the state cannot be read. */
  observe(): Promise<TraceObservation>;
  /** Stack of a site that an observation named; undefined when it is not known. */
  stackOf(site: number): RawStack | undefined;
  change(mode: TraceMode, sampleInterval?: number): Promise<void>;
  /** The process goes on as if it had never been traced: dormant, or without probes. Safe to call again. */
  stop(): Promise<void>;
}

export interface TraceRequest {
  pid: number;
  mode: Exclude<TraceMode, 'DORMANT'>;
  /** Mean bytes between samples. Default 512 KiB. */
  sampleInterval?: number;
  /** Default 64. 1 takes the caller only. */
  maxFrames?: number;
  /** Survivors an observation names for each site: so many of the oldest and as many of the largest. Default 32. */
  survivorsPerSite?: number;
  /** Survivors an observation names at all. Default 10,000. */
  maxSurvivors?: number;
}
