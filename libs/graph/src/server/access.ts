import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { GraphError } from '../graph-error.js';

export interface AccessOptions {
  /** Address that the server listens on. */
  host: string;
  /** Left out: loopback only, and everything is allowed there. */
  token?: string | undefined;
  /** Further names under which a browser may reach a server on loopback. */
  allowedHosts?: readonly string[] | undefined;
  /** Origins (`https://example.com`) of pages that may ask this server from a browser. */
  allowedOrigins?: readonly string[] | undefined;
}

/** Who may ask what. */
export interface Access {
  readonly loopback: boolean;
  /** Throws GraphError HOST_NOT_ALLOWED, ORIGIN_NOT_ALLOWED (WebSocket only) or UNAUTHENTICATED for a wrong token. */
  check(request: IncomingMessage, kind: 'http' | 'socket'): void;
  /** Whether the right token was shown, or none is needed for anything. */
  isAuthorized(shown: string | undefined): boolean;
  /** Whether nothing but health is answered without the token. */
  readonly tokenForAll: boolean;
  allowsOrigin(origin: string): boolean;
}

export function isLoopback(host: string): boolean {
  const address = host.replace(/^\[|\]$/g, '').toLowerCase();
  if (address === 'localhost' || address === '::1') return true;
  return isIP(address) === 4 && address.startsWith('127.');
}

/** Throws GraphError when the server would answer the network without a token. */
export function createAccess(options: AccessOptions): Access {
  const { host, token, allowedHosts = [], allowedOrigins = [] } = options;
  const loopback = isLoopback(host);
  if (token !== undefined && token.length < 8) {
    throw new GraphError('BAD_INPUT', 'the API token is shorter than 8 characters: choose a longer one');
  }
  if (!loopback && token === undefined) {
    throw new GraphError(
      'UNAUTHENTICATED',
      `the API will not listen on ${host} without a token: set a token, or listen on 127.0.0.1`,
    );
  }
  const digest = token === undefined ? undefined : sha256(token);
  const isAuthorized = (shown: string | undefined) =>
    digest === undefined || (shown !== undefined && timingSafeEqual(sha256(shown), digest));
  const hosts = new Set(allowedHosts.map((name) => name.toLowerCase()));
  const origins = new Set(allowedOrigins);
  return {
    loopback,
    tokenForAll: !loopback,
    isAuthorized,
    allowsOrigin: (origin) => origins.has(origin),
    check(request, kind) {
      if (loopback) checkHost(request, hosts);
      // Browsers ask before they send a foreign page's JSON, but open its WebSockets at once.
      if (kind === 'socket') checkOrigin(request, origins);
      const shown = bearerOf(request);
      if (shown !== undefined && !isAuthorized(shown)) {
        throw new GraphError('UNAUTHENTICATED', 'the token in the Authorization header is wrong', { status: 401 });
      }
    },
  };
}

export function bearerOf(request: IncomingMessage): string | undefined {
  return readBearer(request.headers.authorization);
}

export function readBearer(header: unknown): string | undefined {
  return typeof header === 'string' ? /^Bearer +(\S+) *$/i.exec(header)?.[1] : undefined;
}

/** A page whose name its owner pointed at 127.0.0.1 still sends its own name: DNS rebinding. */
function checkHost(request: IncomingMessage, allowed: ReadonlySet<string>): void {
  const name = hostName(request.headers.host ?? '');
  if (isLoopback(name) || allowed.has(name)) return;
  throw new GraphError(
    'HOST_NOT_ALLOWED',
    `the Host header ${JSON.stringify(name.slice(0, 80))} is no name of this server: use localhost or 127.0.0.1`,
    { status: 403 },
  );
}

function checkOrigin(request: IncomingMessage, allowed: ReadonlySet<string>): void {
  const { origin, host } = request.headers;
  if (origin === undefined || allowed.has(origin)) return;
  if (URL.canParse(origin) && new URL(origin).host.toLowerCase() === host?.toLowerCase()) return;
  throw new GraphError(
    'ORIGIN_NOT_ALLOWED',
    `pages of ${JSON.stringify(origin.slice(0, 80))} may not open subscriptions here`,
    { status: 403 },
  );
}

/** Without the port. */
function hostName(header: string): string {
  return header.toLowerCase().replace(/:\d+$/, '');
}

/** Equal lengths, so that comparing takes the same time whatever was shown. */
function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
