/** What our code needs of a logger: an object of fields first, one sentence second. */
export interface EmbeddedLogger {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface Credentials {
  username: string;
  password: string;
}

export interface EmbeddedUsers {
  /** May do everything. */
  admin: Credentials;
  /** May only read tables: no change of data, no access to files or the network. */
  reader: Credentials;
}

export interface EmbeddedOptions {
  /** Where the data lives; created when absent. One server at a time. */
  directory: string;
  /** Loopback port; 0 takes any free one, which is then kept over restarts of the child. */
  port: number;
  host?: '127.0.0.1' | '::1' | 'localhost';
  logger?: EmbeddedLogger;
}
