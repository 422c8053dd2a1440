import type { ServerResponse } from 'node:http';
import type { Logger } from '@tidemark/service';
import { GraphQLError, type GraphQLFormattedError } from 'graphql';
import { GraphError } from '../graph-error.js';

const TOO_MANY_TOKENS = /^Syntax Error: Document contains more th?a[nt] (\d+) tokens/;

/**
 * What an asker is told of an error: message, path, locations and code. Of an error that nobody foresaw, only that it
 * happened; the rest goes to the log.
 */
export function describeError(error: unknown, logger: Logger): GraphQLFormattedError {
  const graphql = error instanceof GraphQLError ? error : undefined;
  const original = graphql?.originalError ?? (graphql ? undefined : error);
  const known = original instanceof GraphError ? original : graphql instanceof GraphError ? graphql : undefined;
  const at = {
    ...(graphql?.locations && { locations: graphql.locations }),
    ...(graphql?.path && { path: graphql.path }),
  };
  if (known) return { message: known.message, ...at, extensions: { code: known.code } };
  // A GraphQLError wraps what a resolver threw: only those without such a cause are about the query itself.
  if (graphql && (!original || original instanceof GraphQLError)) {
    const tokens = TOO_MANY_TOKENS.exec(graphql.message);
    if (tokens) {
      const message = `the query has more than ${tokens[1]} tokens: split it`;
      return { message, ...at, extensions: { code: 'TOKEN_LIMIT' } };
    }
    const message = graphql.message.replaceAll(/\s*\n\s*/g, ' ').trim();
    return { message, ...at, extensions: { code: codeOf(graphql) } };
  }
  const cause = original instanceof Error ? original : new Error(String(original));
  logger.error({ error: cause.message, stack: cause.stack, path: graphql?.path }, 'unforeseen error in a query');
  return {
    message: "internal error; the server's log says more",
    ...at,
    extensions: { code: 'INTERNAL_SERVER_ERROR' },
  };
}

function codeOf(error: GraphQLError): string {
  const code = error.extensions['code'];
  return typeof code === 'string' ? code : 'GRAPHQL_VALIDATION_FAILED';
}

/** Answers a request that never became an operation. */
export function sendError(response: ServerResponse, error: GraphError): void {
  const status = (error.extensions['http'] as { status: number }).status;
  const body = JSON.stringify({ errors: [{ message: error.message, extensions: { code: error.code } }] });
  response.writeHead(status, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(body),
    ...(status === 401 && { 'www-authenticate': 'Bearer realm="tidemark"' }),
    // What is left of a body that was too large is not read.
    ...(status === 413 && { connection: 'close' }),
  });
  response.end(body);
}
