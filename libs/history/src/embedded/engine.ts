import { createRequire } from 'node:module';

/** A native connection handle; opaque. */
type Handle = object & { readonly brand: unique symbol };

/** The functions of chDB's native addon that the server uses; the package's own wrapper adds only conveniences. */
interface Addon {
  EngineVersion(): string;
  CreateConnection(directory: string, args?: readonly string[]): Handle;
  CloseConnection(handle: Handle): void;
  QueryAsyncConnection(handle: Handle, sql: string, format: string): Promise<NativeResult>;
  DurableClassifyAsync(handle: Handle, sql: string, database: string | null): Promise<Classification>;
}

interface NativeResult {
  bytes: Uint8Array;
  elapsed: number;
  rowsRead: number;
  bytesRead: number;
}

export interface QueryResult {
  bytes: Buffer;
  /** Seconds. */
  elapsed: number;
  rowsRead: number;
  bytesRead: number;
}

export const StatementClass = { readOnly: 0, mutating: 1, mutatingGlobal: 2, control: 3, unknown: 4 } as const;

/** What the engine's own parser says of a text. */
export interface Classification {
  statementCount: number;
  /** One of StatementClass; the most far-reaching of all statements. */
  queryClass: number;
}

/** One engine session: its own settings, current database and temporary tables. Runs one statement at a time. */
export interface Connection {
  /** Runs the text and buffers its result; `format` holds where the statement names none. */
  query(sql: string, format?: string): Promise<QueryResult>;
  /** Parses without running. */
  classify(sql: string): Promise<Classification>;
  close(): void;
}

export interface Engine {
  /** Of the packaged engine, as in "26.7.3". */
  version: string;
  connect(): Connection;
}

function loadAddon(): Addon {
  const fromHere = createRequire(import.meta.url);
  const fromPackage = createRequire(fromHere.resolve('chdb'));
  const loader = fromPackage('./dist/loader.js') as { loadNative(): Addon };
  return loader.loadNative();
}

/**
 * Binds the process to one data directory: chDB allows no second one while any connection lives. Opening happens with
 * the first connection; the engine shuts down with the last. `args` are those of `clickhouse local`.
 */
export function loadEngine(directory: string, args: readonly string[]): Engine {
  const addon = loadAddon();
  return {
    version: addon.EngineVersion(),
    connect: () => createConnection(addon, addon.CreateConnection(directory, args)),
  };
}

function createConnection(addon: Addon, handle: Handle): Connection {
  let open = true;
  return {
    async query(sql, format = 'TabSeparated') {
      const { bytes, elapsed, rowsRead, bytesRead } = await addon.QueryAsyncConnection(handle, sql, format);
      const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      return { bytes: buffer, elapsed, rowsRead, bytesRead };
    },
    classify: (sql) => addon.DurableClassifyAsync(handle, sql, null),
    close() {
      if (open) addon.CloseConnection(handle);
      open = false;
    },
  };
}
