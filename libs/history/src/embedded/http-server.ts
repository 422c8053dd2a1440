import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { answerQuery } from './query-handler.js';
import type { ServerParts } from './server-parts.js';

const queryPaths = new Set(['/', '/query']);

/** The HTTP interface: queries at /, and the paths by which load balancers and people look whether it lives. */
export function createHttpServer(parts: ServerParts): Server {
  // Queries may stand in the URL, and rows of an insert may take as long as they like.
  const server = createServer(
    { maxHeaderSize: 2 ** 20, requestTimeout: 0, keepAliveTimeout: 10_000 },
    (request, response) => {
      const [path = '/', search] = (request.url ?? '/').split('?');
      const isRead = request.method === 'GET' || request.method === 'HEAD';
      if (path === '/ping' && isRead) return sendText(response, 200, 'Ok.\n');
      if (path === '/replicas_status' && isRead) return sendText(response, 200, 'Ok.\n');
      if (path === '/' && isRead && !search && !request.headers.authorization) return sendText(response, 200, 'Ok.\n');
      if (!queryPaths.has(path)) return sendText(response, 404, noSuchPath(path));
      if (!isRead && request.method !== 'POST') return sendText(response, 405, 'Use GET or POST.\n');
      void answerQuery(parts, request, response);
    },
  );
  server.maxConnections = 1024;
  return server;
}

function sendText(response: ServerResponse & { req: IncomingMessage }, status: number, text: string): void {
  response.statusCode = status;
  response.setHeader('Content-Type', 'text/plain; charset=UTF-8');
  if (!response.req.complete) response.setHeader('Connection', 'close');
  response.end(text);
}

function noSuchPath(path: string): string {
  return `There is no handle ${path}\nUse / or /ping for health checks.\nSend queries from your program with the POST method or GET /?query=...\n`;
}
