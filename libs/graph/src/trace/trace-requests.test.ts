import type { TraceRequestRecord, TraceStatusRecord } from '@tidemark/contracts';
import type { SimulatedHost } from '@tidemark/live/simulated-host';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { answerRequests } from '../testing/answering-node.js';
import { createFullHost, fill, keyOf, traceOf } from '../testing/full-host.js';
import { connectSocket, type SocketClient } from '../testing/socket-client.js';
import { startTestGraph, until, type TestGraph } from '../testing/test-graph.js';

let graph: TestGraph;
let host: SimulatedHost;
let node: Awaited<ReturnType<typeof answerRequests>> | undefined;
const clients: SocketClient[] = [];
beforeEach(async () => {
  graph = await startTestGraph();
  host = createFullHost('a');
  await fill(graph, host);
});
afterEach(async () => {
  for (const client of clients.splice(0)) await client.close();
  await node?.stop();
  node = undefined;
  await graph.stop();
});

const start = (given = '', target = 'node: "a", pid: 70') =>
  graph.query(`mutation { startAllocationTrace(${target}${given}) { state mode means sampleInterval reason reasonCode
    processKey liveBytes recorded sites { id } } }`);
const stop = (target = 'node: "a", pid: 70') =>
  graph.query(`mutation { stopAllocationTrace(${target}) { state reason } }`);

async function answering(answer: (request: TraceRequestRecord) => Partial<TraceStatusRecord> | undefined) {
  node = await answerRequests(graph, answer);
  return node.records;
}

describe('startAllocationTrace', () => {
  it('asks the node for the very process, and answers with what it said', async () => {
    const records = await answering(() => ({ key: keyOf(host, 70) }));
    const { data, errors } = await start(', sampleInterval: 65536');
    expect(errors).toBeUndefined();
    expect(data['startAllocationTrace']).toEqual({
      ...{ state: 'ACTIVE', mode: 'SAMPLED', means: 'LIBRARY', sampleInterval: 65_536, reason: null, reasonCode: null },
      ...{ processKey: keyOf(host, 70), liveBytes: null, recorded: 0, sites: [] },
    });
    expect(records[0]).toMatchObject({
      ...{ type: 'trace-request', node: 'a', pid: 70, start: host.processes.get(70)!.start, action: 'START' },
      ...{ mode: 'SAMPLED', sampleInterval: 65_536, maxFrames: null },
    });
    const { requestedAt, expiresAt } = records[0] as TraceRequestRecord;
    expect(expiresAt).toBeGreaterThan(requestedAt);
  });

  it('tells a refusal with its reason, as an answer', async () => {
    await answering(() => ({ state: 'REFUSED', means: null, reason: '/bin/leaker is static', code: 'STATIC' }));
    const { data, errors } = await start(', mode: EXACT');
    expect(errors).toBeUndefined();
    expect(data['startAllocationTrace']).toMatchObject({
      ...{ state: 'REFUSED', mode: 'EXACT', reason: '/bin/leaker is static', reasonCode: 'STATIC' },
    });
    const { data: later } = await graph.query('{ process(node: "a", pid: 70) { trace { state reason } } }');
    expect(later['process']['trace']).toEqual({ state: 'REFUSED', reason: '/bin/leaker is static' });
  });

  it('says REQUESTED when the node takes its time', { timeout: 30_000 }, async () => {
    await answering(() => undefined);
    const { data, errors } = await start();
    expect(errors).toBeUndefined();
    expect(data['startAllocationTrace']).toMatchObject({
      state: 'REQUESTED',
      means: null,
      processKey: keyOf(host, 70),
    });
  });

  it.each([
    [', mode: DORMANT', 'BAD_INPUT', /mode: DORMANT takes no events/],
    [', mode: EXACT, sampleInterval: 65536', 'BAD_INPUT', /EXACT takes every allocation/],
    [', sampleInterval: 4095', 'BAD_INPUT', /sampleInterval: 4095 must be from 4096 to 1073741824/],
    [', sampleInterval: 1073741825', 'BAD_INPUT', /1073741825 must be/],
  ])('refuses %s', async (given, code, message) => {
    const { errors } = await start(given);
    expect(errors).toMatchObject([{ extensions: { code }, message: expect.stringMatching(message) as string }]);
  });

  it.each([
    ['node: "none", pid: 70', 'NODE_NOT_FOUND'],
    ['node: "a", pid: 71', 'PROCESS_NOT_FOUND'],
    ['node: "a", pid: 0', 'BAD_INPUT'],
    ['node: "a", pid: -1', 'BAD_INPUT'],
  ])('refuses %s, and asks nobody', async (target, code) => {
    const records = await answering(() => undefined);
    const { errors } = await start('', target);
    expect(errors).toMatchObject([{ extensions: { code } }]);
    expect(records).toEqual([]);
  });

  it('does not ask a node whose collector was stopped', async () => {
    const records = await answering(() => undefined);
    await graph.sendNode(host.heartbeat(Date.now(), 'LEAVING'));
    await until(() => graph.live.node('a')?.state === 'LEFT', 'the last word');
    for (const { errors } of [await start(), await stop()]) {
      expect(errors?.[0]?.extensions.code).toBe('NODE_INACTIVE');
      expect(errors?.[0]?.message).toMatch(/node "a" cannot answer: its collector was stopped/);
    }
    expect(records).toEqual([]);
  });

  it('needs the token when the server has one', async () => {
    await graph.stop();
    graph = await startTestGraph({ token: 'correct-horse-battery' });
    host = createFullHost('a');
    await fill(graph, host);
    for (const { errors } of [await start(), await stop()]) {
      expect(errors?.[0]?.extensions.code).toBe('UNAUTHENTICATED');
    }
    await answering(() => ({ key: keyOf(host, 70) }));
    const mutation = 'mutation { startAllocationTrace(node: "a", pid: 70) { state } }';
    const { data } = await graph.query(mutation, {}, { authorization: 'Bearer correct-horse-battery' });
    expect(data).toEqual({ startAllocationTrace: { state: 'ACTIVE' } });
  });

  it('says so when the event log does not take the request', async () => {
    await graph.log.close(1_000);
    const { errors } = await start();
    expect(errors?.[0]?.extensions.code).toBe('LOG_UNAVAILABLE');
  });

  it('does not hold up the end of the server', async () => {
    const records = await answering(() => undefined);
    const asked = start();
    await until(() => records.length === 1, 'the request');
    await graph.server.drain(4_000);
    const { data } = await asked;
    expect(data['startAllocationTrace']).toMatchObject({ state: 'REQUESTED' });
  });
});

describe('stopAllocationTrace', () => {
  it('ends what runs; once over it says so again without asking', async () => {
    const records = await answering(() => ({ key: keyOf(host, 70) }));
    expect((await start()).errors).toBeUndefined();
    expect((await stop()).data).toEqual({ stopAllocationTrace: { state: 'STOPPED', reason: null } });
    expect((await stop()).data).toEqual({ stopAllocationTrace: { state: 'STOPPED', reason: null } });
    expect(records.filter(({ type }) => type === 'trace-request')).toHaveLength(2);
    expect(records.filter((one) => one.type === 'trace-request' && one.action === 'STOP')).toHaveLength(1);
  });

  it('of what was never traced is an error', async () => {
    expect((await stop()).errors?.[0]?.extensions.code).toBe('TRACE_NOT_FOUND');
    expect((await stop('node: "none", pid: 1')).errors?.[0]?.extensions.code).toBe('NODE_NOT_FOUND');
  });
});

describe('a node that is away', () => {
  const trace = async (): Promise<{ state: string; reason: string | null; reasonCode: string | null }> => {
    const { data } = await graph.query('{ process(node: "a", pid: 70) { trace { state reason reasonCode } } }');
    return data['process']['trace'] as { state: string; reason: string | null; reasonCode: string | null };
  };
  let ahead = 0;
  const silence = (): void => {
    graph.live.tick(Date.now() + ahead + 60_000);
    expect(graph.live.node('a')?.state).toBe('INACTIVE');
  };
  beforeEach(async () => {
    await graph.stop();
    ahead = 0;
    graph = await startTestGraph({ now: () => Date.now() + ahead, view: { nodeTimeoutMs: 30_000 } });
    host = createFullHost('a');
    await fill(graph, host);
  });

  it('is asked all the same, without waiting, and answers when it is back', async () => {
    const requests = await answering(() => undefined);
    silence();
    const { data, errors } = await start();
    expect(errors).toBeUndefined();
    expect(data['startAllocationTrace']).toMatchObject({ state: 'REQUESTED', processKey: keyOf(host, 70) });
    await until(() => requests.length === 1, 'the request');
    await graph.sendControl({
      ...{ v: 1, type: 'trace-status', id: requests[0]!.id, node: host.node, pid: 70, key: keyOf(host, 70) },
      ...{ state: 'ACTIVE', means: 'LIBRARY', mode: 'SAMPLED', sampleInterval: null, maxFrames: null },
      ...{ reason: null, code: null, at: Date.now() },
    });
    await until(async () => (await trace()).state === 'ACTIVE', 'the answer');
  });

  it(
    'that does not come back has its request expire, and whoever follows the trace is told',
    { timeout: 30_000 },
    async () => {
      silence();
      await start();
      const client = connectSocket(graph.server.url);
      clients.push(client);
      const followed = client.follow('subscription { traceUpdated(node: "a", pid: 70) { state reason } }');
      await until(() => followed.events.length > 0, 'the first event');
      ahead = 59_000;
      expect((await trace()).state).toBe('REQUESTED');
      ahead = 61_000;
      const expired = { state: 'EXPIRED', reason: 'Node a did not answer within 60 s.' };
      expect(await trace()).toEqual({ ...expired, reasonCode: 'TRACE_EXPIRED' });
      await until(() => followed.events.at(-1)?.data?.['traceUpdated'].state === 'EXPIRED', 'the event');
      expect(followed.events.at(-1)?.data).toEqual({ traceUpdated: expired });
    },
  );

  it('may be asked to stop as well', async () => {
    await answering((request) => (request.action === 'START' ? { key: keyOf(host, 70) } : undefined));
    expect((await start()).data['startAllocationTrace']).toMatchObject({ state: 'ACTIVE' });
    silence();
    const { data } = await stop();
    expect(data['stopAllocationTrace']).toEqual({ state: 'REQUESTED', reason: 'It is to be stopped.' });
    ahead = 61_000;
    expect(await trace()).toMatchObject({ state: 'EXPIRED', reason: 'Node a did not answer within 60 s.' });
  });

  it.each([-600_000, 600_000])('is given the time by its own clock, which differs by %d ms', async (difference) => {
    for (let beat = 0; beat < 8; beat++) await graph.sendNode(host.heartbeat(Date.now() + difference));
    await until(() => Math.abs((graph.live.node('a')?.clockOffset ?? 0) + difference) < 5_000, 'the heartbeats');
    const requests = await answering(() => undefined);
    silence();
    await start();
    await until(() => requests.length === 1, 'the request');
    const { expiresAt, requestedAt } = requests[0] as TraceRequestRecord;
    expect(expiresAt - requestedAt).toBe(60_000);
    expect(Math.abs(requestedAt - (Date.now() + difference))).toBeLessThan(10_000);
    expect((await trace()).state).toBe('REQUESTED');
    ahead = 61_000;
    expect((await trace()).state).toBe('EXPIRED');
  });
});

describe('traceUpdated', () => {
  const query = 'subscription { traceUpdated(node: "a", pid: 70) { state at liveCount } }';
  const connect = (): SocketClient => {
    const client = connectSocket(graph.server.url);
    clients.push(client);
    return client;
  };

  it('tells the trace now, with each look, and ends with the process', async () => {
    const now = Date.now();
    const trace = traceOf(host, now - 60_000);
    await graph.sendTrace(trace.chunk(now - 3000));
    await until(() => graph.feed.traces.metrics().traces === 1, 'the trace');
    const followed = connect().follow(query);
    await until(() => followed.events.length === 1, 'the first event');
    await graph.sendTrace(trace.chunk(now - 2000));
    await until(() => followed.events.length === 2, 'the second event');
    await graph.sendTrace(trace.chunk(now - 1000, { state: 'ENDED' }));
    await until(() => followed.end === 'complete', 'the end');
    const told = followed.events.map(({ data }) => data?.['traceUpdated'] as { state: string; liveCount: number });
    expect(told.map(({ state }) => state)).toEqual(['ACTIVE', 'ACTIVE', 'ENDED']);
    expect(told.map(({ liveCount }) => liveCount)).toEqual([167, 168, 169]);
    expect(graph.feed.updates.counters().subscribers).toBe(0);
  });

  it('follows a request until it is answered', async () => {
    await answering(() => undefined);
    const asked = start();
    await until(() => graph.feed.traces.metrics().traces === 1, 'the request');
    const followed = connect().follow(query);
    await until(() => followed.events.length === 1, 'the first event');
    const request = node!.records[0] as TraceRequestRecord;
    await graph.sendControl({
      ...{ v: 1, type: 'trace-status', id: request.id, node: host.node, pid: 70, key: keyOf(host, 70) },
      ...{ state: 'ACTIVE', means: 'UPROBES', mode: 'SAMPLED', sampleInterval: null, maxFrames: null },
      ...{ reason: null, code: null, at: Date.now() },
    });
    expect((await asked).data['startAllocationTrace']).toMatchObject({ state: 'ACTIVE', means: 'UPROBES' });
    await until(() => followed.events.length === 2, 'the answer');
    expect(followed.events.map(({ data }) => data?.['traceUpdated'].state)).toEqual(['REQUESTED', 'ACTIVE']);
  });

  it('of what is not traced is refused with a code', async () => {
    const followed = connect().follow(query);
    await until(() => followed.end !== undefined, 'the refusal');
    expect(followed.events[0]?.errors).toMatchObject([{ extensions: { code: 'TRACE_NOT_FOUND' } }]);
  });
});
