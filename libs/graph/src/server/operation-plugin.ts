import type { ApolloServerPlugin, GraphQLRequestContext } from '@apollo/server';
import { Counter, Histogram, type Registry } from '@tidemark/service';
import { checkOperation, type OperationLimits } from './operation-limits.js';
import type { GraphContext } from '../sources.js';

/** Counts operations, by kind and by how they ended. */
export interface OperationMetrics {
  count(kind: string, code: string): void;
  time(kind: string, ms: number): void;
}

export function createOperationMetrics(registry: Registry): OperationMetrics {
  const operations = new Counter({
    name: 'tidemark_graphql_operations_total',
    help: 'GraphQL operations, by kind and by the code of their first error.',
    labelNames: ['kind', 'code'],
    registers: [registry],
  });
  const seconds = new Histogram({
    name: 'tidemark_graphql_operation_seconds',
    help: 'Time from the request to its answer.',
    labelNames: ['kind'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers: [registry],
  });
  return {
    count: (kind, code) => operations.inc({ kind, code }),
    time: (kind, ms) => seconds.observe({ kind }, ms / 1000),
  };
}

/** Refuses operations that ask for too much, and counts all of them. */
export function createOperationPlugin(
  limits: OperationLimits,
  metrics: OperationMetrics,
  now: () => number,
): ApolloServerPlugin<GraphContext> {
  return {
    requestDidStart() {
      const startedAt = performance.now();
      return Promise.resolve({
        didResolveOperation({ schema, document, request }) {
          checkOperation(
            { schema, document, operationName: request.operationName, variables: request.variables },
            limits,
            now(),
          );
          return Promise.resolve();
        },
        willSendResponse(context: GraphQLRequestContext<GraphContext>) {
          const kind = context.operation?.operation ?? 'none';
          metrics.count(kind, firstCode(context));
          metrics.time(kind, performance.now() - startedAt);
          return Promise.resolve();
        },
      });
    },
  };
}

function firstCode({ response }: GraphQLRequestContext<GraphContext>): string {
  const errors = response.body?.kind === 'single' ? response.body.singleResult.errors : undefined;
  const code = errors?.[0]?.extensions?.['code'];
  return typeof code === 'string' ? code : 'OK';
}
