export { traceSettings } from './config.js';
export { createProcessLookup, readBoot, type ProcessLookupOptions } from './process-lookup.js';
export { startTrace, type TraceDeps, type TraceStage } from './start-trace.js';
export type { OpenTrace, ProcessLookup, Symbolize, TracedIdentity } from './trace-ports.js';
