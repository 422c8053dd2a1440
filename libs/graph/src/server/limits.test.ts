import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createFullHost, fill } from '../testing/full-host.js';
import { exchange, post, startTestGraph, until, type Answer, type TestGraph } from '../testing/test-graph.js';

let graph: TestGraph;
beforeAll(async () => {
  graph = await startTestGraph();
  await fill(graph, createFullHost('a'));
});
afterAll(() => graph.stop());

/** The server refuses in one line that has a code, and goes on. */
async function expectRefusal(answer: Answer, code: string, ...parts: (string | RegExp)[]): Promise<void> {
  const [error, ...rest] = answer.errors ?? [];
  expect(rest).toEqual([]);
  expect(error?.extensions).toEqual({ code });
  for (const part of parts) expect(error?.message).toMatch(part);
  expect(error?.message).not.toContain('\n');
  expect(answer.text).not.toMatch(/node_modules|\.ts:|\.js:|stacktrace/);
  expect((await graph.query('{ __typename }')).data).toEqual({ __typename: 'Query' });
}

const nest = (levels: number, field: string, leaf: string) =>
  `${`${field} { `.repeat(levels)}${leaf}${' }'.repeat(levels)}`;
const ofProcess = (field: string) => `{ process(node: "a", pid: 70) { ${field} } }`;

describe('an operation that asks for too much is refused before it runs', () => {
  it('nests too deep', async () => {
    await expectRefusal(
      await graph.query(ofProcess(nest(20, 'parent', 'pid'))),
      'DEPTH_LIMIT',
      /22 levels deep, more than 15/,
    );
    const fragments = `{ ...A } ${Array.from({ length: 8 }, (_, i) => `fragment F${i} on Process { parent { parent { ${i < 7 ? `...F${i + 1}` : 'pid'} } } }`).join(' ')}
      fragment A on Query { process(node: "a", pid: 70) { ...F0 } }`;
    await expectRefusal(await graph.query(fragments), 'DEPTH_LIMIT', /18 levels/);
  });

  it('asks for more values than the limit, by page sizes that multiply, also when they come as variables', async () => {
    const query = 'query ($n: Int) { nodes(first: $n) { nodes { processes(first: $n) { edges { node { pid } } } } } }';
    await expectRefusal(await graph.query(query, { n: 1000 }), 'COST_LIMIT', /\d+ values, more than 100000/, 'first');
    expect((await graph.query(query, { n: 100 })).errors).toBeUndefined();
  });

  it('asks for more points than the limit', async () => {
    const series = 'series(metric: RSS, period: { last: "2d" }, resolution: 100) { at }';
    await expectRefusal(
      await graph.query(`{ processes(first: 100) { nodes { ${series} } } }`),
      'COST_LIMIT',
      /may answer with 17\d{4} values/,
    );
  });

  it('asks for ten years at one second', async () => {
    const period = 'period: { from: "2016-01-01T00:00:00Z", to: "2026-01-01T00:00:00Z" }';
    const message =
      /period: 3653 days at a resolution of 1 s are 315619200 points, more than 2000: .* 157810 s or more/;
    for (const query of [
      `{ node(id: "a") { series(metric: USED, ${period}, resolution: 1) { at } } }`,
      ofProcess(`series(metric: RSS, ${period}, resolution: 1) { at }`),
    ]) {
      const answer = await graph.query(query);
      expect(answer.status).toBe(400);
      await expectRefusal(answer, 'RANGE_TOO_LONG', message);
    }
    const aggregate = `{ clusterAggregate(filter: {}, ${period}) { series(resolution: 1) { at } } }`;
    await expectRefusal(await graph.query(aggregate), 'RANGE_TOO_LONG', message);
    const long = 'period: { from: 0, to: 1000000000000 }';
    await expectRefusal(await graph.query(ofProcess(`series(metric: RSS, ${long}) { at }`)), 'RANGE_TOO_LONG', /days/);
    expect(graph.history.asked.filter(({ name }) => name.endsWith('Series'))).toEqual([]);
  });

  it('has too many aliases, directives or tokens', async () => {
    const aliases = Array.from({ length: 51 }, (_, i) => `a${i}: __typename`).join(' ');
    await expectRefusal(await graph.query(`{ ${aliases} }`), 'ALIAS_LIMIT', /51 aliases, more than 50/);
    const directives = `{ ${'cluster @include(if: true) { version } '.repeat(51)} }`;
    await expectRefusal(await graph.query(directives), 'DIRECTIVE_LIMIT', /51 directives, more than 50/);
    await expectRefusal(await graph.query(`{ ${'__typename '.repeat(6000)} }`), 'TOKEN_LIMIT', /more than 5000 tokens/);
  });

  it('doubles with every fragment: refused at once, however many levels', async () => {
    const levels = Array.from(
      { length: 40 },
      (_, i) => `fragment F${i} on Process { ${i < 39 ? `...F${i + 1} ...F${i + 1}` : 'pid'} }`,
    );
    const startedAt = performance.now();
    const answer = await graph.query(`{ process(node: "a", pid: 70) { ...F0 } } ${levels.join(' ')}`);
    await expectRefusal(answer, 'COST_LIMIT', /values/);
    // 2^39 visits would take hours.
    expect(performance.now() - startedAt).toBeLessThan(20_000);
  });
});

describe('arguments that make no sense', () => {
  it.each([
    ['first: -1', 'BAD_PAGE', /first: -1 must be from 0 to 1000/],
    ['first: 1001', 'BAD_PAGE', /first: 1001 must be from 0 to 1000/],
    ['after: "nonsense"', 'BAD_CURSOR', /after: "nonsense"/],
    [`after: "${'A'.repeat(9000)}"`, 'BAD_CURSOR', /after/],
    ['filter: { state: "1" }', 'BAD_FILTER', /filter.state: "1" must be one or more letters/],
    [`filter: { text: "${'x'.repeat(300)}" }`, 'BAD_FILTER', /at most 256 characters/],
  ])('processes(%s) is refused', async (args, code, message) => {
    await expectRefusal(await graph.query(`{ processes(${args}) { totalCount } }`), code, message);
  });

  it('a cursor of another order or of another list is refused', async () => {
    const cursorOf = async (field: string) => {
      const { data } = await graph.query(
        `{ processes(first: 1, orderBy: { field: ${field} }) { pageInfo { endCursor } } }`,
      );
      return data['processes'].pageInfo.endCursor as string;
    };
    const query = 'query ($c: String) { processes(after: $c, orderBy: { field: PSS }) { totalCount } }';
    expect((await graph.query(query, { c: await cursorOf('PSS') })).errors).toBeUndefined();
    await expectRefusal(await graph.query(query, { c: await cursorOf('RSS') }), 'BAD_CURSOR');
    const forged = Buffer.from(JSON.stringify(['p.pss.desc', 'text', '../..', {}, null])).toString('base64url');
    await expectRefusal(await graph.query(query, { c: forged }), 'BAD_CURSOR');
    const wrong = Buffer.from(JSON.stringify(['p.pss.desc', 'text', 'a', 1, 2])).toString('base64url');
    await expectRefusal(await graph.query(query, { c: wrong }), 'BAD_CURSOR');
    await expectRefusal(
      await graph.query('query ($c: String) { findings(after: $c) { nodes { id } } }', { c: wrong }),
      'BAD_CURSOR',
    );
  });

  it.each([
    ['period: {}', 'BAD_PERIOD', /last or from/],
    ['period: { last: "1h", from: 0 }', 'BAD_PERIOD', /not both/],
    ['period: { from: 2000, to: 1000 }', 'BAD_PERIOD', /must be before to/],
    ['period: { to: 1000 }', 'BAD_PERIOD', /from/],
    ['period: { last: "1h" }, resolution: 0', 'BAD_RESOLUTION', /resolution: 0 must be/],
  ])('series(%s) is refused', async (args, code, message) => {
    await expectRefusal(await graph.query(ofProcess(`series(metric: RSS, ${args}) { at }`)), code, message);
  });

  it.each([
    ['{ nope }', 'GRAPHQL_VALIDATION_FAILED', /nope/],
    ['{ process(node: "a") { pid } }', 'GRAPHQL_VALIDATION_FAILED', /pid/],
    ['{ process(node: "a", pid: 99999999999) { pid } }', 'GRAPHQL_VALIDATION_FAILED', /32-bit/],
    ['{ processes(filter: { minBytes: -1 }) { totalCount } }', 'GRAPHQL_VALIDATION_FAILED', /Bytes must be/],
    ['{ findings(filter: { period: { from: "yesterday" } }) { totalCount } }', 'GRAPHQL_VALIDATION_FAILED', /DateTime/],
    [ofProcess('series(metric: RSS, period: { last: "1 hour" }) { at }'), 'GRAPHQL_VALIDATION_FAILED', /Duration/],
    ['{ process(', 'GRAPHQL_PARSE_FAILED', /Syntax Error/],
    ['', 'BAD_REQUEST', /non-empty/],
  ])('%s is refused', async (query, code, message) => {
    await expectRefusal(await graph.query(query), code, message);
  });

  it('variables of the wrong type are refused', async () => {
    const query =
      'query ($f: ProcessFilter, $d: DateTime) { processes(filter: $f) { totalCount } findings(filter: { period: { from: $d } }) { totalCount } }';
    await expectRefusal(await graph.query(query, { f: { pids: ['x'] } }), 'BAD_USER_INPUT', /\$f/);
    await expectRefusal(await graph.query(query, { f: null, d: {} }), 'BAD_USER_INPUT', /DateTime must be/);
  });
});

describe('a request that is no operation', () => {
  it('is refused: not JSON, a list, too large, of another type', async () => {
    await expectRefusal(await post(graph.server.url, '{"query": '), 'BAD_REQUEST', /not JSON/);
    await expectRefusal(await post(graph.server.url, '[{"query": "{ __typename }"}]'), 'BAD_REQUEST', /one operation/);
    const large = await post(graph.server.url, JSON.stringify({ query: '#'.repeat(600 * 1024) }));
    expect(large.status).toBe(413);
    await expectRefusal(large, 'BODY_TOO_LARGE', /524288 bytes/);
    const nested = `{"query":"{ __typename }","variables":${'['.repeat(100_000)}${']'.repeat(100_000)}}`;
    expect((await post(graph.server.url, nested)).errors?.[0]?.extensions.code).toBe('BAD_REQUEST');
    const chunked = await post(graph.server.url, 'x'.repeat(600 * 1024), { 'transfer-encoding': 'chunked' });
    expect(chunked.status).toBe(413);
  });

  it('is refused when a foreign page could have sent it without asking', async () => {
    const body = JSON.stringify({ query: 'mutation { acknowledgeFinding(id: "leak-1") { id } }' });
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x']) {
      const answer = await post(graph.server.url, body, { 'content-type': type });
      expect(answer.status).toBe(400);
      await expectRefusal(answer, 'BAD_REQUEST');
    }
    const byGet = `${graph.server.url}?query=${encodeURIComponent('{ cluster { version } }')}`;
    expect((await exchange(byGet)).status).toBe(400);
    expect((await exchange(byGet, { headers: { 'apollo-require-preflight': 'yes' } })).data).toMatchObject({
      cluster: {},
    });
    const mutation = `${graph.server.url}?query=${encodeURIComponent('mutation { acknowledgeFinding(id: "1") { id } }')}`;
    expect((await exchange(mutation, { headers: { 'apollo-require-preflight': 'yes' } })).status).toBe(405);
  });

  it('tells a stranger nothing but that an unforeseen error happened', async () => {
    const { node } = graph.live;
    graph.live.node = () => {
      throw new Error('at /secret/path');
    };
    try {
      await expectRefusal(await graph.query('{ node(id: "a") { id } }'), 'INTERNAL_SERVER_ERROR', /internal error/);
    } finally {
      graph.live.node = node;
    }
  });

  it('counts operations by how they ended', async () => {
    const { text } = await exchange(graph.server.url.replace('/graphql', '/metrics'));
    expect(text).toMatch(/tidemark_graphql_operations_total\{kind="query",code="OK"\} [1-9]/);
    expect(text).toMatch(/tidemark_graphql_operations_total\{kind="query",code="COST_LIMIT"\} [1-9]/);
    expect(text).toMatch(/tidemark_live_nodes 1/);
  });
});

describe('introspection', () => {
  it('is answered on loopback, and bounded', async () => {
    const { data } = await graph.query('{ __schema { types { name fields { name type { name ofType { name } } } } } }');
    expect(data['__schema'].types.length).toBeGreaterThan(30);
    const deep = `{ __schema { types { ${nest(4, 'fields { type', 'name').replaceAll(' }', ' } }')} } } }`;
    expect((await graph.query(deep)).errors?.[0]?.message).toContain('depth');
  });

  it('can be switched off, over HTTP and over WebSocket', async () => {
    const closed = await startTestGraph({ introspection: false });
    try {
      await until(() => closed.feed.health().ready, 'the feed');
      const answer = await closed.query('{ __schema { types { name } } }');
      expect(answer.errors?.[0]?.message).toContain('introspection');
    } finally {
      await closed.stop();
    }
  });
});
