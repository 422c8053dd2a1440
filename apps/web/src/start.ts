import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { createFileServer, type FileServer, type Logger } from '@tidemark/service';
import { isLoopback, refusalOf } from './browser-check.js';
import type { WebConfig } from './config.js';
import { createRelay, sendError, type ApiState, type Relay } from './relay.js';

export interface WebServer {
  readonly url: string;
  /** Takes nothing new, ends WebSockets, finishes what it has, cuts the rest at the deadline. */
  stop(deadlineMs: number): Promise<void>;
}

interface Parts {
  config: WebConfig;
  files: FileServer;
  relay: Relay;
  /** What the API last said, not older than PROBE_AGE_MS. */
  api: () => Promise<ApiState>;
  state: { stopping: boolean };
}

const API_PATH = '/graphql';
const PROBE_AGE_MS = 1_000;

/** Throws Error that names the setting when it cannot listen or may not. */
export async function startWeb(config: WebConfig, logger: Logger, directory = builtPage()): Promise<WebServer> {
  const { host, port } = config.web;
  const relay = createRelay(config.apiUrl, logger);
  const parts: Parts = {
    config,
    files: createFileServer({ directory }),
    relay,
    api: atMostEvery(PROBE_AGE_MS, () => relay.probe()),
    state: { stopping: false },
  };
  const server = createServer((request, response) => {
    parts.files(request, response, () => {
      answer(parts, request, response).catch((error: Error) => {
        logger.warn({ error: error.message }, 'a request could not be answered');
        response.destroy();
      });
    });
  });
  server.on('upgrade', (request: IncomingMessage, stream: Duplex, head: Buffer) => {
    void upgrade(parts, request, stream, head);
  });
  await listen(server, host, port);
  const bound = (server.address() as AddressInfo).port;
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${bound}/`,
    async stop(deadlineMs) {
      parts.state.stopping = true;
      const late = setTimeout(() => server.closeAllConnections(), deadlineMs);
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      relay.close();
      server.closeIdleConnections();
      await closed;
      clearTimeout(late);
    },
  };
}

function builtPage(): string {
  return fileURLToPath(new URL('../dist/page', import.meta.url));
}

async function answer(parts: Parts, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = (request.url ?? '/').split('?')[0];
  if (path === API_PATH) return answerApi(parts, request, response);
  const reading = request.method === 'GET' || request.method === 'HEAD';
  if (reading && path === '/health/live') return sendJson(response, 200, { live: true });
  if (reading && path === '/health/ready') {
    const api = await parts.api();
    const ready = api.state !== 'AWAY' && !parts.state.stopping;
    const detail = parts.state.stopping
      ? 'stopping'
      : api.state === 'AWAY'
        ? 'the API does not answer'
        : 'the API answers';
    return sendJson(response, ready ? 200 : 503, { live: true, ready, detail });
  }
  sendError(response, 404, 'NOT_FOUND', 'there is the page at /, /graphql, /health/live and /health/ready');
}

async function answerApi(parts: Parts, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.method !== 'POST') return sendError(response, 405, 'BAD_REQUEST', 'questions are asked by POST');
  const refusal = await whyNot(parts, request);
  if (refusal) return sendError(response, refusal.status, refusal.code, refusal.message);
  parts.relay.answer(request, response);
}

async function upgrade(parts: Parts, request: IncomingMessage, stream: Duplex, head: Buffer): Promise<void> {
  stream.on('error', () => stream.destroy());
  const isApi = (request.url ?? '').split('?')[0] === API_PATH;
  const refusal = isApi
    ? await whyNot(parts, request)
    : { status: 404, code: 'NOT_FOUND', message: `subscriptions are at ${API_PATH}` };
  if (!refusal) return parts.relay.upgrade(request, stream, head);
  const body = JSON.stringify({ errors: [{ message: refusal.message, extensions: { code: refusal.code } }] });
  stream.end(
    `HTTP/1.1 ${refusal.status} Refused\r\nconnection: close\r\ncontent-type: application/json\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}

interface Refusal {
  status: number;
  code: string;
  message: string;
}

/** Beyond loopback nothing is passed on to an API that would answer strangers, since this server looks like a neighbour. */
async function whyNot({ config, api }: Parts, request: IncomingMessage): Promise<Refusal | undefined> {
  const message = refusalOf(request, { host: config.web.host, allowedHosts: config.allowedHosts });
  if (message !== undefined) return { status: 403, code: 'ORIGIN_NOT_ALLOWED', message };
  if (isLoopback(config.web.host)) return undefined;
  const { state } = await api();
  if (state === 'GUARDED') return undefined;
  if (state === 'AWAY') return { status: 502, code: 'API_UNREACHABLE', message: 'the API does not answer now' };
  return {
    ...{ status: 403, code: 'API_OPEN' },
    message:
      `the API answers without a token, so it is not passed on beyond this host: let it listen on an address of the ` +
      `network with a token, or set web.host to 127.0.0.1`,
  };
}

/** The answer of at most `ms` ago; who asks meanwhile waits for the same one. */
function atMostEvery<T>(ms: number, ask: () => Promise<T>): () => Promise<T> {
  let asked = -Infinity;
  let answer: Promise<T> | undefined;
  return () => {
    if (!answer || performance.now() - asked > ms) {
      asked = performance.now();
      answer = ask();
    }
    return answer;
  };
}

function sendJson(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' });
  response.end(JSON.stringify(body));
}

async function listen(server: Server, host: string, port: number): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, host, resolve);
    });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const why =
      code === 'EADDRINUSE'
        ? `web.port: port ${port} of ${host} is in use by another program: stop it, or choose another port`
        : `web.host: listening on ${host} port ${port} is not possible (${code ?? message})`;
    throw new Error(why, { cause: error });
  }
}
