import { ApolloDriver, type ApolloDriverConfig } from '@nestjs/apollo';
import { Module, type DynamicModule } from '@nestjs/common';
import { GraphQLModule } from '@nestjs/graphql';
import { readFileSync } from 'node:fs';
import { ClusterAggregateResolver, ClusterResolver } from '../cluster/cluster.resolver.js';
import { FindingResolver } from '../finding/finding.resolver.js';
import { createLoaders } from '../loaders.js';
import { NodeResolver } from '../node/node.resolver.js';
import { ProcessResolver } from '../process/process.resolver.js';
import { SiteResolver, TraceResolver } from '../trace/trace.resolver.js';
import { scalars } from '../scalars/scalars.js';
import { GRAPH_SOURCES, type GraphContext, type GraphSources } from '../sources.js';
import { bearerOf, type Access } from './access.js';
import { describeError } from './error-format.js';
import type { OperationLimits } from './operation-limits.js';
import { createOperationPlugin, type OperationMetrics } from './operation-plugin.js';
import type { GatedRequest } from './request-gate.js';
import { STATUS_SOURCES, StatusController, type StatusSources } from './status.controller.js';

export const GRAPHQL_PATH = '/graphql';

/** The committed schema, which a test holds in step with the sources. The path is the same from `src` and `dist`. */
export function readSchemaFile(): string {
  return readFileSync(new URL('../../schema.graphql', import.meta.url), 'utf8');
}

export interface GraphModuleOptions {
  sources: GraphSources;
  status: StatusSources;
  access: Access;
  limits: OperationLimits;
  metrics: OperationMetrics;
  introspection: boolean;
}

@Module({})
export class GraphModule {
  static of(options: GraphModuleOptions): DynamicModule {
    return {
      module: GraphModule,
      imports: [GraphQLModule.forRoot<ApolloDriverConfig>(apolloOptions(options))],
      controllers: [StatusController],
      providers: [
        { provide: GRAPH_SOURCES, useValue: options.sources },
        { provide: STATUS_SOURCES, useValue: options.status },
        ...[ClusterResolver, ClusterAggregateResolver, NodeResolver, ProcessResolver, FindingResolver],
        ...[TraceResolver, SiteResolver],
      ],
    };
  }
}

function apolloOptions({ sources, access, limits, metrics, introspection }: GraphModuleOptions): ApolloDriverConfig {
  const context = ({ req }: { req: GatedRequest }): GraphContext => {
    const asked = sources.now();
    return { authorized: access.isAuthorized(bearerOf(req)), loaders: createLoaders(sources), now: () => asked };
  };
  return {
    driver: ApolloDriver,
    path: GRAPHQL_PATH,
    typeDefs: readSchemaFile(),
    resolvers: scalars,
    context,
    graphiql: false,
    introspection,
    csrfPrevention: true,
    allowBatchedHttpRequests: false,
    persistedQueries: false,
    includeStacktraceInErrorResponses: false,
    autoTransformHttpErrors: false,
    parseOptions: { maxTokens: limits.tokens },
    plugins: [createOperationPlugin(limits, metrics, sources.now)],
    formatError: (formatted, error) => {
      // What the GraphQL server itself found wrong has its code already; the rest is ours to judge.
      const described = describeError(error, sources.logger);
      const code = described.extensions?.['code'];
      if (code !== 'GRAPHQL_VALIDATION_FAILED') return described;
      return { ...described, extensions: { code: formatted.extensions?.['code'] ?? code } };
    },
  };
}
