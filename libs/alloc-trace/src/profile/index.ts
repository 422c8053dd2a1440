export { collapsedStacks } from './collapsed.js';
export { flameGraph, type FlameGraphOptions } from './flame-graph.js';
export { encodePprof } from './pprof.js';
export { PROFILE_MEASURES, type ProfiledSite, type ProfileMeasure, type TraceProfile } from './trace-profile.js';
