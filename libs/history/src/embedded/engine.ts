import { createRequire } from 'node:module';

/** A native connection handle; opaque. */
type Handle = object & { readonly brand: unique symbol };

/** The functions of chDB's native addon that the server uses; the package's own wrapper refuses binary insert formats. */
interface Addon {
  CreateConnection(directory: string, args?: readonly string[]): Handle;
  CloseConnection(handle: Handle): void;
  QueryAsyncConnection(handle: Handle, sql: string, format: string): Promise<NativeResult>;
  InsertRawAsyncConnection(handle: Handle, prefix: string, data: Buffer, countLines: boolean): Promise<NativeInsert>;
}

interface NativeResult {
  bytes: Uint8Array;
  elapsed: number;
  rowsRead: number;
  bytesRead: number;
}

interface NativeInsert {
  elapsed: number;
  rowsWritten: number;
  bytesWritten: number;
}

export interface QueryResult {
  bytes: Buffer;
  rowsRead: number;
  bytesRead: number;
}

export interface InsertResult {
  rowsWritten: number;
  bytesWritten: number;
}

/** One engine session: its own settings, current database and temporary tables. Runs one statement at a time. */
export interface Connection {
  /** Runs one statement and buffers its whole result; `format` holds where the statement names none. */
  query(sql: string, format?: string): Promise<QueryResult>;
  /** Runs an INSERT whose rows are `data`, in the format that `prefix` ends with. */
  insert(prefix: string, data: Buffer): Promise<InsertResult>;
  close(): void;
}

export interface Engine {
  connect(): Connection;
}

/** Binds the process to one data directory: chDB allows a process no second one while any connection lives. */
export function openEngine(directory: string, args: readonly string[]): Engine {
  const fromHere = createRequire(import.meta.url);
  const fromPackage = createRequire(fromHere.resolve('chdb'));
  const loader = fromPackage('./dist/loader.js') as { loadNative(): Addon };
  const addon = loader.loadNative();
  return { connect: () => createConnection(addon, addon.CreateConnection(directory, args)) };
}

function createConnection(addon: Addon, handle: Handle): Connection {
  let open = true;
  return {
    async query(sql, format = 'TabSeparated') {
      const { bytes, rowsRead, bytesRead } = await addon.QueryAsyncConnection(handle, sql, format);
      return { bytes: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), rowsRead, bytesRead };
    },
    async insert(prefix, data) {
      const { rowsWritten, bytesWritten } = await addon.InsertRawAsyncConnection(handle, prefix, data, false);
      return { rowsWritten, bytesWritten };
    },
    close() {
      if (open) addon.CloseConnection(handle);
      open = false;
    },
  };
}
