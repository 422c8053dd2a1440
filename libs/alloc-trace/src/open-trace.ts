import { TraceError } from './errors.js';
import { openLibraryTrace, type LibraryTraceOptions } from './library/library-trace.js';
import type { TraceRequest, TraceSource } from './trace-source.js';
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
  // Who may mount tracefs gets it mounted.
  if (found.means === null && found.refusal.code !== 'NO_TRACEFS') {
    const { code, sentence } = found.refusal;
    const gone = code === 'NO_PROCESS' || code === 'ZOMBIE';
    const denied = code === 'NO_PRIVILEGE';
    throw new TraceError(gone ? 'TRACE_GONE' : denied ? 'TRACE_DENIED' : 'TRACE_REFUSED', sentence);
  }
  if (found.means === 'LIBRARY') return openLibraryTrace(request, options.library);
  return openUprobeTrace(request, options.uprobes);
}
