import type { RawFrame, TraceRequest, TraceSource } from '@tidemark/alloc-trace';
import type { StackFrame } from '@tidemark/contracts';

/** Begins to trace a process by whatever means there are. Throws TraceError, whose message says why it cannot be. */
export type OpenTrace = (request: TraceRequest) => Promise<TraceSource>;

/** What a person reads of each frame: the functions that were inlined there, innermost first, then its own. */
export type Symbolize = (frames: readonly RawFrame[]) => Promise<StackFrame[][]>;

/** Who has a pid now. */
export interface TracedIdentity {
  pid: number;
  /** Start ticks since boot. */
  start: number;
  program: string;
  /** Without secrets; null when it has none or is not to be told. */
  commandLine: string | null;
}

/** What the tracing wants to know of processes besides their allocations. */
export interface ProcessLookup {
  /** Undefined when no process has the pid. */
  find(pid: number): TracedIdentity | undefined;
  /** rssAnon + swap now, bytes; null when unknown. */
  anonymousBytes(pid: number): number | null;
}

/** Code of a TraceError or of whatever else was thrown; and its message as one sentence. */
export function reasonOf(error: unknown): { code: string; reason: string } {
  const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown };
  const reason = typeof message === 'string' && message !== '' ? message : String(error);
  return { code: typeof code === 'string' ? code.slice(0, 100) : 'TRACE_FAILED', reason: reason.slice(0, 2000) };
}
