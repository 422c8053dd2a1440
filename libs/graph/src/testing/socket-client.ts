import type { FormattedExecutionResult } from 'graphql';
import { createClient, type Client } from 'graphql-ws';
import { WebSocket } from 'ws';

/** What one subscription got, in order, and how it ended. */
export interface Followed {
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- each test knows what it asked for
  readonly events: FormattedExecutionResult<Record<string, any>>[];
  /** `complete`, or the errors or close event it ended with. */
  end: unknown;
  stop(): void;
}

export interface SocketClient {
  follow(query: string, variables?: Record<string, unknown>): Followed;
  close(): Promise<void>;
}

/** A real graphql-ws client, which does not try again. */
export function connectSocket(
  url: string,
  options: { params?: Record<string, unknown>; headers?: Record<string, string> } = {},
): SocketClient {
  class HeaderSocket extends WebSocket {
    constructor(address: string, protocols?: string | string[]) {
      super(address, protocols, { headers: options.headers ?? {} });
    }
  }
  const client: Client = createClient({
    ...{ url: url.replace(/^http/, 'ws'), webSocketImpl: HeaderSocket, retryAttempts: 0, lazy: true },
    ...(options.params && { connectionParams: options.params }),
  });
  return {
    follow(query, variables = {}) {
      const followed: Followed = { events: [], end: undefined, stop: () => stop() };
      const stop = client.subscribe<Record<string, unknown>>(
        { query, variables },
        {
          next: (event) => followed.events.push(event as Followed['events'][number]),
          error: (error) => (followed.end = error ?? 'error'),
          complete: () => (followed.end ??= 'complete'),
        },
      );
      return followed;
    },
    close: async () => client.dispose(),
  };
}
