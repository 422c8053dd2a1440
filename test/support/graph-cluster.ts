import {
  encodeFindingRecord,
  encodeNodeRecord,
  encodeSampleChunk,
  findingKey,
  processKey,
  TOPICS,
  Topic,
  toNodeId,
  type EncodedRecord,
  type Finding,
  type LeakState,
} from '@tidemark/contracts';
import { createControlSender } from '@tidemark/control';
import { createMemoryEventLog, type EventLog } from '@tidemark/event-log';
import { startGraphServer, startLiveFeed, type GraphServer, type GraphServerOptions } from '@tidemark/graph';
import { createLiveView } from '@tidemark/live';
import { Registry, silentLogger } from '@tidemark/service';
import { createSimulatedHost, type SimulatedHost } from '../../libs/live/src/simulated-host.js';

export { createSimulatedHost, type SimulatedHost };

export const MIB = 1024 * 1024;

/** A real graph server over a real (embedded) event log, fed by hosts of the test. */
export interface GraphCluster {
  readonly url: string;
  readonly port: number;
  readonly log: EventLog;
  /** Sends a heartbeat and a whole round of the host. */
  publish(host: SimulatedHost): Promise<void>;
  report(finding: Finding): Promise<void>;
  /** Moves the server's clock, which stands still otherwise. */
  advance(ms: number): void;
  /** Stops the server alone, and starts another one on the same port over the same log. */
  stopServer(): Promise<void>;
  startServer(): Promise<void>;
  close(): Promise<void>;
}

export async function startGraphCluster(options: Partial<GraphServerOptions> = {}): Promise<GraphCluster> {
  const log = await createMemoryEventLog();
  await log.ensureTopics(TOPICS);
  // It stands still, so that a node is silent when the test says so and not when the machine is slow.
  let clock = Date.now();
  const now = (): number => clock;
  let running: { server: GraphServer; stop(): Promise<void> } | undefined;
  let port = 0;

  async function startServer(): Promise<void> {
    const feed = startLiveFeed({ log, live: createLiveView(), logger: silentLogger, now });
    await feed.ready;
    const metrics = new Registry();
    const server = await startGraphServer({
      ...{ log, control: createControlSender(log), feed, history: null, logger: silentLogger, metrics },
      ...{ version: '0.1.0', port, now },
      ...options,
    });
    port = server.port;
    running = {
      server,
      async stop() {
        await server.drain(2_000);
        await feed.drain(2_000);
      },
    };
  }
  const send = (topic: string, key: string, record: EncodedRecord): Promise<void> =>
    log.append([{ topic, key, value: record.value, headers: record.headers }]);

  await startServer();
  return {
    log,
    get url() {
      return `http://127.0.0.1:${port}/graphql`;
    },
    get port() {
      return port;
    },
    async publish(host) {
      await send(Topic.Nodes, host.node, encodeNodeRecord(host.heartbeat(now())));
      for (const chunk of host.round(now())) await send(Topic.Samples, host.node, encodeSampleChunk(chunk));
    },
    report: (finding) => send(Topic.Findings, findingKey(finding), encodeFindingRecord(finding)),
    advance: (ms) => void (clock += ms),
    async stopServer() {
      await running?.stop();
      running = undefined;
    },
    startServer,
    async close() {
      await running?.stop();
      await log.close(2_000);
    },
  };
}

/** A finding as the detector would report it, on pid 100 of the node unless told otherwise. */
export function findingOf(
  node: string,
  pid: number,
  state: LeakState,
  over: Partial<Finding> & { program?: string } = {},
): Finding {
  const { program = 'leaky', ...rest } = over;
  const key = processKey(toNodeId(node), 'boot-1', pid, 1);
  return {
    ...{ v: 1, type: 'finding', id: `${key}#1`, kind: 'PROCESS_LEAK', subject: key, node: toNodeId(node) },
    process: { key, pid, program, commandLine: `/usr/bin/${program} --serve`, user: 'www-data' },
    ...{ service: `${program}.service`, state, previous: 'GROWING', imminent: false, confidence: 0.97 },
    ...{ openedAt: Date.now() - 60_000, at: Date.now(), bytes: 512 * MIB, limit: 1024 * MIB },
    growth: { bytesPerHour: 100 * MIB, low: 90 * MIB, high: 110 * MIB, window: 1_800 },
    ...{ secondsToExhaustion: 18_432, message: `${program} grows by 100 MiB an hour`, evidence: { tau: 0.98 } },
    ...rest,
  };
}
