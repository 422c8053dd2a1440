import type { TraceMode } from '@tidemark/contracts';
import { TraceError } from '../errors.js';

/** Throws TRACE_EXACT_NEEDS_LIBRARY for EXACT: what happens between windows is never seen. */
export function requireSampled(mode: TraceMode): void {
  if (mode !== 'EXACT') return;
  throw new TraceError(
    'TRACE_EXACT_NEEDS_LIBRARY',
    'uprobes: a process that runs without the library can only be traced in sampled windows; for every call, start it ' +
      'with "tidemark trace --mode exact -- CMD", or preload libtidemark.so',
  );
}
