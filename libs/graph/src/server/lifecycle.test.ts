import { silentLogger } from '@tidemark/service';
import { createServer, request as httpRequest, type Server } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { exchange, startTestGraph, until, type TestGraph } from '../testing/test-graph.js';
import { startGraphServer } from './graph-server.js';

let graph: TestGraph | undefined;
let other: Server | undefined;
afterEach(async () => {
  await graph?.stop();
  other?.close();
  graph = undefined;
  other = undefined;
});

describe('starting', () => {
  it('names a port in use and what to do', async () => {
    graph = await startTestGraph();
    other = createServer();
    await new Promise<void>((resolve) => other!.listen(0, '127.0.0.1', resolve));
    const port = (other.address() as AddressInfo).port;
    const { feed, log, registry } = graph;
    registry.clear();
    const start = startGraphServer({
      ...{
        feed,
        log,
        control: { send: graph.sendControl },
        history: null,
        logger: silentLogger,
        metrics: registry,
        version: '1',
        port,
      },
    });
    await expect(start).rejects.toMatchObject({
      code: 'GRAPH_PORT_IN_USE',
      message: `port ${port} of 127.0.0.1 is in use by another program: stop it, or choose another port for the API`,
    });
  });

  it('names an address that this host does not have', async () => {
    await expect(startTestGraph({ host: '203.0.113.7', token: 'long-enough' })).rejects.toMatchObject({
      code: 'GRAPH_ADDRESS',
      message: expect.stringContaining('203.0.113.7') as string,
    });
  });
});

describe('draining', () => {
  it('finishes the request under way, closes idle connections, takes no new ones, twice over', async () => {
    graph = await startTestGraph();
    const { server, history } = graph;
    let release: (value: []) => void = () => undefined;
    history.aggregateSeries = () => new Promise((resolve) => (release = resolve));
    const idle = connect(server.port, '127.0.0.1');
    const idleClosed = new Promise((resolve) => idle.once('close', resolve));
    const slow = graph.query('{ clusterAggregate(filter: {}) { series { at } } }');
    let pending = false;
    history.aggregateSeries = () => {
      pending = true;
      return new Promise((resolve) => (release = resolve));
    };
    await until(() => pending, 'the question to history');
    const drained = Promise.all([server.drain(10_000), server.drain(10_000)]);
    await expect(exchange(server.url)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    release([]);
    expect((await slow).data).toEqual({ clusterAggregate: { series: [] } });
    await drained;
    await idleClosed;
  });

  it('cuts what is not done by the deadline', async () => {
    graph = await startTestGraph();
    const { server, history } = graph;
    let asked = false;
    history.aggregateSeries = () => {
      asked = true;
      return new Promise(() => undefined);
    };
    const body = JSON.stringify({ query: '{ clusterAggregate(filter: {}) { series { at } } }' });
    const cut = new Promise<Error>((resolve) => {
      const request = httpRequest(server.url, { method: 'POST', headers: { 'content-type': 'application/json' } });
      request.on('error', resolve);
      request.end(body);
    });
    await until(() => asked, 'the question to history');
    await server.drain(300);
    expect(await cut).toMatchObject({ code: 'ECONNRESET' });
  });

  it('is not ready while it stops', async () => {
    graph = await startTestGraph();
    const { server, feed } = graph;
    const ready = () => exchange(server.url.replace('/graphql', '/health/ready'));
    expect((await ready()).status).toBe(200);
    await feed.drain(1000);
    expect((await ready()).status).toBe(503);
  });
});
