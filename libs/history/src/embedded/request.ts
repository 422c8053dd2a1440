import type { IncomingMessage } from 'node:http';
import { randomUUID } from 'node:crypto';
import { EngineException } from './exception.js';
import type { ResponseEncoding } from './response-encoding.js';

/** Parameters with a meaning of their own in the HTTP interface; all others are settings. */
const reserved = new Set([
  'query',
  'database',
  'user',
  'password',
  'quota_key',
  'role',
  'default_format',
  'query_id',
  'session_id',
  'session_timeout',
  'session_check',
  'close_session',
  'compress',
  'decompress',
  'wait_end_of_query',
  'buffer_size',
  'stacktrace',
  'add_http_cors_header',
  'client_protocol_version',
  'enable_http_compression',
]);

export interface SessionRequest {
  id: string;
  timeoutSeconds: number;
  mustExist: boolean;
  closeAfter: boolean;
}

/** One query request as its URL and headers say it. */
export interface QueryRequest {
  /** Of the URL or a form field; the body follows it. */
  query: string;
  credentials: { username: string; password: string };
  database: string | null;
  roles: string[];
  settings: [name: string, value: string][];
  /** Values of `{name:Type}` in the query, escaped as in TabSeparated. */
  parameters: [name: string, value: string][];
  queryId: string;
  session: SessionRequest | null;
  defaultFormat: string | null;
  /** The whole result is held back until the query has ended. */
  waitEnd: boolean;
  /** The body is in the native protocol's compressed blocks. */
  decompress: boolean;
  /** The result is to be in them. */
  compress: boolean;
  /** Best encoding both sides know, when compression is asked for. */
  encoding: ResponseEncoding | null;
  /** Of the native protocol, as the client speaks it in Native results; 0 when not given. */
  protocolVersion: number;
  /** Only statements that read are allowed. */
  readOnly: boolean;
}

/** @throws EngineException for contradictions and unreadable values. */
export function readQueryRequest(request: IncomingMessage, encodings: readonly ResponseEncoding[]): QueryRequest {
  const url = parseUrl(request);
  const { searchParams } = url;
  const isOn = (name: string) => ['1', 'true'].includes(searchParams.get(name) ?? '');
  const result: QueryRequest = {
    query: searchParams.getAll('query').join(''),
    credentials: readCredentials(request, searchParams),
    database: searchParams.get('database') || header(request, 'x-clickhouse-database') || null,
    roles: searchParams.getAll('role'),
    settings: [],
    parameters: [],
    queryId: searchParams.get('query_id') || randomUUID(),
    session: readSession(searchParams, isOn('session_check'), isOn('close_session')),
    defaultFormat: searchParams.get('default_format') || header(request, 'x-clickhouse-format') || null,
    waitEnd: isOn('wait_end_of_query'),
    decompress: isOn('decompress'),
    compress: isOn('compress'),
    encoding: null,
    protocolVersion: Number(searchParams.get('client_protocol_version') ?? 0) || 0,
    readOnly: request.method === 'GET' || request.method === 'HEAD',
  };
  for (const [name, value] of searchParams) addParameter(result, name, value);
  // As in the server since 25: the header alone asks for compression only when the setting is not given as 0.
  if (isOn('enable_http_compression')) result.encoding = chooseEncoding(request, encodings);
  return result;
}

/** Takes in a field of the URL or of a form. */
export function addParameter(request: QueryRequest, name: string, value: string): void {
  if (name.startsWith('param_')) request.parameters.push([name.slice('param_'.length), value]);
  else if (!reserved.has(name)) request.settings.push([name, value]);
}

function parseUrl(request: IncomingMessage): URL {
  try {
    return new URL(request.url ?? '/', 'http://localhost');
  } catch {
    throw new EngineException(36, 'BAD_ARGUMENTS', 'The request has an unreadable URL');
  }
}

function header(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

function readCredentials(request: IncomingMessage, params: URLSearchParams) {
  const authorization = request.headers.authorization;
  const user = header(request, 'x-clickhouse-user');
  const key = header(request, 'x-clickhouse-key');
  const inUrl = params.has('user') || params.has('password');
  const ways = [authorization !== undefined, user !== undefined || key !== undefined, inUrl].filter(Boolean).length;
  if (ways > 1) {
    const sentence =
      'Invalid authentication: use one of the Authorization header, X-ClickHouse headers, URL parameters';
    throw new EngineException(516, 'AUTHENTICATION_FAILED', sentence);
  }
  if (authorization !== undefined) return readBasic(authorization);
  return {
    username: user ?? (params.get('user') || 'default'),
    password: key ?? params.get('password') ?? '',
  };
}

function readBasic(authorization: string) {
  const match = /^Basic\s+([A-Za-z0-9+/=_-]*)\s*$/i.exec(authorization);
  if (match === null) {
    const scheme = authorization.split(' ')[0]!.slice(0, 20);
    const sentence = `Invalid authentication: '${scheme}' HTTP Authorization scheme is not supported`;
    throw new EngineException(516, 'AUTHENTICATION_FAILED', sentence);
  }
  const text = Buffer.from(match[1]!, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  if (colon < 0) return { username: text || 'default', password: '' };
  return { username: text.slice(0, colon) || 'default', password: text.slice(colon + 1) };
}

const defaultSessionSeconds = 60;
const maxSessionSeconds = 3600;

function readSession(params: URLSearchParams, mustExist: boolean, closeAfter: boolean): SessionRequest | null {
  const id = params.get('session_id');
  if (!id) return null;
  const text = params.get('session_timeout');
  const timeoutSeconds = text === null ? defaultSessionSeconds : Number(text);
  if (!Number.isInteger(timeoutSeconds) || timeoutSeconds < 0 || timeoutSeconds > maxSessionSeconds) {
    const sentence = `Session timeout '${text}' is not a whole number of seconds from 0 to ${maxSessionSeconds}`;
    throw new EngineException(374, 'INVALID_SESSION_TIMEOUT', sentence);
  }
  return { id, timeoutSeconds, mustExist, closeAfter };
}

function chooseEncoding(request: IncomingMessage, known: readonly ResponseEncoding[]): ResponseEncoding | null {
  const accepted = (header(request, 'accept-encoding') ?? '')
    .split(',')
    .map((part) =>
      part
        .trim()
        .toLowerCase()
        .split(/\s*;\s*/),
    )
    .filter(([, quality]) => quality !== 'q=0')
    .map(([name]) => name);
  return known.find((encoding) => accepted.includes(encoding)) ?? null;
}
