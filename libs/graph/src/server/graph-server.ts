import 'reflect-metadata';
import { encodeFindingRecord, findingKey, Topic, type ControlSender } from '@tidemark/contracts';
import type { EventLog } from '@tidemark/event-log';
import type { Health, Logger, Registry } from '@tidemark/service';
import type { INestApplication, LoggerService } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { GraphQLSchemaHost } from '@nestjs/graphql';
import type { IncomingMessage, Server as HttpServer, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { LiveFeed } from '../feed/live-feed.js';
import type { HistoryQueries } from '../history-port.js';
import type { GraphSources } from '../sources.js';
import { createAccess, type AccessOptions } from './access.js';
import { GRAPHQL_PATH, GraphModule } from './graph-module.js';
import { DEFAULT_LIMITS, type OperationLimits } from './operation-limits.js';
import { createOperationMetrics } from './operation-plugin.js';
import { createGate, readJsonBody } from './request-gate.js';
import { openSocketServer, type SocketServer } from './socket-server.js';
import type { StatusSources } from './status.controller.js';

export interface GraphServerOptions extends Partial<AccessOptions> {
  /** Where acknowledgements go. */
  log: Pick<EventLog, 'append'>;
  /** Where trace requests go. */
  control: ControlSender;
  feed: LiveFeed;
  history: HistoryQueries | null;
  logger: Logger;
  metrics: Registry;
  /** Every part of the process, for `/health/…`; the feed is added. */
  health?: Readonly<Record<string, () => Health>>;
  version: string;
  /** 0 takes any. Default 4000. */
  port?: number;
  limits?: Partial<OperationLimits>;
  /** Whether the schema may be asked for. Default: on loopback only. */
  introspection?: boolean;
  /** Answers what is no question: the files of a web page, which hold no secret and are served without the token. */
  page?: PageHandler;
  now?: () => number;
}

export type PageHandler = (request: IncomingMessage, response: ServerResponse, next: () => void) => void;

export interface GraphServer {
  /** Address of the API. */
  readonly url: string;
  readonly port: number;
  /** Takes nothing new, finishes what it has, cuts the rest at the deadline. Safe to call twice. */
  drain(deadlineMs: number): Promise<void>;
}

export type GraphServerErrorCode = 'GRAPH_PORT_IN_USE' | 'GRAPH_ADDRESS' | 'GRAPH_TOKEN';

/** Why the server did not start, in one line for a person. */
export class GraphServerError extends Error {
  override readonly name = 'GraphServerError';

  constructor(
    readonly code: GraphServerErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

const DEFAULT_PORT = 4000;

/** Serves the GraphQL API, subscriptions, health and metrics on one port. Throws GraphServerError. */
export async function startGraphServer(options: GraphServerOptions): Promise<GraphServer> {
  const { feed, logger, metrics, host = '127.0.0.1', port = DEFAULT_PORT } = options;
  const access = openAccess({ ...options, host });
  const introspection = options.introspection ?? access.loopback;
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const sources = sourcesOf(options);
  const status: StatusSources = { health: { ...options.health, live: feed.health }, metrics, access, draining: false };
  const shared = { sources, access, limits, introspection, metrics: createOperationMetrics(metrics) };
  const module = GraphModule.of({ ...shared, status });
  const app = await NestFactory.create(module, {
    ...{ bodyParser: false, abortOnError: false, logger: nestLogger(logger), forceCloseConnections: false },
  });
  if (options.page) app.use(options.page);
  app.use(createGate(access), readJsonBody);
  try {
    await app.listen(port, host);
  } catch (error) {
    await app.close();
    throw explainListen(error as NodeJS.ErrnoException, host, port);
  }
  const server = app.getHttpServer() as HttpServer;
  const { schema } = app.get(GraphQLSchemaHost, { strict: false });
  const sockets = openSocketServer({ ...shared, server, path: GRAPHQL_PATH, schema });
  const bound = (server.address() as AddressInfo).port;
  let draining: Promise<void> | undefined;
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${bound}${GRAPHQL_PATH}`,
    port: bound,
    drain: (deadlineMs) => (draining ??= drain({ app, server, sockets, feed, status }, deadlineMs)),
  };
}

function openAccess(options: AccessOptions) {
  try {
    return createAccess(options);
  } catch (error) {
    throw new GraphServerError('GRAPH_TOKEN', (error as Error).message);
  }
}

function sourcesOf({ feed, history, logger, version, log, control, now = Date.now }: GraphServerOptions): GraphSources {
  return {
    ...{ live: feed.live, traces: feed.traces, updates: feed.updates, answers: feed.answers },
    ...{ history, logger, version, now },
    acknowledge: (record) =>
      log.append([{ topic: Topic.Findings, key: findingKey(record), ...encodeFindingRecord(record) }]),
    requestTrace: (record) => control.send(record),
  };
}

function explainListen(error: NodeJS.ErrnoException, host: string, port: number): Error {
  if (error.code === 'EADDRINUSE') {
    const message = `port ${port} of ${host} is in use by another program: stop it, or choose another port for the API`;
    return new GraphServerError('GRAPH_PORT_IN_USE', message, { cause: error });
  }
  if (error.code === 'EADDRNOTAVAIL' || error.code === 'ENOTFOUND' || error.code === 'EACCES') {
    const why = error.code === 'EACCES' ? 'is not allowed' : 'is not possible: no such address on this host';
    return new GraphServerError('GRAPH_ADDRESS', `listening on ${host} port ${port} ${why}`, { cause: error });
  }
  return error;
}

interface Running {
  app: INestApplication;
  server: HttpServer;
  sockets: SocketServer;
  feed: LiveFeed;
  status: StatusSources;
}

/** Streams end first, then sockets, then the requests under way; idle connections at once. */
async function drain({ app, server, sockets, feed, status }: Running, deadlineMs: number): Promise<void> {
  status.draining = true;
  const late = setTimeout(() => server.closeAllConnections(), deadlineMs);
  server.close();
  feed.updates.close();
  feed.answers.close();
  // A turn of the event loop, so that `complete` goes out before the socket closes.
  await new Promise((resolve) => setImmediate(resolve));
  server.closeIdleConnections();
  const closing = app.close();
  await Promise.all([sockets.close(deadlineMs / 2), closing]);
  clearTimeout(late);
}

function nestLogger(logger: Logger): LoggerService {
  const say = (level: 'debug' | 'warn' | 'error') => (message: unknown) =>
    logger[level]({ from: 'nest' }, String(message));
  return {
    log: say('debug'),
    debug: say('debug'),
    verbose: say('debug'),
    warn: say('warn'),
    error: say('error'),
    fatal: say('error'),
  };
}
