import type { ConnectionPool } from './connection-pool.js';
import type { Engine } from './engine.js';
import type { HttpSessions } from './http-sessions.js';
import type { Lanes } from './lanes.js';
import type { EmbeddedUsers } from './options.js';
import type { ScratchFiles } from './scratch-files.js';
import type { ReaderLimits } from './settings.js';

/** What the engine says of itself; sent with every result. */
export interface ServerIdentity {
  version: string;
  displayName: string;
  timezone: string;
}

/** All that answering a request needs. */
export interface ServerParts {
  engine: Engine;
  users: EmbeddedUsers;
  identity: ServerIdentity;
  /** Scratch directory, and the current one of the process: names in it need no quoting. */
  run: string;
  /** In it, for the rows of inserts. */
  files: ScratchFiles;
  /** One named pipe a reading lane. */
  pipes: readonly string[];
  /** All statements but inserts of rows. */
  reading: Lanes;
  /** Taken by readers beside a reading lane: they never have all of those. */
  readers: Lanes;
  /** Inserts of rows: one at a time, in the order in which their rows were complete. */
  writing: Lanes;
  pool: ConnectionPool;
  sessions: HttpSessions;
  readerLimits: ReaderLimits;
  /** Ids of queries that run or wait. */
  queryIds: Set<string>;
  /** Called when the engine says that it is broken: only a new process helps. */
  onBroken(): void;
}
