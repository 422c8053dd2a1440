/** What the server needs of a logger: an object of fields first, one sentence second. */
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
  /** May only read tables: no change of data, no access to files of the host or to the network. */
  reader: Credentials;
}

export interface EmbeddedOptions {
  /** Where the data lives; created when absent. One server at a time. */
  directory: string;
  /** Loopback port; 0 takes any free one, which is then kept over restarts of the child. */
  port: number;
  /** 127.0.0.1 when left out. `0.0.0.0` is for a container of its own, with passwords given. */
  host?: '127.0.0.1' | '::1' | 'localhost' | '0.0.0.0';
  logger?: EmbeddedLogger;
  /** Instead of the passwords kept in the directory. */
  users?: Partial<EmbeddedUsers>;
  /** Bytes the engine may use; a quarter of the machine's memory, at most 4 GiB, when left out. */
  memoryBytes?: number;
  /** How long to wait for a server that may be stopping to let go of the directory; 3 s when left out. */
  lockWaitMs?: number;
  /** Statements that run at once beside inserts (4 when left out), and how many more may wait (128 when left out). */
  concurrency?: { running: number; waiting: number };
  /** Further roles of the engine by name, each with its statements `GRANT … ON …`; the admin may take them on. */
  roles?: Readonly<Record<string, readonly string[]>>;
}

/** What the child is told at start, by a message and not by arguments, which every user of the host may read. */
export interface ChildOptions {
  directory: string;
  port: number;
  host: string;
  users: Partial<EmbeddedUsers>;
  memoryBytes: number;
  lockWaitMs: number;
  concurrency: { running: number; waiting: number };
  roles: Readonly<Record<string, readonly string[]>>;
}

export type FromChild =
  | { kind: 'listening'; port: number; users: EmbeddedUsers }
  | { kind: 'refused'; code: string; message: string }
  | { kind: 'log'; level: 'info' | 'warn' | 'error'; fields: object; message: string };

export type ToChild = { kind: 'start'; options: ChildOptions } | { kind: 'stop'; deadlineMs: number };
