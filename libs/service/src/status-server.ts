import { createHash, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { isIP, type AddressInfo } from 'node:net';
import { healthReport, type Health } from './health.js';
import type { Registry } from './metrics.js';

export interface StatusServerOptions {
  /** Another address than one of loopback needs a token. */
  host: string;
  /** 0 takes any. */
  port: number;
  /** Every part of the process by name; what is added later is asked, too. */
  health: Readonly<Record<string, () => Health>>;
  registry: Registry;
  /** Shown as `Authorization: Bearer TOKEN`; whether the app is live and ready is told without it. */
  token?: string | undefined;
}

export interface StatusServer {
  readonly url: string;
  /** Says that the process is not ready any more, and goes on answering until `close`. */
  stopping(): void;
  close(deadlineMs: number): Promise<void>;
}

const MIN_TOKEN = 8;

/**
 * Answers `/health/live`, `/health/ready` (200 or 503 with the report as JSON) and `/metrics` (Prometheus text). Throws
 * Error that names the setting when it cannot listen.
 */
export async function startStatusServer(options: StatusServerOptions): Promise<StatusServer> {
  const { host, port, token } = options;
  if (token !== undefined && token.length < MIN_TOKEN) {
    throw new Error(`status.token: is shorter than ${MIN_TOKEN} characters: choose a longer one`);
  }
  if (!isLoopback(host) && token === undefined) {
    throw new Error(
      `status.host: will not listen on ${host} without a token: set status.token, or listen on 127.0.0.1`,
    );
  }
  const state = { stopping: false };
  const server = createServer((request, response) => {
    answer({ ...options, state }, request, response).catch((error: Error) => {
      if (!response.headersSent) response.writeHead(500, { 'content-type': 'text/plain; charset=utf-8' });
      response.end(`${error.message}\n`);
    });
  });
  await listen(server, host, port);
  const bound = (server.address() as AddressInfo).port;
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${bound}`,
    stopping: () => void (state.stopping = true),
    async close(deadlineMs) {
      state.stopping = true;
      const late = setTimeout(() => server.closeAllConnections(), deadlineMs);
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      await closed;
      clearTimeout(late);
    },
  };
}

type Asked = StatusServerOptions & { state: { stopping: boolean } };

async function answer(asked: Asked, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { health, registry, state } = asked;
  const path = (request.url ?? '/').split('?')[0];
  if (request.method !== 'GET' && request.method !== 'HEAD')
    return sendText(response, 405, 'only GET is answered here');
  if (isLoopback(asked.host) && !isOwnName(request.headers.host ?? '')) {
    return sendText(response, 403, 'the Host header names another server: use localhost or 127.0.0.1');
  }
  const known = isAuthorized(asked, request);
  if (path === '/health/live' || path === '/health/ready') {
    const report = healthReport(health);
    const ready = report.ready && !state.stopping;
    // A stranger on the network is told the outcome, and nothing of the parts.
    const body = known ? { ...report, ready } : { live: report.live, ready };
    response.writeHead((path === '/health/live' ? report.live : ready) ? 200 : 503, {
      'content-type': 'application/json; charset=utf-8',
      'cache-control': 'no-store',
    });
    response.end(JSON.stringify(body));
    return;
  }
  if (path !== '/metrics') return sendText(response, 404, 'there is /health/live, /health/ready and /metrics');
  if (!known) return sendText(response, 401, 'this needs the header Authorization: Bearer TOKEN');
  const text = await registry.metrics();
  response.writeHead(200, { 'content-type': registry.contentType });
  response.end(text);
}

function isAuthorized({ host, token }: Asked, { headers }: IncomingMessage): boolean {
  if (token === undefined) return true;
  const shown = /^Bearer +(\S+) *$/i.exec(headers.authorization ?? '')?.[1];
  // On loopback only a wrong token is refused, as the API does.
  if (shown === undefined) return isLoopback(host);
  return timingSafeEqual(sha256(shown), sha256(token));
}

/** Equal lengths, so that comparing takes the same time whatever was shown. */
function sha256(value: string): Buffer {
  return createHash('sha256').update(value).digest();
}

function sendText(response: ServerResponse, code: number, text: string): void {
  response.writeHead(code, { 'content-type': 'text/plain; charset=utf-8' });
  response.end(`${text}\n`);
}

function isLoopback(host: string): boolean {
  const name = host.replace(/^\[|\]$/g, '').toLowerCase();
  return name === 'localhost' || name === '::1' || (isIP(name) === 4 && name.startsWith('127.'));
}

/** A page whose name its owner pointed at 127.0.0.1 still sends its own name: DNS rebinding. */
function isOwnName(header: string): boolean {
  return isLoopback(header.replace(/:\d+$/, ''));
}

async function listen(server: Server, host: string, port: number): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, host, resolve);
    });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'EADDRINUSE') {
      throw new Error(
        `status.port: port ${port} of ${host} is in use by another program: stop it, or choose another port`,
        { cause: error },
      );
    }
    throw new Error(`status.host: listening on ${host} port ${port} is not possible (${code ?? message})`, {
      cause: error,
    });
  }
}
