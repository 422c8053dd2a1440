import { request as httpRequest, type IncomingMessage, type OutgoingHttpHeaders, type ServerResponse } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Duplex } from 'node:stream';
import type { Logger } from '@tidemark/service';

export interface Relay {
  /** Passes one question on to the API and its answer back, unchanged and as it comes. */
  answer(request: IncomingMessage, response: ServerResponse): void;
  /** Passes a WebSocket on, byte by byte. */
  upgrade(request: IncomingMessage, stream: Duplex, head: Buffer): void;
  /** How the API answers a question without a token. */
  probe(): Promise<ApiState>;
  /** Ends every WebSocket: the page comes back by itself. */
  close(): void;
}

/** GUARDED: it answers nobody without the token. */
export type ApiState = { state: 'OPEN' | 'GUARDED' } | { state: 'AWAY'; why: string };

/** Headers that speak of one connection only, or of this server instead of the API. */
const OWN = new Set(
  'connection keep-alive proxy-authenticate proxy-connection te trailer transfer-encoding upgrade host origin'.split(
    ' ',
  ),
);
const PROBE_MS = 3_000;
/** The API answers trace requests within five seconds, and everything else sooner. */
const ANSWER_MS = 60_000;

export function createRelay(apiUrl: URL, logger: Logger): Relay {
  const open = new Set<Duplex>();
  const ask = apiUrl.protocol === 'https:' ? httpsRequest : httpRequest;
  const target = (request: IncomingMessage) => {
    const url = new URL(apiUrl);
    url.search = new URL(request.url ?? '/', 'http://page').search;
    return url;
  };
  return {
    answer(request, response) {
      const headers = forwarded(request);
      const asked = ask(target(request), { method: request.method ?? 'GET', headers, timeout: ANSWER_MS });
      asked.on('response', (answer) => {
        response.writeHead(answer.statusCode ?? 502, withoutOwn(answer.headers));
        answer.on('error', () => response.destroy());
        answer.pipe(response);
      });
      asked.on('timeout', () => asked.destroy(new Error(`no answer within ${ANSWER_MS / 1000} s`)));
      asked.on('error', (error) => refuse(response, error, logger));
      // The asker is gone: the API need not go on.
      response.on('close', () => void (response.writableFinished || asked.destroy()));
      request.pipe(asked);
    },
    upgrade(request, stream, head) {
      const headers = { ...forwarded(request), connection: 'upgrade', upgrade: 'websocket' };
      const asked = ask(target(request), { headers });
      stream.on('error', () => stream.destroy());
      stream.on('close', () => asked.destroy());
      asked.on('upgrade', (answer, upstream, first) => {
        stream.write(headOf(answer));
        join(open, { stream, head }, { stream: upstream, head: first });
      });
      asked.on('response', (answer) => {
        stream.write(headOf(answer));
        answer.pipe(stream);
      });
      asked.on('error', (error) => {
        logger.debug({ error: error.message }, 'a WebSocket could not be passed on');
        stream.end('HTTP/1.1 502 Bad Gateway\r\nconnection: close\r\ncontent-length: 0\r\n\r\n');
      });
      asked.end();
    },
    probe: () => probe(apiUrl),
    close: () => open.forEach((stream) => stream.end()),
  };
}

async function probe(apiUrl: URL): Promise<ApiState> {
  try {
    const answer = await fetch(apiUrl, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"query":"{ __typename }"}',
      redirect: 'error',
      signal: AbortSignal.timeout(PROBE_MS),
    });
    const text = await answer.text();
    if (answer.status === 401) return { state: 'GUARDED' };
    if (answer.status === 200 && text.includes('"Query"')) return { state: 'OPEN' };
    return { state: 'AWAY', why: `${apiUrl.href} answered ${answer.status}, which no GraphQL API does` };
  } catch (error) {
    const { message, cause } = error as Error & { cause?: Error & { code?: string } };
    return { state: 'AWAY', why: `${apiUrl.href} does not answer: ${cause?.code ?? cause?.message ?? message}` };
  }
}

interface Side {
  stream: Duplex;
  /** Bytes that came along with the headers. */
  head: Buffer;
}

/** Until one of both ends. */
function join(open: Set<Duplex>, browser: Side, api: Side): void {
  open.add(browser.stream);
  for (const [from, to] of [
    [browser, api],
    [api, browser],
  ] as const) {
    if (from.head.length > 0) to.stream.write(from.head);
    from.stream.on('error', () => to.stream.destroy());
    from.stream.on('close', () => to.stream.destroy());
    from.stream.pipe(to.stream);
  }
  browser.stream.on('close', () => open.delete(browser.stream));
}

function forwarded(request: IncomingMessage): OutgoingHttpHeaders {
  const chain = [request.headers['x-forwarded-for'], request.socket.remoteAddress].filter(Boolean).join(', ');
  return { ...withoutOwn(request.headers), 'x-forwarded-for': chain };
}

function withoutOwn(headers: IncomingMessage['headers']): OutgoingHttpHeaders {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !OWN.has(name)));
}

function headOf(answer: IncomingMessage): string {
  const lines = [`HTTP/1.1 ${answer.statusCode} ${answer.statusMessage ?? ''}`];
  for (let at = 0; at < answer.rawHeaders.length; at += 2) {
    if (/^transfer-encoding$/i.test(answer.rawHeaders[at]!)) continue;
    lines.push(`${answer.rawHeaders[at]}: ${answer.rawHeaders[at + 1]}`);
  }
  return `${lines.join('\r\n')}\r\n\r\n`;
}

function refuse(response: ServerResponse, error: Error, logger: Logger): void {
  if (response.destroyed) return;
  logger.debug({ error: error.message }, 'a question could not be passed on');
  if (response.headersSent) return void response.destroy();
  sendError(response, 502, 'API_UNREACHABLE', 'the API does not answer now');
}

/** In the shape of a GraphQL answer, as the page expects it. */
export function sendError(response: ServerResponse, status: number, code: string, message: string): void {
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' });
  response.end(JSON.stringify({ errors: [{ message, extensions: { code } }] }));
}
