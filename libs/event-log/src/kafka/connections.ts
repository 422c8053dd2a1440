import { connect as connectPlain, isIP, type Socket } from 'node:net';
import { checkServerIdentity, connect as connectTls, type PeerCertificate } from 'node:tls';
import Broker from 'kafkajs/src/broker/index.js';
import ConnectionPool, { type RequestQueue } from 'kafkajs/src/network/connectionPool.js';
import apiKeys from 'kafkajs/src/protocol/requests/apiKeys.js';
import { requests, type RequestDefinition } from 'kafkajs/src/protocol/requests/index.js';
import { EventLogError } from '../errors.js';
import { accessError, reasonOf, type Warn } from './failures.js';
import { guardFrames } from './frame-guard.js';
import type { ResolvedKafkaOptions } from './options.js';

/** Where a broker listens. */
export interface Address {
  host: string;
  port: number;
}

/** What an answer looks like once it is decoded; error codes are left in it. */
export type Answer = Record<string, unknown>;

const silent = {
  namespace: () => silent,
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
};

/** `host:port`, with an IPv6 address in brackets. */
export function parseAddress(text: string): Address {
  const colon = text.lastIndexOf(':');
  return { host: text.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(text.slice(colon + 1)) };
}

/** The sockets of one part of the log: those of a subscription do not wait behind those of another, or of the producer. */
export class Connections {
  readonly #options: ResolvedKafkaOptions;
  readonly #warn: Warn;
  readonly #seeds: Address[];
  readonly #nodes = new Map<number, Address>();
  readonly #links = new Map<string, Link>();
  #turn = 0;
  #closed = false;

  constructor(options: ResolvedKafkaOptions, warn: Warn, nodes?: Connections) {
    this.#options = options;
    this.#warn = warn;
    this.#seeds = options.brokers.map(parseAddress);
    this.#turn = Math.floor(Math.random() * this.#seeds.length);
    if (nodes) for (const [id, address] of nodes.#nodes) this.#nodes.set(id, address);
  }

  /** The brokers that the cluster has now. */
  learn(nodes: readonly { nodeId: number; host: string; port: number }[]): void {
    if (nodes.length === 0) return;
    this.#nodes.clear();
    for (const { nodeId, host, port } of nodes) this.#nodes.set(nodeId, { host, port });
  }

  /** One more broker, as an answer named it. */
  add({ nodeId, host, port }: { nodeId: number; host: string; port: number }): void {
    this.#nodes.set(nodeId, { host, port });
  }

  /** One request to one broker, named by its number; the answer keeps its error codes. */
  async ask(node: number, api: string, args: object, decode?: (payload: Buffer) => unknown): Promise<Answer> {
    const address = this.#nodes.get(node);
    if (!address) throw unavailable(`broker ${node} is not known`);
    return this.#ask(address, api, args, decode);
  }

  /** One request to whichever broker answers; each is tried once. */
  async askAny(api: string, args: object): Promise<Answer> {
    let last: unknown;
    for (const address of this.#addresses()) {
      try {
        return await this.#ask(address, api, args);
      } catch (error) {
        last = error;
        if (error instanceof EventLogError && !error.retriable) throw error;
        this.#turn++;
      }
    }
    throw last;
  }

  /** Connected ones first, then all others, beginning with another one each time that one failed. */
  #addresses(): Address[] {
    const all = new Map<string, Address>();
    for (const address of [...this.#nodes.values(), ...this.#seeds]) all.set(nameOf(address), address);
    const list = [...all.values()];
    const rotated = list.map((_, index) => list[(index + this.#turn) % list.length]!);
    const rank = (address: Address): number => (this.#links.get(nameOf(address))?.broker.isConnected() ? 0 : 1);
    return rotated.sort((a, b) => rank(a) - rank(b));
  }

  async #ask(address: Address, api: string, args: object, decode?: (payload: Buffer) => unknown): Promise<Answer> {
    const name = nameOf(address);
    if (this.#closed) throw unavailable('the connection is closed');
    let link = this.#links.get(name);
    if (!link) this.#links.set(name, (link = this.#create(address)));
    try {
      await connected(link, api === 'Fetch' ? 1 : 0);
      const wire = link.broker.lookupRequest(apiKeys[api]!, definitionOf(api))(args);
      const response = {
        decode: decode ? async (payload: Buffer) => decode(payload) : wire.response.decode,
        parse: async (data: unknown) => data,
      };
      return (await link.broker.connectionPool.send({ ...wire, response })) as Answer;
    } catch (error) {
      // A broker that does not answer in time would let every later request wait as long.
      if (this.#links.get(name) === link) this.#links.delete(name);
      cut(link, error as Error);
      const access = accessError(error, name, this.#options);
      if (access) throw access;
      const why = reasonOf(error);
      if (!this.#closed) this.#warn(`Kafka: broker ${name} does not answer, and is asked again: ${why}`, name);
      throw unavailable(`${name}: ${why}`, error);
    }
  }

  #create({ host, port }: Address): Link {
    const { clientId, tls, sasl, attemptTimeoutMs, requestTimeoutMs } = this.#options;
    const sockets = new Set<Socket>();
    const connectionPool = new ConnectionPool({
      host,
      port,
      rack: null,
      ssl: tls ? { ...tls } : null,
      // kafkajs keeps state in this object.
      sasl: sasl ? { mechanism: sasl.mechanism, username: sasl.username, password: sasl.password } : null,
      clientId,
      logger: silent,
      socketFactory: (target) => this.#open(target.host, target.port, target.onConnect, sockets),
      connectionTimeout: attemptTimeoutMs,
      requestTimeout: requestTimeoutMs,
      enforceRequestTimeout: true,
      maxInFlightRequests: null,
      instrumentationEmitter: null,
      reauthenticationThreshold: 10_000,
    });
    for (const { requestQueue } of connectionPool.pool) restQuietly(requestQueue);
    const broker = new Broker({
      connectionPool,
      logger: silent,
      authenticationTimeout: attemptTimeoutMs,
      allowAutoTopicCreation: false,
    });
    return { broker, sockets, connecting: [undefined, undefined], ending: undefined };
  }

  #open(host: string, port: number, onConnect: () => void, sockets: Set<Socket>): Socket {
    const { tls } = this.#options;
    const socket = tls
      ? connectTls(
          {
            host,
            port,
            ...(tls.serverName ? { servername: tls.serverName } : isIP(host) ? {} : { servername: host }),
            ...(tls.serverName && { checkServerIdentity: identityOf(tls.serverName) }),
            ...(tls.ca !== undefined && { ca: tls.ca }),
            ...(tls.cert !== undefined && { cert: tls.cert, key: tls.key }),
          },
          onConnect,
        )
      : connectPlain({ host, port }, onConnect);
    guardFrames(socket);
    socket.setKeepAlive(true, 30_000);
    socket.setNoDelay(true);
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    if (this.#closed) socket.destroy(new Error('the connection is closed'));
    return socket;
  }

  /** Cuts every socket at once, as the death of the process would; requests under way are rejected. */
  async close(): Promise<void> {
    this.#closed = true;
    const reason = new Error('the connection is closed');
    await Promise.all([...this.#links.values()].map((link) => cut(link, reason)));
  }
}

/**
 * A Fetch above version 10 is answered by followers as well (KIP-392), without a word by one that has lost its leader:
 * who has not heard of a new leader would then read on from the old one, and might read nothing.
 */
function definitionOf(api: string): RequestDefinition {
  const definition = requests[api]!;
  if (api !== 'Fetch') return definition;
  return { ...definition, versions: definition.versions.filter((version) => Number(version) <= 10) };
}

/** What there is of one broker: it goes as a whole, and another one takes its place. */
interface Link {
  broker: Broker;
  sockets: Set<Socket>;
  connecting: [general: Promise<unknown> | undefined, fetching: Promise<unknown> | undefined];
  ending: Promise<void> | undefined;
}

/** kafkajs opens a socket for each caller that finds none; here all wait for the same one. */
function connected({ broker, connecting }: Link, lane: 0 | 1): Promise<unknown> {
  return (connecting[lane] ??= broker
    .connect()
    .then(() => broker.connectionPool.getConnection(lane))
    .finally(() => (connecting[lane] = undefined)));
}

/**
 * kafkajs looks every millisecond, for as long as the connection lives, whether a request waits for a broker's quota:
 * a thousand wake-ups a second on each socket. Here it looks while one waits.
 */
function restQuietly(queue: RequestQueue): void {
  const look = queue.scheduleCheckPendingRequests.bind(queue);
  queue.scheduleCheckPendingRequests = () => {
    if (queue.pending.length > 0) look();
  };
}

function cut(link: Link, reason: Error): Promise<void> {
  for (const socket of link.sockets) socket.destroy(reason);
  link.ending ??= Promise.allSettled(link.connecting)
    .then(() => link.broker.disconnect())
    .catch(() => {});
  return link.ending;
}

function nameOf({ host, port }: Address): string {
  return `${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
}

function identityOf(serverName: string): (host: string, certificate: PeerCertificate) => Error | undefined {
  return (_, certificate) => checkServerIdentity(serverName, certificate);
}

export function unavailable(why: string, cause?: unknown): EventLogError {
  return new EventLogError('EVENT_LOG_UNAVAILABLE', `Kafka does not answer: ${why}`, true, { cause });
}
