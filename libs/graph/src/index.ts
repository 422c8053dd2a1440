export type { FanOut, FanOutCounters } from './feed/fan-out.js';
export { startLiveFeed, type LiveFeed, type LiveFeedOptions } from './feed/live-feed.js';
export { GraphError, type GraphErrorCode } from './graph-error.js';
export * from './history-port.js';
export { GRAPHQL_PATH, readSchemaFile } from './server/graph-module.js';
export {
  GraphServerError,
  startGraphServer,
  type GraphServer,
  type GraphServerErrorCode,
  type GraphServerOptions,
  type PageHandler,
} from './server/graph-server.js';
export { DEFAULT_LIMITS, type OperationLimits } from './server/operation-limits.js';
