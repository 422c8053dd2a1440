import { Readable } from 'node:stream';
import { text as readText } from 'node:stream/consumers';
import { finished } from 'node:stream/promises';
import { ClickHouseLogLevel, createClient, type ClickHouseClient } from '@clickhouse/client';
import { toHistoryError } from './errors.js';

export interface ConnectionOptions {
  /** `http://host:port` or `https://host:port` of ClickHouse's HTTP interface. */
  url: string;
  username: string;
  password: string;
  database: string;
  /** PEM text of the authorities that are trusted, for https; those that Node.js trusts without it. */
  ca?: string;
  /** Role to take on for every statement; those that are the user's by default without it. */
  role?: string;
  /** Name of the cluster that the tables are replicated over; one server without it. */
  cluster?: string;
  /** Longest wait for an answer, milliseconds. */
  timeoutMs?: number;
  /** Sockets kept open at most. */
  maxConnections?: number;
}

export type QueryParameters = Readonly<Record<string, unknown>>;

/** The one way to ClickHouse: every statement of this library goes through here. Throws HistoryError. */
export interface Connection {
  readonly database: string;
  /**
   * Runs a SELECT without FORMAT; one object per row. While the server runs a statement by a `queryId`, it refuses another
   * one by the same with HISTORY_BUSY.
   */
  query<Row>(sql: string, parameters?: QueryParameters, signal?: AbortSignal, queryId?: string): Promise<Row[]>;
  /** Runs a statement that takes no FORMAT; its answer as text. */
  ask(sql: string): Promise<string>;
  /**
   * Waits until this replica has all that any other one had when it was asked: what it reads then is not older. Nothing
   * without a cluster.
   */
  sync(table: string): Promise<void>;
  /** Runs a statement without a result; on a cluster, when all its servers have. */
  command(sql: string, parameters?: QueryParameters): Promise<void>;
  /** Runs `INSERT … FORMAT …` with the bytes of its rows. */
  insert(sql: string, body: readonly Uint8Array[], signal?: AbortSignal, queryId?: string): Promise<void>;
  ping(): Promise<void>;
  close(): Promise<void>;
}

const IDENTIFIER = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/;

/** A column, table or database name between backquotes. Throws RangeError when it is not a plain name. */
export function identifier(name: string): string {
  if (!IDENTIFIER.test(name)) {
    throw new RangeError(`name ${JSON.stringify(name.slice(0, 80))} must be letters, digits and '_'`);
  }
  return `\`${name}\``;
}

/** A server that is down is told of before the request itself runs out of time. */
const CLUSTER_SETTINGS = { distributed_ddl_task_timeout: '45', distributed_ddl_output_mode: 'throw' } as const;

function openClient(options: ConnectionOptions): ClickHouseClient {
  return createClient({
    url: options.url,
    username: options.username,
    password: options.password,
    database: options.database,
    application: 'tidemark',
    ...(options.ca !== undefined && { tls: { ca_cert: Buffer.from(options.ca) } }),
    ...(options.role !== undefined && { role: options.role }),
    request_timeout: options.timeoutMs ?? 60_000,
    max_open_connections: options.maxConnections ?? 10,
    // Lists of keys are longer than some servers take a URL.
    use_multipart_params_auto: true,
    keep_alive: { enabled: true, idle_socket_ttl: 2_500 },
    // Our own errors carry what the client would log.
    log: { level: ClickHouseLogLevel.OFF },
  });
}

/** `database` is not asked for by the connection itself, so that the statement that makes it can use one. */
export function createConnection(options: ConnectionOptions): Connection {
  identifier(options.database);
  const client = openClient(options);

  return {
    database: options.database,

    query: <Row>(sql: string, parameters?: QueryParameters, signal?: AbortSignal, queryId?: string) =>
      told('reading', async () => {
        const result = await client.query({
          query: sql,
          format: 'JSONEachRow',
          ...(parameters && { query_params: { ...parameters } }),
          ...(signal && { abort_signal: signal }),
          ...(queryId !== undefined && { query_id: queryId }),
        });
        return result.json<Row>();
      }),

    ask: (sql) => told(`running ${firstWords(sql)}`, async () => readText((await client.exec({ query: sql })).stream)),

    async sync(table) {
      if (options.cluster !== undefined) await this.command(`SYSTEM SYNC REPLICA ${identifier(table)} LIGHTWEIGHT`);
    },

    command: (sql, parameters) =>
      told(`running ${firstWords(sql)}`, async () => {
        await client.command({
          query: sql,
          ...(parameters && { query_params: { ...parameters } }),
          ...(sql.includes(' ON CLUSTER ') && { clickhouse_settings: CLUSTER_SETTINGS }),
        });
      }),

    insert: (sql, body, signal, queryId) =>
      told(`running ${firstWords(sql)}`, async () => {
        const { stream } = await client.exec({
          query: sql,
          values: Readable.from(body, { objectMode: false }),
          ...(signal && { abort_signal: signal }),
          ...(queryId !== undefined && { query_id: queryId }),
        });
        // The socket is free for the next request when the empty answer was read.
        await finished(stream.resume());
      }),

    async ping() {
      const result = await client.ping();
      if (!result.success) throw toHistoryError(result.error, 'pinging');
    },

    close: () => client.close(),
  };
}

/** What goes wrong is told as a HistoryError. */
async function told<T>(doing: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    throw toHistoryError(error, doing);
  }
}

function firstWords(sql: string): string {
  return sql.trim().split(/\s+/).slice(0, 3).join(' ');
}
