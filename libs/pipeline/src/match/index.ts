export type { MatchedProcess } from './matched-process.js';
export { startMatch, type MatchDeps, type MatchStage } from './start-match.js';
