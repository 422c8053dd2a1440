import { CloseCode, createClient, type Client } from 'graphql-ws/client';
import { WebSocket } from 'ws';
import { CliError } from '../exit-codes.js';
import { authorization, denied, failureOf, refusal, type ApiAddress, type Variables } from './client.js';

export interface SubscriptionEvents<Data> {
  /** The server took the connection; events from now on are delivered. Called again after a silent reconnect. */
  connected(): void;
  next(data: Data): void;
}

/** A ping goes out after this much silence, and the connection is given up when no pong came; milliseconds. */
const PING_AFTER_MS = 10_000;
const PONG_WITHIN_MS = 5_000;
const ACKNOWLEDGED_WITHIN_MS = 10_000;

/** The address of the subscriptions: the same path by WebSocket. */
export function socketUrl(url: string): string {
  return url.replace(/^http/, 'ws');
}

/**
 * Follows one subscription until its connection is lost or `signal` aborts, and resolves with why, in a few words.
 * Throws CliError when trying again would not help: Denied for the token, Refused when the API does not take the
 * subscription.
 */
export async function follow<Data>(
  address: ApiAddress,
  document: string,
  variables: Variables,
  events: SubscriptionEvents<Data>,
  signal: AbortSignal,
): Promise<string> {
  const client = connect(address, () => events.connected());
  try {
    return await new Promise<string>((resolve, reject) => {
      const stop = client.subscribe<Data>(
        { query: document, variables: { ...variables } },
        {
          next(result) {
            const error = result.errors?.[0];
            if (error) reject(refusal(address, error));
            else if (result.data !== null && result.data !== undefined) events.next(result.data);
          },
          error: (error) => settle(address, error, resolve, reject),
          complete: () => resolve(signal.aborted ? 'stopped' : 'the server ended the subscription'),
        },
      );
      signal.addEventListener('abort', () => (stop(), resolve('stopped')), { once: true });
      if (signal.aborted) resolve('stopped');
    });
  } finally {
    await client.dispose();
    client.terminate();
  }
}

function connect(address: ApiAddress, connected: () => void): Client {
  const headers = authorization(address);
  class AuthorizedSocket extends WebSocket {
    constructor(url: string, protocols?: string | string[]) {
      super(url, protocols, { headers, handshakeTimeout: ACKNOWLEDGED_WITHIN_MS, maxPayload: 16 * 1024 * 1024 });
    }
  }
  let silent: NodeJS.Timeout | undefined;
  const client: Client = createClient({
    url: socketUrl(address.url),
    webSocketImpl: AuthorizedSocket,
    connectionParams: headers,
    retryAttempts: 0,
    keepAlive: PING_AFTER_MS,
    connectionAckWaitTimeout: ACKNOWLEDGED_WITHIN_MS,
    on: {
      connected,
      ping(received) {
        if (!received) silent = setTimeout(() => client.terminate(), PONG_WITHIN_MS);
      },
      pong(received) {
        if (received) clearTimeout(silent);
      },
      closed: () => clearTimeout(silent),
    },
  });
  return client;
}

/** Sorts what ended a subscription: an error of the API, a closed socket, or a socket that never opened. */
function settle(
  address: ApiAddress,
  error: unknown,
  resolve: (why: string) => void,
  reject: (error: CliError) => void,
): void {
  if (Array.isArray(error)) return reject(refusal(address, (error[0] ?? {}) as { message?: unknown }));
  if (isCloseEvent(error)) {
    if (error.code === CloseCode.Unauthorized || error.code === CloseCode.Forbidden) {
      return reject(denied(address, error.reason || `closed with ${error.code}`));
    }
    return resolve(error.reason ? `${error.reason} (${error.code})` : `connection closed (${error.code})`);
  }
  // ws wraps what failed in an ErrorEvent.
  const cause: unknown = typeof error === 'object' && error !== null && 'error' in error ? error.error : error;
  const why = failureOf(cause);
  if (/\b(401|403)\b/.test(why)) return reject(denied(address, why));
  resolve(why);
}

function isCloseEvent(error: unknown): error is { code: number; reason: string } {
  return typeof error === 'object' && error !== null && 'code' in error && 'reason' in error;
}
