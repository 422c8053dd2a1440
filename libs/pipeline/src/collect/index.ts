export { systemClock, type Clock } from './clock.js';
export { createLinger, type Linger, type LingerOptions } from './linger.js';
export { collectSettings, kafkaCollectSettings, type CollectConfig, type CollectConfigInput } from './config.js';
export { CollectError, type CollectErrorCode } from './errors.js';
export type { CollectStats } from './self-metrics.js';
export { startCollect, type CollectDeps, type CollectStage } from './start-collect.js';
