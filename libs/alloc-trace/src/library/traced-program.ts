import type { StdioOptions } from 'node:child_process';
import type { TraceRequest, TraceSource } from '../trace-source.js';

export interface StartTracedOptions extends Omit<TraceRequest, 'pid'> {
  /** Environment of the program; what the library needs is added to it. */
  environment: NodeJS.ProcessEnv;
  /** Working directory of the program. Default: this process's. */
  directory?: string;
  /** Its standard streams. Default: those of this process. */
  stdio?: StdioOptions;
  /** Trace its children too, those that exec with it. Default: the program alone. */
  follow?: boolean;
  /** Called for each child process as it appears, when `follow` is on. */
  onChild?: (source: TraceSource) => void;
  /** Path of the library; `libraryPath()` when left out. */
  library?: string;
  /** Folders to make the private run directory in: the first that is on tmpfs. Default: RUN_FOLDERS. */
  runFolders?: readonly string[];
}

export interface ProgramExit {
  /** Null when a signal ended it. */
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** A program that was started with the library in it. */
export interface TracedProgram {
  readonly pid: number;
  /** Of the program itself. After its end, `observe` reads the last state it left. */
  readonly source: TraceSource;
  /** Of its children, as far as they have appeared; empty without `follow`. */
  children(): readonly TraceSource[];
  /** Settles when the program has ended. Never rejects. */
  readonly exited: Promise<ProgramExit>;
  /** Stops all sources and removes the run directory. Does not end the program. Safe to call again. */
  close(): Promise<void>;
}
