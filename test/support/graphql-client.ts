import { createClient } from 'graphql-ws';
import { WebSocket } from 'ws';

export interface GraphqlClient {
  query<T>(query: string, variables?: Record<string, unknown>): Promise<T>;
  /** Collects what a subscription sends, until `stop`. */
  subscribe<T>(query: string, variables?: Record<string, unknown>): { received: T[]; stop(): Promise<void> };
}

export function graphqlClient(url: string): GraphqlClient {
  return {
    async query<T>(query: string, variables: Record<string, unknown> = {}): Promise<T> {
      const response = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ query, variables }),
      });
      const { data, errors } = (await response.json()) as { data?: T; errors?: unknown[] };
      if (errors || !data) throw new Error(`GraphQL: ${JSON.stringify(errors)}`);
      return data;
    },
    subscribe<T>(query: string, variables: Record<string, unknown> = {}) {
      const client = createClient({ url: url.replace('http', 'ws'), webSocketImpl: WebSocket });
      const received: T[] = [];
      client.subscribe<T>(
        { query, variables },
        {
          next: ({ data }) => void (data && received.push(data)),
          error: () => {},
          complete: () => {},
        },
      );
      return { received, stop: async () => void (await client.dispose()) };
    },
  };
}
