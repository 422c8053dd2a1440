import { createSimulatedHost } from '@tidemark/live/simulated-host';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { createFullHost, fill, leakFinding, MIB } from '../testing/full-host.js';
import { connectSocket, type SocketClient } from '../testing/socket-client.js';
import { makeFinding, startTestGraph, until, type TestGraph } from '../testing/test-graph.js';

let graph: TestGraph;
const clients: SocketClient[] = [];
beforeEach(async () => {
  graph = await startTestGraph();
});
afterEach(async () => {
  for (const client of clients.splice(0)) await client.close();
  await graph.stop();
});

function connect(options?: Parameters<typeof connectSocket>[1], to: TestGraph = graph): SocketClient {
  const client = connectSocket(to.server.url, options);
  clients.push(client);
  return client;
}

const subscribers = (count: number, of: TestGraph = graph) =>
  until(() => of.feed.updates.counters().subscribers === count, `${count} subscribers`);

describe('leakSuspected', () => {
  const query =
    'subscription ($f: FindingFilter, $o: Boolean) { leakSuspected(filter: $f, includeOpen: $o) { id state imminent process { pid } } }';

  it('tells each finding that is suspected, confirmed or turns imminent, once', async () => {
    const host = createFullHost('a');
    const followed = connect().follow(query, { o: false });
    await subscribers(1);
    await graph.send(...host.round(Date.now()));
    const steps = [
      { state: 'GROWING' },
      { state: 'SUSPECTED' },
      { state: 'SUSPECTED', at: 3000 },
      { state: 'SUSPECTED', at: 4000, imminent: true },
      { state: 'CONFIRMED', at: 5000, imminent: true },
      { state: 'CLEARED', at: 6000 },
    ] as const;
    for (const [index, step] of steps.entries()) {
      await graph.sendFinding(leakFinding(host, '1', step));
      await until(
        () => graph.live.findings.get('1')?.finding.state === step.state && graph.live.findings.size === 1,
        `step ${index}`,
      );
      await until(() => followed.events.length >= [0, 1, 1, 2, 3, 3][index]!, `event of step ${index}`);
    }
    await graph.sendFinding(makeFinding('last', { at: 7000 }));
    await until(() => followed.events.length === 4, 'the last finding');
    expect(followed.events.map(({ data }) => data?.['leakSuspected'])).toEqual([
      { id: '1', state: 'SUSPECTED', imminent: false, process: { pid: 70 } },
      { id: '1', state: 'SUSPECTED', imminent: true, process: { pid: 70 } },
      { id: '1', state: 'CONFIRMED', imminent: true, process: { pid: 70 } },
      { id: 'last', state: 'SUSPECTED', imminent: false, process: null },
    ]);
  });

  it('begins with what is open when asked to, and keeps to its filter', async () => {
    for (const [id, state] of [
      ['open', 'SUSPECTED'],
      ['shut', 'CLEARED'],
    ] as const) {
      await graph.sendFinding(makeFinding(id, { state, service: 'db' }));
    }
    await graph.sendFinding(makeFinding('other', { service: 'web' }));
    await until(() => graph.live.findings.size === 3, 'the findings');
    const followed = connect().follow(query, { o: true, f: { service: 'db' } });
    const cleared = connect().follow(query, { f: { states: ['CLEARED'] } });
    await until(() => followed.events.length === 1, 'the open finding');
    await subscribers(2);
    await graph.sendFinding(makeFinding('web', { service: 'web', at: 3000 }));
    await graph.sendFinding(makeFinding('db', { service: 'db', at: 3000 }));
    await graph.sendFinding(makeFinding('open', { service: 'db', state: 'CLEARED', at: 4000 }));
    await until(() => followed.events.length === 2 && cleared.events.length === 1, 'the later findings');
    const ids = ({ events }: typeof followed) =>
      events.map(({ data }) => (data?.['leakSuspected'] as { id: string }).id);
    expect(ids(followed)).toEqual(['open', 'db']);
    expect(ids(cleared)).toEqual(['open']);
  });
});

describe('nodeUpdated and processUpdated', () => {
  it('tell the state now and whenever something was heard, the process until it ended', async () => {
    const host = createFullHost('a');
    await fill(graph, host);
    const client = connect();
    const node = client.follow('subscription { nodeUpdated(id: "a") { state processCount } }');
    const process = client.follow(
      'subscription { processUpdated(node: "a", pid: 70) { key exitedAt memory { rss } } }',
    );
    const quiet = client.follow('subscription { processUpdated(node: "a", pid: 1) { pid } }');
    await until(() => [node, process, quiet].every(({ events }) => events.length === 1), 'the first events');
    host.set(70, { rss: 41 * MIB });
    await graph.send(...host.round(Date.now() + 1000));
    await until(() => node.events.length === 2 && process.events.length === 2, 'the second events');
    host.spawn(70, { program: 'another' });
    await graph.send(...host.round(Date.now() + 2000));
    await until(() => process.end === 'complete', 'the end');
    const seen = process.events.map(
      ({ data }) => data?.['processUpdated'] as { memory: { rss: number }; exitedAt: unknown; key: string },
    );
    expect(seen.map(({ memory }) => memory.rss)).toEqual([40 * MIB, 41 * MIB, 41 * MIB]);
    expect(seen.map(({ exitedAt }) => exitedAt === null)).toEqual([true, true, false]);
    expect(new Set(seen.map(({ key }) => key)).size).toBe(1);
    expect(quiet.events).toHaveLength(1);
    await subscribers(2);
    graph.live.tick(Date.now() + 60_000);
    graph.feed.updates.publishNode(host.node);
    await until(() => node.events.at(-1)?.data?.['nodeUpdated']['state'] === 'INACTIVE', 'the silence');
  });

  it('tell a process whose leak status changed, though its figures did not', async () => {
    const host = createFullHost('a');
    await fill(graph, host);
    const followed = connect().follow('subscription { processUpdated(node: "a", pid: 70) { leak { state } } }');
    await until(() => followed.events.length === 1, 'the first event');
    await graph.sendFinding(leakFinding(host, 'leak-1', { state: 'CONFIRMED', at: Date.now() }));
    await until(() => followed.events.length === 2, 'the second event');
    expect(followed.events.map(({ data }) => data?.['processUpdated'].leak.state)).toEqual(['SUSPECTED', 'CONFIRMED']);
  });

  it('of what nobody knows are refused with a code', async () => {
    const client = connect();
    const node = client.follow('subscription { nodeUpdated(id: "none") { id } }');
    const process = client.follow('subscription { processUpdated(node: "none", pid: 1) { pid } }');
    await until(() => node.end !== undefined && process.end !== undefined, 'both refusals');
    expect(node.events[0]?.errors).toMatchObject([
      { message: expect.stringContaining('"none"') as string, extensions: { code: 'NODE_NOT_FOUND' } },
    ]);
    expect(process.events[0]?.errors).toMatchObject([{ extensions: { code: 'PROCESS_NOT_FOUND' } }]);
  });

  it('reach the subscriber from the sample', async () => {
    const host = createSimulatedHost('a');
    host.spawn(1);
    await graph.send(...host.round(Date.now()));
    await until(() => graph.live.process('a', 1) !== undefined, 'the process');
    const followed = connect().follow('subscription { processUpdated(node: "a", pid: 1) { memory { rss } } }');
    await subscribers(1);
    for (let round = 1; round <= 20; round++) {
      host.set(1, { rss: round });
      await graph.send(...host.round(Date.now()));
      const newest = () => followed.events.at(-1)?.data?.['processUpdated']['memory']['rss'];
      await until(() => newest() === round, `sample ${round}`);
    }
  });
});

describe('a subscriber', () => {
  it('that stops is forgotten at once, also while it waits', async () => {
    const client = connect();
    const followed = client.follow('subscription { leakSuspected { id } }');
    await subscribers(1);
    followed.stop();
    await subscribers(0);
    client.follow('subscription { leakSuspected { id } }');
    await subscribers(1);
    await client.close();
    await subscribers(0);
  });

  it('that does not read costs bounded memory and holds nobody up', async () => {
    const host = createFullHost('a');
    await fill(graph, host);
    const slow = await openRaw(graph);
    const big = 'x'.repeat(3000);
    const query = `subscription { nodeUpdated(id: "a") { id ${Array.from({ length: 40 }, (_, i) => `a${i}: limitations`).join(' ')} } }`;
    graph.live.applyNode(
      { ...host.heartbeat(Date.now()), limitations: Array.from({ length: 10 }, () => big.slice(0, 1000)) },
      Date.now(),
    );
    const greeted = new Promise((resolve) => slow.once('message', resolve));
    slow.send(JSON.stringify({ type: 'connection_init' }));
    await greeted;
    slow.send(JSON.stringify({ id: '1', type: 'subscribe', payload: { query } }));
    await subscribers(1);
    slow.pause();
    const quick = connect().follow('subscription { nodeUpdated(id: "a") { sampledAt } }');
    await until(() => quick.events.length === 1, 'the quick subscriber');
    // Each event is 400 KB: the sockets' buffers are full after a few, then only the newest state waits.
    let sent = 0;
    await until(async () => {
      host.set(70, { rss: 50 * MIB + sent });
      await graph.send(...host.round(Date.now() + ++sent));
      return graph.feed.updates.counters().conflated > 50;
    }, 'events conflated for the slow subscriber');
    const answered = quick.events.length;
    host.set(70, { rss: 1 });
    await graph.send(...host.round(Date.now() + 10_000));
    await until(() => quick.events.length > answered, 'the quick subscriber goes on');
    expect(graph.feed.updates.counters().dropped).toBe(0);
    slow.terminate();
    await subscribers(1);
  });

  it('is told when the server goes: complete, then 1001', async () => {
    const followed = connect().follow('subscription { leakSuspected { id } }');
    const raw = await openRaw(graph);
    const closed = new Promise((resolve) => raw.once('close', resolve));
    await subscribers(1);
    await graph.server.drain(5000);
    expect(await closed).toBe(1001);
    expect(followed.end).toBe('complete');
  });
});

describe('a hostile socket', () => {
  it.each([
    ['text that is no JSON', ['{'], 4400],
    ['a message of no type', ['{"type":"nonsense"}'], 4400],
    [
      'a subscription before the greeting',
      ['{"id":"1","type":"subscribe","payload":{"query":"{ __typename }"}}'],
      4401,
    ],
    ['two greetings', ['{"type":"connection_init"}', '{"type":"connection_init"}'], 4429],
    ['a message that is too large', ['x'.repeat(600 * 1024)], 1009],
  ])('that sends %s is closed', async (_, messages, code) => {
    const socket = await openRaw(graph);
    const closed = new Promise((resolve) => socket.once('close', resolve));
    for (const message of messages) socket.send(message);
    expect(await closed).toBe(code);
    expect((await graph.query('{ __typename }')).status).toBe(200);
  });

  it('gets the same limits as over HTTP', async () => {
    const client = connect();
    const end = async (query: string) => {
      const followed = client.follow(query);
      await until(() => followed.end !== undefined, 'the refusal');
      return (followed.end as { extensions: { code: string } }[])[0]?.extensions.code;
    };
    const deep = `subscription { leakSuspected { process ${'{ parent '.repeat(20)}{ pid }${' }'.repeat(20)} } }`;
    expect(await end(deep)).toBe('DEPTH_LIMIT');
    expect(await end(`{ ${'__typename '.repeat(6000)} }`)).toBe('TOKEN_LIMIT');
    expect(await end('{ nodes(first: 1000) { nodes { processes(first: 1000) { nodes { pid } } } } }')).toBe(
      'COST_LIMIT',
    );
    expect(await end('subscription { nope }')).toBe('GRAPHQL_VALIDATION_FAILED');
    expect(await end('subscription {')).toBe('GRAPHQL_VALIDATION_FAILED');
    const many = Array.from({ length: 101 }, () => client.follow('subscription { leakSuspected { id } }'));
    await until(() => many.some((one) => one.end !== undefined), 'one too many');
    expect(many.filter((one) => one.end !== undefined)).toHaveLength(1);
    expect(many.at(-1)?.end).toMatchObject([{ extensions: { code: 'SUBSCRIPTION_LIMIT' } }]);
  });

  it('of a foreign page or another path is not opened', async () => {
    const open = (url: string, headers: Record<string, string>) =>
      new Promise<string>((resolve) => {
        const socket = new WebSocket(url.replace(/^http/, 'ws'), 'graphql-transport-ws', { headers });
        socket.on('open', () => (socket.terminate(), resolve('open')));
        socket.on('error', (error) => resolve(error.message));
      });
    const { url, port } = graph.server;
    expect(await open(url, { origin: 'https://evil.example' })).toContain('403');
    expect(await open(url, { host: 'evil.example' })).toContain('403');
    expect(await open(url, { origin: `http://127.0.0.1:${port}` })).toBe('open');
    expect(await open(url.replace('/graphql', '/other'), {})).toContain('404');
  });
});

describe('the token', () => {
  const TOKEN = 'correct-horse-battery';

  it('is shown in connection_init or in the header where all need it', async () => {
    const closed = await startTestGraph({ host: '0.0.0.0', token: TOKEN });
    try {
      const local = { ...closed, server: { ...closed.server, url: `http://127.0.0.1:${closed.server.port}/graphql` } };
      const ask = async (options?: Parameters<typeof connectSocket>[1]) => {
        const followed = connect(options, local).follow('{ __typename }');
        await until(() => followed.end !== undefined, 'an answer');
        return followed.end === 'complete' ? 'answered' : followed.end;
      };
      expect(await ask({ params: { authorization: `Bearer ${TOKEN}` } })).toBe('answered');
      expect(await ask({ params: { token: TOKEN } })).toBe('answered');
      expect(await ask({ headers: { authorization: `Bearer ${TOKEN}` } })).toBe('answered');
      expect(await ask()).toMatchObject({ code: 4403, reason: expect.stringContaining('missing') as string });
      expect(await ask({ params: { token: 'wrong' } })).toMatchObject({ code: 4403, reason: 'the token is wrong' });
    } finally {
      await closed.stop();
    }
  });

  it('is needed for mutations over sockets too', async () => {
    const guarded = await startTestGraph({ token: TOKEN });
    try {
      await guarded.sendFinding(makeFinding('1'));
      await until(() => guarded.live.findings.size === 1, 'the finding');
      const mutation = 'mutation { acknowledgeFinding(id: "1") { id } }';
      const bare = connect(undefined, guarded).follow(mutation);
      const right = connect({ params: { token: TOKEN } }, guarded).follow(mutation);
      await until(() => bare.end !== undefined && right.end !== undefined, 'both answers');
      expect(bare.events[0]?.errors).toMatchObject([{ extensions: { code: 'UNAUTHENTICATED' } }]);
      expect(right.events[0]?.data).toEqual({ acknowledgeFinding: { id: '1' } });
    } finally {
      await guarded.stop();
    }
  });
});

async function openRaw({ server }: TestGraph): Promise<WebSocket> {
  const socket = new WebSocket(server.url.replace(/^http/, 'ws'), 'graphql-transport-ws');
  socket.on('error', () => undefined);
  await new Promise((resolve) => socket.once('open', resolve));
  return socket;
}
