import {
  controlKey,
  encodeAllocationChunk,
  encodeControlRecord,
  encodeFindingRecord,
  encodeNodeRecord,
  encodeSampleChunk,
  findingKey,
  toNodeId,
  Topic,
  TOPICS,
  type AllocationChunk,
  type ControlRecord,
  type Finding,
  type FindingRecord,
  type NodeRecord,
  type SampleChunk,
} from '@tidemark/contracts';
import { createMemoryEventLog, type EventLog } from '@tidemark/event-log';
import { createLiveView, type LiveView, type LiveViewOptions } from '@tidemark/live';
import { Registry, silentLogger } from '@tidemark/service';
import { request as httpRequest } from 'node:http';
import { startLiveFeed, type LiveFeed } from '../feed/live-feed.js';
import { startGraphServer, type GraphServer, type GraphServerOptions } from '../server/graph-server.js';
import { createFakeHistory, type FakeHistory } from './fake-history.js';

/** The real server over the real log and live view, with a made-up history; on an ephemeral port. */
export interface TestGraph {
  log: EventLog;
  live: LiveView;
  feed: LiveFeed;
  history: FakeHistory;
  server: GraphServer;
  registry: Registry;
  send(...chunks: SampleChunk[]): Promise<void>;
  sendNode(record: NodeRecord): Promise<void>;
  sendFinding(record: FindingRecord): Promise<void>;
  sendTrace(...chunks: AllocationChunk[]): Promise<void>;
  sendControl(record: ControlRecord): Promise<void>;
  query(document: string, variables?: Record<string, unknown>, headers?: Record<string, string>): Promise<Answer>;
  stop(): Promise<void>;
}

export interface Answer {
  status: number;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- each test knows what it asked for
  data: any;
  errors: { message: string; path?: unknown[]; extensions: { code: string } }[] | undefined;
  text: string;
}

export async function startTestGraph(
  options: Partial<Omit<GraphServerOptions, 'log' | 'feed'>> & { view?: LiveViewOptions } = {},
): Promise<TestGraph> {
  const { view, ...given } = options;
  const log = await createMemoryEventLog();
  await log.ensureTopics(TOPICS);
  const live = createLiveView(view);
  const history = createFakeHistory();
  const registry = new Registry();
  const shared = { log, logger: silentLogger };
  const clock = given.now === undefined ? {} : { now: given.now };
  const feed = startLiveFeed({ ...shared, ...clock, live, registry, seed: () => history.lastNodeMemory() });
  await feed.ready;
  const append = (topic: string, key: string, record: { value: Uint8Array; headers: Record<string, string> }) =>
    log.append([{ topic, key, ...record }]);
  const sendControl = (record: ControlRecord) =>
    append(Topic.Control, controlKey(record.node, record.pid), encodeControlRecord(record));
  const server = await startGraphServer({
    ...{ ...shared, control: { send: sendControl }, feed, history, metrics: registry, version: '1.2.3', port: 0 },
    ...given,
  });
  return {
    ...{ log, live, feed, history, server, registry, sendControl },
    async send(...chunks) {
      for (const chunk of chunks) await append(Topic.Samples, chunk.node, encodeSampleChunk(chunk));
    },
    sendNode: (record) => append(Topic.Nodes, record.node, encodeNodeRecord(record)),
    sendFinding: (record) => append(Topic.Findings, findingKey(record), encodeFindingRecord(record)),
    async sendTrace(...chunks) {
      for (const chunk of chunks) await append(Topic.Allocations, chunk.key, encodeAllocationChunk(chunk));
    },
    query: (query, variables, headers) => post(server.url, JSON.stringify({ query, variables }), headers),
    async stop() {
      await server.drain(2_000);
      await feed.drain(2_000);
      await log.close(2_000);
    },
  };
}

/** A POST with whatever body and headers; `fetch` would not send a foreign Host. */
export function post(url: string, body: string, headers: Record<string, string> = {}): Promise<Answer> {
  return exchange(url, { method: 'POST', body, headers: { 'content-type': 'application/json', ...headers } });
}

export function exchange(
  url: string,
  { method = 'GET', body, headers = {} }: { method?: string; body?: string; headers?: Record<string, string> } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(url, { method, headers, agent: false }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('error', reject);
      response.on('end', () => {
        const text = Buffer.concat(parts).toString();
        const isJson = (response.headers['content-type'] ?? '').includes('json');
        const json = (isJson ? JSON.parse(text) : {}) as Partial<Answer>;
        resolve({ status: response.statusCode ?? 0, data: json.data ?? {}, errors: json.errors, text });
      });
    });
    request.on('error', reject);
    request.end(body);
  });
}

/** Waits until the condition holds; fails after a generous deadline with the last reason. */
export async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = performance.now() + 15_000;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`waited 15 s in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export function makeFinding(id: string, given: Partial<Finding> = {}): Finding {
  return {
    ...{ v: 1, type: 'finding', id, kind: 'PROCESS_LEAK', subject: `subject-${id}`, node: toNodeId('a') },
    ...{ process: null, service: 'svc', state: 'SUSPECTED', previous: 'GROWING', imminent: false, confidence: 0.9 },
    ...{ openedAt: 1000, at: 2000, bytes: 1_048_576, limit: null, growth: null, secondsToExhaustion: null },
    ...{ message: 'it grows', evidence: { slope: 1, tau: null } },
    ...given,
  };
}
