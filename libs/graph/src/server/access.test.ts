import { afterEach, describe, expect, it } from 'vitest';
import { exchange, makeFinding, post, startTestGraph, until, type TestGraph } from '../testing/test-graph.js';
import { createAccess, isLoopback, readBearer } from './access.js';

const TOKEN = 'correct-horse-battery';
const open: TestGraph[] = [];
afterEach(async () => {
  for (const graph of open.splice(0)) await graph.stop();
});

async function start(options: Parameters<typeof startTestGraph>[0]): Promise<TestGraph> {
  const graph = await startTestGraph(options);
  open.push(graph);
  return graph;
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const page = (graph: TestGraph, path: string) => graph.server.url.replace('/graphql', path);

describe('loopback', () => {
  it.each(['localhost', '127.0.0.1', '127.8.9.1', '::1', '[::1]', 'LOCALHOST'])('is %s', (host) => {
    expect(isLoopback(host)).toBe(true);
  });
  it.each(['0.0.0.0', '::', '10.0.0.1', '127.0.0.1.evil.example', 'localhost.evil.example', '', '127.1'])(
    'is not %s',
    (host) => {
      expect(isLoopback(host)).toBe(false);
    },
  );
});

describe('a server on loopback without a token', () => {
  it('answers everybody on the host, and no page under a foreign name (DNS rebinding)', async () => {
    const graph = await start({ allowedHosts: ['tidemark.internal'] });
    const port = graph.server.port;
    for (const host of [
      'localhost',
      `localhost:${port}`,
      `127.0.0.1:${port}`,
      `[::1]:${port}`,
      'tidemark.internal:80',
    ]) {
      expect((await graph.query('{ __typename }', {}, { host })).status).toBe(200);
    }
    for (const host of ['evil.example', `evil.example:${port}`, '127.0.0.1.evil.example', `10.0.0.1:${port}`]) {
      const answer = await graph.query('{ __typename }', {}, { host });
      expect(answer.status).toBe(403);
      expect(answer.errors?.[0]?.extensions.code).toBe('HOST_NOT_ALLOWED');
    }
  });

  it('lets only the pages that were named ask from a browser', async () => {
    const graph = await start({ allowedOrigins: ['https://grafana.example'] });
    const ask = (origin: string) =>
      fetch(graph.server.url, {
        method: 'OPTIONS',
        headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'content-type' },
      });
    const allowed = await ask('https://grafana.example');
    expect(allowed.status).toBe(204);
    expect(allowed.headers.get('access-control-allow-origin')).toBe('https://grafana.example');
    const foreign = await ask('https://evil.example');
    expect(foreign.headers.get('access-control-allow-origin')).toBeNull();
  });
});

describe('a server with a token', () => {
  it('on loopback answers queries to all, and mutations with the token only', async () => {
    const graph = await start({ token: TOKEN });
    await graph.sendFinding(makeFinding('1'));
    await until(() => graph.live.findings.size === 1, 'the finding');
    expect((await graph.query('{ finding(id: "1") { id } }')).data).toEqual({ finding: { id: '1' } });
    const mutation = 'mutation { acknowledgeFinding(id: "1") { id } }';
    const refused = await graph.query(mutation);
    expect(refused.errors?.[0]?.extensions.code).toBe('UNAUTHENTICATED');
    expect((await graph.query(mutation, {}, bearer(TOKEN))).data).toEqual({ acknowledgeFinding: { id: '1' } });
    for (const wrong of ['wrong', `${TOKEN}x`, TOKEN.slice(1), '']) {
      const answer = await graph.query('{ __typename }', {}, bearer(wrong || 'x'));
      expect(answer.status).toBe(401);
    }
  });

  it('on another address answers nothing but health without it', async () => {
    const graph = await start({ host: '0.0.0.0', token: TOKEN });
    const url = `http://127.0.0.1:${graph.server.port}`;
    const bare = await post(`${url}/graphql`, '{"query":"{ __typename }"}');
    expect(bare.status).toBe(401);
    expect(bare.errors?.[0]).toMatchObject({ extensions: { code: 'UNAUTHENTICATED' } });
    expect((await exchange(`${url}/metrics`)).status).toBe(401);
    expect((await exchange(`${url}/metrics`, { headers: bearer(TOKEN) })).status).toBe(200);
    const health = await exchange(`${url}/health/live`);
    expect(health.status).toBe(200);
    expect(JSON.parse(health.text)).toEqual({ live: true, ready: true });
    expect((await exchange(`${url}/health/ready`, { headers: bearer(TOKEN) })).text).toContain('parts');
    const right = await post(`${url}/graphql`, '{"query":"{ __typename }"}', bearer(TOKEN));
    expect(right.data).toEqual({ __typename: 'Query' });
    const schema = await post(`${url}/graphql`, '{"query":"{ __schema { types { name } } }"}', bearer(TOKEN));
    expect(schema.errors?.[0]?.message).toMatch(/introspection/i);
  });

  it('is asked for by a server that would answer the network', async () => {
    await expect(startTestGraph({ host: '0.0.0.0' })).rejects.toMatchObject({
      code: 'GRAPH_TOKEN',
      message: 'the API will not listen on 0.0.0.0 without a token: set a token, or listen on 127.0.0.1',
    });
    await expect(startTestGraph({ token: 'short' })).rejects.toThrow(/shorter than 8 characters/);
  });

  it('compares tokens of any length', () => {
    const { isAuthorized } = createAccess({ host: '127.0.0.1', token: TOKEN });
    expect([TOKEN, '', 'x', TOKEN + TOKEN, undefined].map(isAuthorized)).toEqual([true, false, false, false, false]);
  });

  it('reads the header in any case', () => {
    expect(readBearer(`bearer ${TOKEN}`)).toBe(TOKEN);
    for (const header of ['Basic abc', 'Bearer', 'Bearer a b', undefined, 7])
      expect(readBearer(header)).toBeUndefined();
  });
});

describe('health', () => {
  it('is live and ready with the parts by name, and says which part is not', async () => {
    let ready = true;
    const graph = await start({ health: { history: () => ({ live: true, ready, detail: 'fine' }) } });
    const fine = await exchange(page(graph, '/health/ready'));
    expect(fine.status).toBe(200);
    expect(JSON.parse(fine.text)).toMatchObject({
      ready: true,
      parts: { history: { ready: true }, live: { ready: true } },
    });
    ready = false;
    expect((await exchange(page(graph, '/health/ready'))).status).toBe(503);
    expect((await exchange(page(graph, '/health/live'))).status).toBe(200);
  });
});
