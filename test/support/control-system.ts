import type { TraceRequest } from '@tidemark/alloc-trace';
import {
  decodeControlRecord,
  encodeNodeRecord,
  encodeSampleChunk,
  processKey,
  Topic,
  TOPICS,
  type ControlRecord,
  type NodeRecord,
} from '@tidemark/contracts';
import { createControlChannel, createControlSender } from '@tidemark/control';
import type { EventLog, LogRecord } from '@tidemark/event-log';
import { startGraphServer, startLiveFeed, type LiveFeed } from '@tidemark/graph';
import { createLiveView } from '@tidemark/live';
import { startTrace, type TraceStage } from '@tidemark/pipeline';
import { Registry, silentLogger } from '@tidemark/service';
import { createSimulatedHost } from '../../libs/live/src/simulated-host.js';
import { createFakeProcess, fakeSymbolize } from '../../libs/pipeline/src/trace/fake-source.oracle.js';
import { graphqlClient, type GraphqlClient } from './graphql-client.js';

/** Every node has this one process. */
export const PID = 70;
const BEAT_MS = 200;
const NODE_TIMEOUT_MS = 3_000;

export interface TestApi extends GraphqlClient {
  readonly feed: LiveFeed;
  stop(): Promise<void>;
}

/** A host that tells of itself and traces when asked, as a collector does; what it traces is made up. */
export interface TestNode {
  readonly key: string;
  /** Requests that a tracer was opened for. */
  readonly opened: TraceRequest[];
  /** The collector starts: at first, or again. */
  start(): Promise<void>;
  /** The collector is gone in the middle of whatever it did, and says nothing more. */
  kill(): void;
}

/** Several nodes and APIs over one event log; each takes a client of its own. */
export interface ControlSystem {
  /** Of the clocks of all APIs, milliseconds before the real time. */
  ahead: number;
  api(): Promise<TestApi>;
  /** `clock` is how far the node's clock is before the real time, milliseconds; ask it anew each time. */
  node(name: string, clock?: () => number): Promise<TestNode>;
  /** All that the control topic was told. */
  readonly records: ControlRecord[];
  close(): Promise<void>;
}

export async function startControlSystem(open: () => Promise<EventLog>): Promise<ControlSystem> {
  const stops: (() => Promise<unknown>)[] = [];
  const records: ControlRecord[] = [];
  const log = await open();
  await log.ensureTopics(TOPICS);
  const assign = () => ({
    handle: async (batch: readonly LogRecord[]) => {
      for (const { value, headers } of batch) if (value) records.push(decodeControlRecord(value, headers));
    },
  });
  await log.subscribe({ topic: Topic.Control, group: '', ephemeral: true, from: 'earliest', assign });
  const system: ControlSystem = {
    ahead: 0,
    records,
    async api() {
      const api = await startApi(await open(), () => Date.now() + system.ahead);
      stops.push(() => api.stop());
      return api;
    },
    async node(name, clock = () => 0) {
      const node = createNode(await open(), name, clock);
      stops.push(async () => node.kill());
      await node.start();
      return node;
    },
    async close() {
      await Promise.all(stops.map((stop) => stop()));
    },
  };
  return system;
}

async function startApi(log: EventLog, now: () => number): Promise<TestApi> {
  const live = createLiveView({ nodeTimeoutMs: NODE_TIMEOUT_MS });
  const feed = startLiveFeed({ log, live, logger: silentLogger, now });
  await feed.ready;
  const server = await startGraphServer({
    ...{ log, control: createControlSender(log), feed, history: null, logger: silentLogger, metrics: new Registry() },
    ...{ version: '0.1.0', port: 0, now },
  });
  let stopping: Promise<void> | undefined;
  return {
    ...graphqlClient(server.url),
    feed,
    stop: () => (stopping ??= server.drain(2_000).then(() => feed.drain(2_000))),
  };
}

function createNode(log: EventLog, name: string, clock: () => number): TestNode {
  const host = createSimulatedHost(name);
  const { start } = host.spawn(PID, { program: 'server' });
  host.set(PID, { rss: 4096, rssAnon: 4096 });
  const opened: TraceRequest[] = [];
  let kill = (): void => {};
  const wall = (): number => Date.now() + clock();
  const send = async (state: NodeRecord['state']): Promise<void> => {
    const heartbeat = host.heartbeat(wall(), state);
    const chunks = host.round(wall());
    await log.append([
      { topic: Topic.Nodes, key: name, ...encodeNodeRecord(heartbeat), timestamp: heartbeat.at },
      ...chunks.map((chunk) => ({ topic: Topic.Samples, key: name, ...encodeSampleChunk(chunk), timestamp: chunk.at })),
    ]);
  };
  return {
    opened,
    key: processKey(host.node, 'boot-1', PID, start),
    async start() {
      const life = startTracing(log, name, { start, opened, wall });
      host.restart(false);
      await life.stage.ready;
      await send('UP');
      const beating = setInterval(() => void send('UP').catch(() => {}), BEAT_MS);
      kill = () => {
        clearInterval(beating);
        life.kill();
      };
    },
    kill: () => kill(),
  };
}

function startTracing(
  log: EventLog,
  name: string,
  { start, opened, wall }: { start: number; opened: TraceRequest[]; wall: () => number },
): { stage: TraceStage; kill(): void } {
  let killed = false;
  const never = new Promise<never>(() => {});
  const node = createSimulatedHost(name).node;
  const channel = createControlChannel({ log, node, logger: silentLogger, registry: new Registry(), quietMs: 1_000 });
  const stage = startTrace({
    node,
    control: { ...channel, send: (record) => (killed ? never : channel.send(record)) },
    log: { append: (batch) => (killed ? never : log.append(batch)) },
    boot: 'boot-1',
    async openTrace(request) {
      opened.push(request);
      const fake = createFakeProcess(PID, wall);
      fake.allocate(3, 5);
      const how = { mode: request.mode, sampleInterval: request.sampleInterval ?? null };
      return {
        ...fake.source,
        observe: async () => (killed ? never : { ...(await fake.source.observe()), ...how }),
      };
    },
    symbolize: fakeSymbolize,
    processes: {
      find: (pid) => (pid === PID ? { pid, start, program: 'server', commandLine: null } : undefined),
      anonymousBytes: () => 1e6,
    },
    clock: {
      wall,
      monotonic: () => performance.now(),
      sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    },
    interval: 100,
    logger: silentLogger,
    registry: new Registry(),
  });
  return {
    stage,
    kill() {
      killed = true;
      void stage.drain(200);
    },
  };
}
