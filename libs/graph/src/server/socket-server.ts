import { CloseCode, handleProtocols, makeServer, type Server } from 'graphql-ws';
import { GraphQLError, parse, specifiedRules, validate, type ExecutionArgs, type GraphQLSchema } from 'graphql';
import type { IncomingMessage, Server as HttpServer } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer, type WebSocket } from 'ws';
import { GraphError } from '../graph-error.js';
import { createLoaders } from '../loaders.js';
import type { GraphContext, GraphSources } from '../sources.js';
import { bearerOf, readBearer, type Access } from './access.js';
import { describeError } from './error-format.js';
import { checkOperation, type OperationLimits } from './operation-limits.js';
import type { OperationMetrics } from './operation-plugin.js';
import { MAX_BODY_BYTES } from './request-gate.js';

export interface SocketServerOptions {
  server: HttpServer;
  path: string;
  schema: GraphQLSchema;
  sources: GraphSources;
  access: Access;
  limits: OperationLimits;
  metrics: OperationMetrics;
  introspection: boolean;
  maxSockets?: number;
  maxSubscriptionsPerSocket?: number;
  /** Between two pings, and how long the answer may take; milliseconds. */
  keepAliveMs?: number;
}

/** Operations over graphql-ws on the same path, under the same limits as over HTTP. */
export interface SocketServer {
  /** Tells every client that the server goes away (1001), and cuts those that do not answer by the deadline. */
  close(deadlineMs: number): Promise<void>;
}

interface Extra extends Record<PropertyKey, unknown> {
  socket: WebSocket;
  request: IncomingMessage;
  authorized: boolean;
}

const INTROSPECTION = /^__(schema|type)$/;

export function openSocketServer(options: SocketServerOptions): SocketServer {
  const { server, path, access, maxSockets = 1_000 } = options;
  const sockets = new WebSocketServer({ noServer: true, maxPayload: MAX_BODY_BYTES, handleProtocols });
  const graphql = createProtocol(options);
  sockets.on('connection', (socket, request) => serveSocket(options, graphql, socket, request));
  const onUpgrade = (request: IncomingMessage, stream: Duplex, head: Buffer) => {
    stream.on('error', () => stream.destroy());
    try {
      if ((request.url ?? '').split('?')[0] !== path) {
        throw new GraphError('BAD_REQUEST', `subscriptions are at ${path}`, { status: 404 });
      }
      access.check(request, 'socket');
      if (sockets.clients.size >= maxSockets) {
        throw new GraphError('SUBSCRIPTION_LIMIT', `${maxSockets} sockets are open already`, { status: 503 });
      }
    } catch (error) {
      return refuseUpgrade(stream, error as GraphError);
    }
    sockets.handleUpgrade(request, stream, head, (socket) => sockets.emit('connection', socket, request));
  };
  server.on('upgrade', onUpgrade);
  return {
    async close(deadlineMs) {
      server.off('upgrade', onUpgrade);
      for (const socket of sockets.clients) socket.close(1001, 'Going away');
      const late = setTimeout(() => {
        for (const socket of sockets.clients) socket.terminate();
      }, deadlineMs);
      await Promise.all([...sockets.clients].map((socket) => new Promise((resolve) => socket.once('close', resolve))));
      clearTimeout(late);
      sockets.close();
    },
  };
}

function refuseUpgrade(stream: Duplex, error: GraphError): void {
  const { status } = error.extensions['http'] as { status: number };
  const body = JSON.stringify({ errors: [{ message: error.message, extensions: { code: error.code } }] });
  stream.end(
    `HTTP/1.1 ${status} Refused\r\nconnection: close\r\ncontent-type: application/json\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}

function createProtocol(options: SocketServerOptions): Server<Extra> {
  const { sources, access, metrics, schema, limits, maxSubscriptionsPerSocket = 100 } = options;
  const { logger } = sources;
  return makeServer<Record<string, unknown> | undefined, Extra>({
    connectionInitWaitTimeout: 10_000,
    onConnect({ connectionParams, extra }) {
      const shown = shownToken(connectionParams) ?? bearerOf(extra.request);
      extra.authorized = access.isAuthorized(shown);
      if (extra.authorized || (shown === undefined && !access.tokenForAll)) return true;
      const why =
        shown === undefined ? 'the token is missing: send authorization in connection_init' : 'the token is wrong';
      extra.socket.close(CloseCode.Forbidden, why);
      return false;
    },
    onSubscribe({ extra, subscriptions }, _id, payload) {
      const context: GraphContext = {
        authorized: extra.authorized,
        loaders: createLoaders(sources),
        now: sources.now,
      };
      const prepared =
        Object.keys(subscriptions).length > maxSubscriptionsPerSocket
          ? [tooMany(maxSubscriptionsPerSocket)]
          : prepare({ schema, limits, now: sources.now(), introspection: options.introspection }, payload);
      if (!Array.isArray(prepared)) {
        metrics.count('subscription', 'OK');
        return { ...prepared, contextValue: context };
      }
      metrics.count('subscription', String(describeError(prepared[0], logger).extensions?.['code']));
      return prepared;
    },
    onNext(_context, _id, _payload, _args, { errors, data }) {
      if (errors) return { errors: errors.map((error) => describeError(error, logger)), data: data ?? null };
    },
    onError: (_context, _id, _payload, errors) => errors.map((error) => describeError(error, logger)),
  });
}

function tooMany(limit: number): GraphError {
  return new GraphError(
    'SUBSCRIPTION_LIMIT',
    `this socket has ${limit} open operations already: end some, or open another`,
  );
}

/** `authorization: Bearer TOKEN` as in HTTP, in either case, or `token: TOKEN`. */
function shownToken(params: Record<string, unknown> | undefined): string | undefined {
  const bearer = readBearer(params?.['authorization'] ?? params?.['Authorization']);
  const token = params?.['token'];
  return bearer ?? (typeof token === 'string' ? token : undefined);
}

/** The operation ready to run, or why it is not. */
function prepare(
  checks: { schema: GraphQLSchema; limits: OperationLimits; now: number; introspection: boolean },
  payload: {
    query: string;
    operationName?: string | null | undefined;
    variables?: Record<string, unknown> | null | undefined;
  },
): ExecutionArgs | GraphQLError[] {
  const { schema, limits, now } = checks;
  const { query, operationName, variables } = payload;
  try {
    const document = parse(query, { maxTokens: limits.tokens });
    const errors = validate(
      schema,
      document,
      checks.introspection ? specifiedRules : [...specifiedRules, refuseIntrospection],
    );
    if (errors.length > 0) return [...errors];
    checkOperation({ schema, document, operationName, variables }, limits, now);
    return { schema, document, operationName, variableValues: variables };
  } catch (error) {
    return [error instanceof GraphQLError ? error : new GraphQLError('', { originalError: error as Error })];
  }
}

const refuseIntrospection: (typeof specifiedRules)[number] = (context) => ({
  Field(node) {
    if (INTROSPECTION.test(node.name.value)) {
      context.reportError(new GraphQLError('introspection is off on this server', { nodes: node }));
    }
  },
});

/** Glue between a WebSocket and the protocol: the one that comes with graphql-ws writes to the console. */
function serveSocket(
  options: SocketServerOptions,
  protocol: Server<Extra>,
  socket: WebSocket,
  request: IncomingMessage,
): void {
  const { sources, keepAliveMs = 12_000 } = options;
  let answered = true;
  const pings = setInterval(() => {
    if (!answered) return socket.terminate();
    answered = false;
    socket.ping();
  }, keepAliveMs);
  socket.on('pong', () => (answered = true));
  // A frame that breaks the protocol or is too large; ws closes the socket with the fitting code itself.
  socket.on('error', (error) =>
    sources.logger.debug({ error: error.message }, 'a WebSocket client broke the protocol'),
  );
  const closed = protocol.opened(
    {
      protocol: socket.protocol,
      // Resolves when the kernel took the bytes: until then nothing more is pulled for this subscriber.
      send: (data) =>
        new Promise((resolve, reject) => {
          if (socket.readyState !== socket.OPEN) return resolve();
          socket.send(data, (error) => (error ? reject(error) : resolve()));
        }),
      close: (code, reason) => socket.close(code, reason),
      onMessage: (handle) =>
        socket.on('message', (data) => {
          handle(textOf(data)).catch((error: Error) => {
            sources.logger.warn({ error: error.message }, 'a WebSocket message could not be handled');
            socket.close(CloseCode.InternalServerError, 'Internal server error');
          });
        }),
    },
    { socket, request, authorized: false },
  );
  socket.once('close', (code, reason) => {
    clearInterval(pings);
    void closed(code, String(reason));
  });
}

function textOf(data: Buffer | ArrayBuffer | Buffer[]): string {
  if (Array.isArray(data)) return Buffer.concat(data).toString('utf8');
  return Buffer.isBuffer(data) ? data.toString('utf8') : Buffer.from(data).toString('utf8');
}
