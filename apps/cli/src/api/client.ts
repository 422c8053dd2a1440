import { CliError, Exit } from '../exit-codes.js';

/** Where the API is, and with which right to ask it. */
export interface ApiAddress {
  url: string;
  token: string | undefined;
}

export type Variables = Readonly<Record<string, unknown>>;

export interface ApiClient {
  readonly address: ApiAddress;
  /**
   * Asks one query and gives its data. Throws CliError: Unreachable when nothing or no GraphQL API answers, Denied for
   * a missing or wrong token, Refused for any other error of the API. `signal` gives the request up.
   */
  query<Data>(document: string, variables?: Variables, signal?: AbortSignal): Promise<Data>;
}

/** A request is given up after this long, milliseconds. */
export const REQUEST_DEADLINE_MS = 20_000;

interface GraphError {
  message?: unknown;
  extensions?: { code?: unknown };
}

export function createApiClient(address: ApiAddress, deadlineMs: number = REQUEST_DEADLINE_MS): ApiClient {
  return {
    address,
    async query<Data>(document: string, variables: Variables = {}, signal?: AbortSignal): Promise<Data> {
      const late = AbortSignal.timeout(deadlineMs);
      const body = JSON.stringify({ query: document, variables });
      let response: Response;
      let text: string;
      try {
        response = await fetch(address.url, {
          method: 'POST',
          headers: { 'content-type': 'application/json', accept: 'application/json', ...authorization(address) },
          body,
          signal: signal ? AbortSignal.any([signal, late]) : late,
        });
        text = await response.text();
      } catch (error) {
        if (signal?.aborted) throw error;
        throw unreachable(
          address.url,
          late.aborted ? `no answer within ${deadlineMs / 1000} s` : failureOf(error),
          error,
        );
      }
      return readAnswer<Data>(address, response, text);
    },
  };
}

export function authorization(address: ApiAddress): Record<string, string> {
  return address.token === undefined ? {} : { authorization: `Bearer ${address.token}` };
}

export function unreachable(url: string, why: string, cause?: unknown): CliError {
  return new CliError(
    Exit.Unreachable,
    `no Tidemark API at ${url} (${why})`,
    'start one with "tidemark up", or name another with --url',
    { cause },
  );
}

function readAnswer<Data>(address: ApiAddress, response: Response, text: string): Data {
  let body: { data?: Data | null; errors?: GraphError[] } | undefined;
  try {
    const json: unknown = JSON.parse(text);
    if (typeof json === 'object' && json !== null) body = json;
  } catch {
    // Not JSON: told below, with the status.
  }
  const error = Array.isArray(body?.errors) ? body.errors[0] : undefined;
  if (error) throw refusal(address, error, response.status);
  if (response.status === 401 || response.status === 403) throw denied(address, `HTTP ${response.status}`);
  if (!body || body.data === null || body.data === undefined) {
    const type = response.headers.get('content-type')?.split(';')[0] ?? 'no type';
    throw new CliError(
      Exit.Unreachable,
      `${address.url} answers, but not as a Tidemark API (HTTP ${response.status}, ${type})`,
      'check --url: the path is /graphql',
    );
  }
  return body.data;
}

/** The CliError for an error that the API sent. */
export function refusal(address: ApiAddress, error: GraphError, status?: number): CliError {
  const code = typeof error.extensions?.code === 'string' ? error.extensions.code : undefined;
  const message = typeof error.message === 'string' && error.message !== '' ? error.message : 'no reason given';
  if (status === 401 || status === 403 || code === 'UNAUTHENTICATED' || code === 'FORBIDDEN') {
    return denied(address, message);
  }
  return new CliError(Exit.Refused, `the API refused: ${message}${code === undefined ? '' : ` (${code})`}`);
}

export function denied(address: ApiAddress, why: string): CliError {
  return new CliError(
    Exit.Denied,
    `the API at ${address.url} denied the request (${why})`,
    address.token === undefined ? 'give its token with --token or TIDEMARK_TOKEN' : 'the token is not the right one',
  );
}

const FAILURES: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  ENOTFOUND: 'unknown host',
  EAI_AGAIN: 'the host name cannot be resolved now',
  EHOSTUNREACH: 'host unreachable',
  ENETUNREACH: 'network unreachable',
  ETIMEDOUT: 'connection timed out',
  UND_ERR_CONNECT_TIMEOUT: 'connection timed out',
  UND_ERR_SOCKET: 'connection closed',
  EACCES: 'permission denied',
};

/** Why a connection failed, in a few words. */
export function failureOf(error: unknown): string {
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code !== undefined && FAILURES[code] !== undefined) return FAILURES[code];
    if (cause instanceof AggregateError && cause.errors.length > 0) return failureOf(cause.errors[0]);
    if (cause.cause === undefined) return code ?? cause.message;
  }
  return String(error);
}
