import { GraphQLError } from 'graphql';

/** Every code that this API puts in `extensions.code`, beside those of the GraphQL server itself. */
export type GraphErrorCode =
  | 'ALIAS_LIMIT'
  | 'BAD_CURSOR'
  | 'BAD_FILTER'
  | 'BAD_INPUT'
  | 'BAD_PAGE'
  | 'BAD_PERIOD'
  | 'BAD_RESOLUTION'
  | 'BAD_REQUEST'
  | 'BODY_TOO_LARGE'
  | 'COST_LIMIT'
  | 'DEPTH_LIMIT'
  | 'DIRECTIVE_LIMIT'
  | 'FINDING_NOT_FOUND'
  | 'HISTORY_UNAVAILABLE'
  | 'HOST_NOT_ALLOWED'
  | 'LOG_UNAVAILABLE'
  | 'NODE_INACTIVE'
  | 'NODE_NOT_FOUND'
  | 'NODE_NOT_SAMPLED'
  | 'ORIGIN_NOT_ALLOWED'
  | 'PROCESS_NOT_FOUND'
  | 'RANGE_TOO_LONG'
  | 'SUBSCRIPTION_LIMIT'
  | 'TOKEN_LIMIT'
  | 'TRACE_NOT_FOUND'
  | 'UNAUTHENTICATED';

/** An answer that the asker can do something about: the message names the field, the value and the allowed range. */
export class GraphError extends GraphQLError {
  override readonly name = 'GraphError';

  constructor(
    readonly code: GraphErrorCode,
    message: string,
    options: { status?: number } = {},
  ) {
    // Apollo takes the HTTP status from here when nothing was executed yet, and does not send it along.
    super(message, { extensions: { code, http: { status: options.status ?? 400 } } });
  }
}
