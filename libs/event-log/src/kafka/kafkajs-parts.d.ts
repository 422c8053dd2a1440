// The parts of kafkajs 2.2.4 below its clients: one connection to a broker, and the wire format of every request.

declare module 'kafkajs/src/network/connectionPool.js' {
  import type { Socket } from 'node:net';

  interface PoolLogger {
    namespace(): PoolLogger;
    debug(message: string, extra?: unknown): void;
    info(message: string, extra?: unknown): void;
    warn(message: string, extra?: unknown): void;
    error(message: string, extra?: unknown): void;
  }

  export interface WireRequest {
    request: { apiName: string; apiKey: number; apiVersion: number };
    response: { decode(payload: Buffer): Promise<unknown>; parse(data: unknown): Promise<unknown> };
    requestTimeout?: number;
    logResponseError?: boolean;
  }

  /** Requests of one socket: those that are under way, and those that wait because the broker asked for a pause. */
  export interface RequestQueue {
    readonly pending: readonly unknown[];
    scheduleCheckPendingRequests(): void;
  }

  /** Two sockets to one broker: one that fetches, one for everything else. */
  export default class ConnectionPool {
    readonly pool: readonly { readonly requestQueue: RequestQueue }[];
    constructor(options: {
      host: string;
      port: number;
      rack: null;
      ssl: object | null;
      sasl: object | null;
      clientId: string;
      logger: PoolLogger;
      socketFactory: (target: { host: string; port: number; ssl: object | null; onConnect: () => void }) => Socket;
      connectionTimeout: number;
      requestTimeout: number;
      enforceRequestTimeout: boolean;
      maxInFlightRequests: number | null;
      instrumentationEmitter: null;
      reauthenticationThreshold: number;
    });
    send(request: WireRequest): Promise<unknown>;
    /** Connects when it is not connected: 1 is the socket that fetches. */
    getConnection(index: 0 | 1): Promise<unknown>;
    destroy(): Promise<void>;
  }
}

declare module 'kafkajs/src/broker/index.js' {
  import type ConnectionPool from 'kafkajs/src/network/connectionPool.js';
  import type { WireRequest } from 'kafkajs/src/network/connectionPool.js';

  export default class Broker {
    constructor(options: {
      connectionPool: ConnectionPool;
      logger: object;
      authenticationTimeout: number;
      allowAutoTopicCreation: boolean;
    });
    readonly connectionPool: ConnectionPool;
    isConnected(): boolean;
    connect(): Promise<void>;
    disconnect(): Promise<void>;
    lookupRequest(apiKey: number, definition: object): (options: object) => WireRequest;
  }
}

declare module 'kafkajs/src/protocol/requests/index.js' {
  /** The versions of one request that kafkajs can write and read. */
  export interface RequestDefinition {
    versions: readonly string[];
    protocol(choice: { version: number }): (options: object) => object;
  }

  export const requests: Readonly<Record<string, RequestDefinition>>;
}

declare module 'kafkajs/src/protocol/requests/apiKeys.js' {
  const apiKeys: Readonly<Record<string, number>>;
  export default apiKeys;
}
