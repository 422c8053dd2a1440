import { TraceError } from './errors.js';
import { openLibraryTrace, type LibraryTraceOptions } from './library/library-trace.js';
import type { TraceRequest, TraceSource } from './trace-source.js';
import type { Refusal } from './traceable/refusal.js';
import { traceMeans } from './traceable/trace-means.js';
import { openUprobeTrace, type UprobeDeps } from './uprobes/index.js';

export interface OpenTraceOptions {
  library?: LibraryTraceOptions;
  uprobes?: UprobeDeps;
}

/**
 * Traces a running process: through its ring file when it runs with the library, else by kernel probes. Throws TRACE_GONE,
 * TRACE_REFUSED with the reason in one sentence, and what the means themselves throw.
 */
export async function openTrace(request: TraceRequest, options: OpenTraceOptions = {}): Promise<TraceSource> {
  const found = traceMeans(request.pid);
  if (found.means !== null) {
    const isPreloaded = found.means === 'LIBRARY';
    return isPreloaded ? openLibraryTrace(request, options.library) : openUprobeTrace(request, options.uprobes);
  }
  // Who may mount tracefs gets it mounted.
  if (found.refusal.code === 'NO_TRACEFS') return openUprobeTrace(request, options.uprobes);
  if (found.refusal.code === 'STATIC') return openStatic(request, options, found.refusal);
  throw refused(found.refusal);
}

/** A static binary can be probed while it has its symbols; without them the first reason is the better one. */
async function openStatic(request: TraceRequest, options: OpenTraceOptions, refusal: Refusal): Promise<TraceSource> {
  try {
    return await openUprobeTrace(request, options.uprobes);
  } catch (error) {
    if (error instanceof TraceError && error.code === 'TRACE_REFUSED') throw refused(refusal);
    throw error;
  }
}

function refused({ code, sentence }: Refusal): TraceError {
  const gone = code === 'NO_PROCESS' || code === 'ZOMBIE';
  const denied = code === 'NO_PRIVILEGE';
  return new TraceError(gone ? 'TRACE_GONE' : denied ? 'TRACE_DENIED' : 'TRACE_REFUSED', sentence);
}
