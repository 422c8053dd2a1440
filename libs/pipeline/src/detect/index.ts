export { detectProfile, detectSettings } from './config.js';
export * from './detector-history.js';
export { startDetect, type DetectDeps, type DetectStage } from './start-detect.js';
