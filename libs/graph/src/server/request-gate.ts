import type { IncomingMessage, ServerResponse } from 'node:http';
import { GraphError } from '../graph-error.js';
import { bearerOf, type Access } from './access.js';
import { sendError } from './error-format.js';

/** Bytes of a request's body, at most: a query of the allowed number of tokens is far below. */
export const MAX_BODY_BYTES = 512 * 1024;

type Next = (error?: unknown) => void;

/** A request as the middlewares leave it. */
export type GatedRequest = IncomingMessage & { body?: unknown };

/** First of all: who asks, under which name, from which page; answers what may not pass. */
export function createGate(access: Access): (request: GatedRequest, response: ServerResponse, next: Next) => void {
  return (request, response, next) => {
    try {
      access.check(request, 'http');
      const path = (request.url ?? '/').split('?')[0] ?? '/';
      if (access.tokenForAll && !path.startsWith('/health/') && request.method !== 'OPTIONS') {
        if (bearerOf(request) === undefined) {
          throw new GraphError('UNAUTHENTICATED', 'this server needs the header Authorization: Bearer TOKEN', {
            status: 401,
          });
        }
      }
    } catch (error) {
      return sendError(response, error as GraphError);
    }
    response.setHeader('x-content-type-options', 'nosniff');
    if (answerCors(access, request, response)) return;
    next();
  };
}

/** Only pages that were named may ask from a browser; true when this was the browser's own question beforehand. */
function answerCors(access: Access, request: GatedRequest, response: ServerResponse): boolean {
  const { origin } = request.headers;
  if (origin === undefined || !access.allowsOrigin(origin)) return false;
  response.setHeader('access-control-allow-origin', origin);
  response.setHeader('vary', 'origin');
  if (request.method !== 'OPTIONS') return false;
  response.writeHead(204, {
    'access-control-allow-methods': 'GET, POST',
    'access-control-allow-headers': 'content-type, authorization',
    'access-control-max-age': '600',
  });
  response.end();
  return true;
}

/** Reads a JSON body of bounded size into `request.body`. */
export async function readJsonBody(request: GatedRequest, response: ServerResponse, next: Next): Promise<void> {
  if (request.method !== 'POST') return next();
  try {
    const text = await readBody(request);
    request.body = /\bjson\b/i.test(request.headers['content-type'] ?? '') ? parseBody(text) : {};
  } catch (error) {
    if (error instanceof GraphError) return sendError(response, error);
    // The asker is gone in the middle of its body: nobody to answer.
    return void response.destroy();
  }
  next();
}

async function readBody(request: IncomingMessage): Promise<string> {
  const tooLarge = () =>
    new GraphError('BODY_TOO_LARGE', `the request body is larger than ${MAX_BODY_BYTES} bytes`, { status: 413 });
  if (Number(request.headers['content-length'] ?? 0) > MAX_BODY_BYTES) throw tooLarge();
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > MAX_BODY_BYTES) throw tooLarge();
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

function parseBody(text: string): unknown {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    throw new GraphError(
      'BAD_REQUEST',
      `the request body is not JSON; it starts with ${JSON.stringify(text.slice(0, 40))}`,
    );
  }
  if (Array.isArray(body)) {
    throw new GraphError('BAD_REQUEST', 'the request body is a list: send one operation per request');
  }
  return body;
}
