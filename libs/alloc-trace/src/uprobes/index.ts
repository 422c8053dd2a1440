export { openUprobeTrace, type UprobeDeps, type UprobeOptions } from './open-uprobe-trace.js';
export { sweepStaleProbes } from './leftovers.js';
export { openTracefs, type Tracefs } from './tracefs.js';
export { MEASURED_COSTS, type ProbeCosts } from './window-plan.js';
