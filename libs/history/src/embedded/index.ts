export { startEmbeddedServer, type EmbeddedServer } from './supervise.js';
export { EmbeddedError, type EmbeddedErrorCode } from './embedded-error.js';
export type { Credentials, EmbeddedLogger, EmbeddedOptions, EmbeddedUsers } from './options.js';
