import { afterEach, describe, expect, it } from 'vitest';
import { exchange, post, startTestGraph, type TestGraph } from '../testing/test-graph.js';
import type { PageHandler } from './graph-server.js';

let graph: TestGraph | undefined;
afterEach(async () => graph?.stop());

const page: PageHandler = (request, response, next) => {
  if (request.url !== '/') return next();
  response.end('a page');
};

describe('a server with a page', () => {
  it('hands it out without the token that all else needs, so that a browser can ask for the token', async () => {
    graph = await startTestGraph({ host: '0.0.0.0', token: 'correct-horse-battery', page });
    const origin = `http://127.0.0.1:${graph.server.port}`;
    expect(await exchange(origin)).toMatchObject({ status: 200, text: 'a page' });
    expect((await post(`${origin}/graphql`, '{"query":"{ __typename }"}')).status).toBe(401);
    expect((await exchange(`${origin}/metrics`)).status).toBe(401);
    expect((await exchange(`${origin}/health/live`)).status).toBe(200);
  });

  it('answers questions as ever', async () => {
    graph = await startTestGraph({ page });
    expect((await graph.query('{ __typename }')).data).toEqual({ __typename: 'Query' });
  });
});
