import {
  decodeFindingRecord,
  PROCESS_NUMBERS,
  siteId,
  Topic,
  type Finding,
  type FindingRecord,
} from '@tidemark/contracts';
import { createSimulatedHost, type SimulatedHost } from '@tidemark/live/simulated-host';
import { buildSchema } from 'graphql';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { storedProcess } from '../testing/fake-history.js';
import { createFullHost, fill, FULL_MEMORY, keyOf, leakFinding, MIB, sendFullTrace } from '../testing/full-host.js';
import { makeFinding, startTestGraph, until, type TestGraph } from '../testing/test-graph.js';
import { everyField, wholeQuery } from '../testing/whole-query.js';
import { readSchemaFile } from './graph-module.js';

let graph: TestGraph;
beforeEach(async () => {
  graph = await startTestGraph();
});
afterEach(() => graph.stop());

describe('every field of the schema', () => {
  it('is answered, with the type that the schema promises', async () => {
    await graph.stop();
    graph = await startTestGraph({ limits: { tokens: 100_000, cost: Infinity, depth: 30, aliases: 1000 } });
    const host = createFullHost('a');
    const { frames } = await sendFullTrace(graph, host, Date.now());
    await fill(graph, host, { site: { id: siteId(frames), frames: ['remember (/src/leaker.c:12)'] } });
    const schema = buildSchema(readSchemaFile());
    const series = 'metric: LEAK_SIGNAL, period: { last: "1h" }, resolution: 60';
    const { query, fields } = wholeQuery(schema, {
      'Query.node': 'id: "a"',
      'Query.process': 'node: "a", pid: 70',
      'Query.processByKey': `key: "${keyOf(host, 70)}"`,
      'Query.clusterAggregate': 'filter: {}',
      'Query.finding': 'id: "leak-1"',
      'Node.series': series.replace('LEAK_SIGNAL', 'SWAP_USED'),
      'Process.series': series,
    });
    const answer = await graph.query(query);
    expect(answer.errors).toBeUndefined();
    expect(answer.status).toBe(200);
    const below = [...everyField(schema)].filter((field) => !/^(Mutation|Subscription)\./.test(field));
    expect([...fields].sort()).toEqual(below.sort());
    // Everything is known of this host: a null is a field that nobody fills.
    const nulls = emptyPaths(answer.data).filter((path) => !EMPTY.some((allowed) => allowed.test(path)));
    expect(nulls).toEqual([]);
  });
});

describe('a host that says absurd things', () => {
  it('spoils no answer: every field is answered without an error', async () => {
    await graph.stop();
    graph = await startTestGraph({ limits: { tokens: 100_000, cost: Infinity, depth: 30, aliases: 1000 } });
    const host = createSimulatedHost('a');
    const most = Number.MAX_SAFE_INTEGER;
    const text = '\u0000\ud800\u202e"\n'.repeat(100);
    const numbers = Object.fromEntries(PROCESS_NUMBERS.map((name) => [name, most]));
    host.spawn(1, {
      program: text,
      commandLine: text,
      user: text,
      service: text,
      cgroup: text,
      uid: most,
      start: most,
      startedAt: 0,
    });
    host.spawn(0xffff_ffff);
    host.spawn(0x7fff_ffff, { startedAt: 0 });
    for (const pid of [1, 0x7fff_ffff]) host.set(pid, numbers);
    const big = 1.5e300;
    host.setSystem({
      memory: { total: most, available: most, used: most, free: most, swapFree: big },
      load: { one: big, five: big, fifteen: big, running: big, total: 0.5 },
      cpus: [{ name: text, user: big, nice: big, system: big, idle: big }],
      disks: [{ name: text, reads: big, readSectors: big, writes: big, writtenSectors: big, inFlight: big }],
      cgroups: [{ path: text, usage: big }],
    });
    const { collector, ...record } = host.heartbeat(Date.now());
    await graph.sendNode({
      ...record,
      cpus: most,
      pageSize: most,
      interval: most,
      collector: { ...collector, pid: most },
    });
    await graph.send(...host.round(Date.now()));
    await graph.sendFinding(leakFindingOf(host, text));
    await until(() => graph.live.process('a', 1) !== undefined && graph.live.findings.size === 1, 'the host');
    const { query } = wholeQuery(buildSchema(readSchemaFile()), {
      ...{ 'Query.node': 'id: "a"', 'Query.process': 'node: "a", pid: 1', 'Query.processByKey': 'key: "x"' },
      ...{ 'Query.clusterAggregate': 'filter: {}, metric: RSS', 'Query.finding': 'id: "1"' },
      ...{
        'Node.series': 'metric: USED, period: { last: "1h" }',
        'Process.series': 'metric: RSS, period: { last: "1h" }',
      },
    });
    const { errors, data } = await graph.query(query);
    expect(errors).toBeUndefined();
    expect(data['node']).toMatchObject({ processCount: 2, cpuCount: null, load: { running: 2 ** 31 - 1, total: 0 } });
    expect(data['process']).toMatchObject({ threads: null, uid: most, memory: { rss: most } });
  });
});

function leakFindingOf(host: SimulatedHost, text: string): Finding {
  const growth = { bytesPerHour: -1e300, low: -1e300, high: 1e300, window: Number.MAX_SAFE_INTEGER };
  const evidence = { [text.slice(0, 50)]: 1e300 };
  return makeFinding('1', { node: host.node, growth, evidence, bytes: Number.MAX_SAFE_INTEGER, message: text });
}

/** What is empty even on a host of which everything is known. */
const EMPTY = [/exitedAt$/, /lastGapAt$/, /cgroups\.0\.(limit|anonymous|file|swap|limitHits|oomKills)$/, /growth$/];
EMPTY.push(/nodesAwaited$/, /children$/, /processes\.(nodes|edges)\.1\./, /evidence\.1\.value$/, /limitations$/);
EMPTY.push(/parent$/, /series\.1\.(min|max)$/, /nodes\.1\./, /edges\.1\./);

EMPTY.push(/sites\.1\.(bytesPerHour|low|high)$/);

function emptyPaths(value: unknown, path = ''): string[] {
  if (value === null || (Array.isArray(value) && value.length === 0)) return [path];
  if (typeof value !== 'object') return [];
  return Object.entries(value).flatMap(([name, inner]) => emptyPaths(inner, path === '' ? name : `${path}.${name}`));
}

describe('a node', () => {
  it('has its memory as the host said it', async () => {
    await fill(graph, createFullHost('a'));
    const fields = Object.keys(FULL_MEMORY).join(' ');
    const { data } = await graph.query(`{ node(id: "a") { memory { ${fields} } cpu { busyPercent } } }`);
    expect(data['node']).toEqual({ memory: FULL_MEMORY, cpu: { busyPercent: 25 } });
  });

  it('that was never heard of is null; one that sent nothing yet is awaited, and its memory an error of its own', async () => {
    await graph.sendNode(createSimulatedHost('new').heartbeat(Date.now()));
    await until(() => graph.live.node('new') !== undefined, 'the heartbeat');
    const { data } = await graph.query(
      '{ a: node(id: "none") { id } b: node(id: "new") { id state } cluster { nodesExpected nodesAwaited } nodes { totalCount } }',
    );
    expect(data).toMatchObject({
      a: null,
      b: { id: 'new', state: 'ACTIVE' },
      cluster: { nodesExpected: 1, nodesAwaited: ['new'] },
      nodes: { totalCount: 0 },
    });
    const { data: none, errors } = await graph.query(
      '{ node(id: "new") { memory { total } } cluster { nodesExpected } }',
    );
    expect(none).toEqual({ node: null, cluster: { nodesExpected: 1 } });
    expect(errors?.[0]).toMatchObject({ path: ['node', 'memory'], extensions: { code: 'NODE_NOT_SAMPLED' } });
  });

  it('fills the list page by page, in the order asked for', async () => {
    for (let index = 0; index < 7; index++) {
      const host = createSimulatedHost(`n${index}`);
      const free = ((index * 3) % 7) * MIB;
      host.setSystem({ memory: { total: 8 * MIB, available: free, used: 8 * MIB - free, free } });
      await graph.sendNode(host.heartbeat(Date.now()));
      await graph.send(...host.round(Date.now()));
    }
    await until(() => graph.live.nodes().filter(({ system }) => system.memory).length === 7, 'seven nodes');
    const pages: string[][] = [];
    let after: string | null = null;
    do {
      const { data } = await graph.query(
        `query ($after: String) { nodes(first: 3, after: $after, orderBy: { field: AVAILABLE_PERCENT, direction: DESC }) {
          totalCount pageInfo { hasNextPage hasPreviousPage endCursor } nodes { id } edges { cursor node { id } } } }`,
        { after },
      );
      expect(data['nodes']).toMatchObject({ totalCount: 7, pageInfo: { hasPreviousPage: after !== null } });
      expect(data['nodes'].edges.map((edge: { node: { id: string } }) => edge.node)).toEqual(data['nodes'].nodes);
      pages.push(data['nodes'].nodes.map((node: { id: string }) => node.id));
      after = data['nodes'].pageInfo.hasNextPage ? data['nodes'].pageInfo.endCursor : null;
    } while (after !== null);
    // Available is 3·index mod 7 MiB.
    expect(pages).toEqual([['n2', 'n4', 'n6'], ['n1', 'n3', 'n5'], ['n0']]);
    const few = await graph.query('{ nodes(filter: { maxAvailablePercent: 25, text: "N" }) { nodes { id } } }');
    expect(few.data['nodes'].nodes.map((node: { id: string }) => node.id)).toEqual(['n0', 'n5']);
  });
});

describe('a process', () => {
  it('has its figures, kin, leak and findings', async () => {
    const host = createFullHost('a');
    await fill(graph, host);
    const { data } = await graph.query(`{ process(node: "a", pid: 70) {
      key node { id } ppid program commandLine user uid service startedAt exitedAt stale threads
      memory { rss vms shared text data lib dirty anonymous swap pss uss } cpu { user system percent }
      parent { pid children { pid } } leak { state confidence imminent } findings { id acknowledgement { note } }
      growth { bytesPerHour source secondsToExhaustion } } }`);
    expect(data['process']).toEqual({
      ...{ key: keyOf(host, 70), node: { id: 'a' }, ppid: 1, program: 'leaker', commandLine: 'leaker --fast' },
      ...{ user: 'www', uid: 33, service: 'leaker.service', exitedAt: null, stale: false, threads: 4 },
      startedAt: new Date(host.processes.get(70)!.startedAt).toISOString(),
      memory: {
        ...{ rss: 40 * MIB, vms: 90 * MIB, shared: 10 * MIB, text: 2 * MIB, data: 50 * MIB, lib: 6 * MIB },
        ...{ dirty: 7 * MIB, anonymous: 30 * MIB, swap: 5 * MIB, pss: 35 * MIB, uss: 31 * MIB },
      },
      cpu: { user: 1600, system: 500, percent: 10 },
      parent: { pid: 1, children: [{ pid: 70 }] },
      leak: { state: 'SUSPECTED', confidence: 0.9, imminent: false },
      findings: [{ id: 'leak-1', acknowledgement: { note: 'looking' } }],
      growth: { bytesPerHour: 9 * MIB, source: 'DETECTOR', secondsToExhaustion: 3600 },
    });
  });

  it('that ended answers by key from the live view at first, then from history; nothing invents one', async () => {
    const host = createFullHost('a');
    await fill(graph, host);
    const key = keyOf(host, 70);
    host.exit(70);
    await graph.send(...host.round(Date.now() + 1000));
    await until(() => graph.live.process('a', 70) === undefined, 'the exit');
    const query =
      'query ($key: ID!) { processByKey(key: $key) { pid program exitedAt children { pid } memory { rss } } }';
    const { data } = await graph.query(query, { key });
    expect(data['processByKey']).toMatchObject({ pid: 70, program: 'leaker', children: [], memory: { rss: 40 * MIB } });
    expect(data['processByKey'].exitedAt).not.toBeNull();
    const old = key.replace(/\d+$/, '1234567') as typeof key;
    graph.history.known = [storedProcess(old)];
    expect((await graph.query(query, { key: old })).data['processByKey']).toEqual({
      ...{ pid: 70, program: 'gone', exitedAt: '1970-01-01T00:00:02.000Z', children: [], memory: { rss: 7 } },
    });
    for (const none of ['a/boot-1/99/99', 'no key', '']) {
      expect((await graph.query(query, { key: none })).data).toEqual({ processByKey: null });
    }
  });

  it('before its facts have come is listed all the same', async () => {
    const host = createSimulatedHost('a');
    host.spawn(9, { start: 500 });
    const [chunk] = host.round(Date.now());
    const nothing = { pid: [], start: [] };
    const facts = { ...nothing, startedAt: [], program: [], commandLine: [], uid: [], gid: [], user: [], cgroup: [] };
    await graph.sendNode(host.heartbeat(Date.now()));
    await graph.send({ ...chunk!, facts: { ...facts, service: [] } });
    await until(() => graph.live.process('a', 9) !== undefined && graph.live.node('a')?.record !== null, 'the process');
    const { data } = await graph.query('{ process(node: "a", pid: 9) { program service startedAt } }');
    // 500 ticks of 10 ms after boot.
    const startedAt = new Date(host.heartbeat(0).bootedAt + 5000).toISOString();
    expect(data['process']).toEqual({ program: '[unknown]', service: null, startedAt });
  });

  it('of a size above 2^53 is given as digits', async () => {
    const host = createSimulatedHost('a');
    for (const pid of [1, 2]) {
      host.spawn(pid);
      host.set(pid, { rss: 2 ** 53 - 1 });
    }
    await graph.send(...host.round(Date.now()));
    await until(() => graph.live.process('a', 2) !== undefined, 'the processes');
    const { data } = await graph.query(
      '{ process(node: "a", pid: 1) { memory { rss } } clusterAggregate(filter: {}, metric: RSS) { total max } }',
    );
    expect(data['process'].memory.rss).toBe(2 ** 53 - 1);
    expect(data['clusterAggregate']).toEqual({ total: String(2n ** 54n - 2n), max: 2 ** 53 - 1 });
  });
});

describe('lists of processes', () => {
  it('page through all nodes without losing or doubling any, with filter and order', async () => {
    for (const name of ['a', 'b']) {
      const host = createSimulatedHost(name);
      for (let pid = 1; pid <= 20; pid++) {
        host.spawn(pid, { program: pid % 2 ? 'odd' : 'even', user: 'root' });
        host.set(pid, { rss: (pid % 5) * MIB });
      }
      await graph.send(...host.round(Date.now()));
    }
    await until(() => graph.live.metrics().processes === 40, '40 processes');
    const seen: string[] = [];
    let after: string | null = null;
    do {
      const { data } = await graph.query(
        `query ($after: String, $filter: ProcessFilter) { processes(first: 7, after: $after, filter: $filter) {
          totalCount pageInfo { hasNextPage endCursor } nodes { key memory { rss } } } }`,
        { after, filter: { program: 'odd', minBytes: String(MIB), text: 'OD' } },
      );
      expect(data['processes'].totalCount).toBe(16);
      seen.push(...data['processes'].nodes.map((one: { key: string }) => one.key));
      after = data['processes'].pageInfo.hasNextPage ? data['processes'].pageInfo.endCursor : null;
    } while (after !== null);
    expect(new Set(seen).size).toBe(16);
    expect(seen).toHaveLength(16);
    const ofNode = await graph.query(
      '{ node(id: "b") { processes(filter: { pids: [3, 4], state: "S" }) { nodes { pid } } } }',
    );
    expect(ofNode.data['node'].processes.nodes).toEqual([{ pid: 4 }, { pid: 3 }]);
  });
});

describe('the cluster aggregate', () => {
  it('adds up one program and says how complete it is', async () => {
    const now = Date.now();
    const hosts = ['a', 'b', 'c'].map((name) => createSimulatedHost(name));
    for (const [index, host] of hosts.entries()) {
      host.spawn(1, { program: 'chrome' });
      host.set(1, { pss: (index + 1) * MIB, rss: 9 * MIB });
      host.spawn(2, { program: 'chrome' });
      host.set(2, { rss: 5 * MIB });
      host.spawn(3, { program: 'other' });
      host.set(3, { pss: 100 * MIB });
      await graph.sendNode(host.heartbeat(now));
      await graph.send(...host.round(now));
    }
    await until(() => graph.live.nodes().filter((node) => node.processCount === 3).length === 3, 'three nodes');
    // One falls silent: the clock of the view is moved past its timeout, and the others are heard of again.
    graph.live.tick(now + 60_000);
    for (const host of hosts.slice(0, 2)) graph.live.applyNode(host.heartbeat(now + 60_000), now + 60_000);
    const { data } = await graph.query(`{ clusterAggregate(filter: { program: "chrome" }) {
      metric total processes measured unmeasuredRss nodesReporting nodesExpected max mean p95
      byNode { node { id } total processes max } byProgram { program total nodes }
      series(resolution: 60) { at value } } }`);
    expect(data['clusterAggregate']).toMatchObject({
      ...{ metric: 'PSS', total: 3 * MIB, processes: 4, measured: 2, unmeasuredRss: 10 * MIB },
      ...{ nodesReporting: 2, nodesExpected: 3, max: 2 * MIB, mean: 1.5 * MIB, p95: 2 * MIB },
      byNode: [
        { node: { id: 'b' }, total: 2 * MIB, processes: 2, max: 2 * MIB },
        { node: { id: 'a' }, total: MIB, processes: 2, max: MIB },
      ],
      byProgram: [{ program: 'chrome', total: 3 * MIB, nodes: 2 }],
    });
    const [asked] = graph.history.asked.filter(({ name }) => name === 'aggregateSeries');
    expect(asked?.args.slice(0, 2)).toEqual([{ programs: ['chrome'] }, 'pss']);
    expect(data['clusterAggregate'].series).toHaveLength(2);
    const named = await graph.query(
      '{ clusterAggregate(filter: { nodes: ["a", "typo"] }) { nodesReporting nodesExpected processes } }',
    );
    expect(named.data['clusterAggregate']).toEqual({ nodesReporting: 1, nodesExpected: 2, processes: 3 });
  });

  it('says which part of a filter history cannot answer', async () => {
    const { errors } = await graph.query('{ clusterAggregate(filter: { text: "x" }) { series { at } } }');
    expect(errors?.[0]?.extensions.code).toBe('BAD_FILTER');
    expect(errors?.[0]?.message).toContain('text');
  });
});

describe('series', () => {
  it('of many processes are one question to history, for the window that was asked', async () => {
    await fill(graph, createFullHost('a'));
    const { errors } = await graph.query(`{ processes { nodes {
      series(metric: LEAK_SIGNAL, period: { from: "2026-01-01T00:00:00Z", to: "2026-01-01T01:00:00+00:00" }, resolution: 30) { at }
      other: series(metric: RSS, period: { from: 1000, to: 61000 }) { at } } } }`);
    expect(errors).toBeUndefined();
    const asked = graph.history.asked.filter(({ name }) => name === 'processSeries').map(({ args }) => args);
    const from = Date.parse('2026-01-01T00:00:00Z');
    expect(asked).toHaveLength(2);
    expect(asked.map(([keys]) => (keys as string[]).length)).toEqual([2, 2]);
    expect(asked.map((args) => args.slice(1))).toEqual([
      ['leakSignal', { from, to: from + 3_600_000, stepMs: 30_000 }],
      ['rss', { from: 1000, to: 61_000, stepMs: 1000 }],
    ]);
  });

  it('of very many processes are asked for in batches that history takes', async () => {
    const host = createSimulatedHost('a');
    for (let pid = 1; pid <= 450; pid++) host.spawn(pid);
    await graph.send(...host.round(Date.now()));
    await until(() => graph.live.metrics().processes === 450, '450 processes');
    const series = 'series(metric: RSS, period: { last: "1m" }, resolution: 10) { value }';
    const { data, errors } = await graph.query(`{ processes(first: 450) { nodes { ${series} } } }`);
    expect(errors).toBeUndefined();
    expect(data['processes'].nodes.every((one: { series: unknown[] }) => one.series.length === 2)).toBe(true);
    const asked = graph.history.asked.filter(({ name }) => name === 'processSeries');
    expect(asked.map(({ args: [keys] }) => (keys as string[]).length)).toEqual([200, 200, 50]);
  });

  it('of a history that does not answer are an error of their own, and the present is served', async () => {
    await fill(graph, createFullHost('a'));
    graph.history.failure = new Error('secret detail of the database');
    const answer = await graph.query(
      '{ node(id: "a") { memory { total } } other: node(id: "a") { series(metric: USED, period: { last: "1h" }) { at } } }',
    );
    expect(answer.data).toEqual({ node: { memory: { total: 16 * MIB } }, other: null });
    expect(answer.errors?.map(({ extensions }) => extensions.code)).toEqual(['HISTORY_UNAVAILABLE']);
    expect(answer.text).not.toContain('secret');
    graph.history.failure = Object.assign(new Error('too many steps'), { code: 'HISTORY_RANGE' });
    const { errors } = await graph.query('{ clusterAggregate(filter: {}) { series { at } } }');
    expect(errors).toMatchObject([
      { message: 'ClusterAggregate.series: too many steps', extensions: { code: 'RANGE_TOO_LONG' } },
    ]);
  });
});

describe('findings', () => {
  it('are those of the live view and the older ones of history in one order, each once', async () => {
    for (const [id, at] of [
      ['n1', 9000],
      ['n2', 8000],
      ['both', 7000],
    ] as const) {
      await graph.sendFinding(makeFinding(id, { at, state: 'CONFIRMED' }));
    }
    await until(() => graph.live.findings.size === 3, 'three findings');
    graph.history.stored = [
      ['both', 6500],
      ['old1', 8500],
      ['old2', 5000],
      ['old3', 4000],
    ].map(([id, at]) => ({
      finding: makeFinding(String(id), { at: Number(at), state: 'GROWING' }),
      acknowledgement: null,
    }));
    const seen: string[] = [];
    let after: string | null = null;
    do {
      const { data } = await graph.query(
        'query ($after: String) { findings(first: 2, after: $after) { pageInfo { hasNextPage endCursor } nodes { id state } } }',
        { after },
      );
      seen.push(...data['findings'].nodes.map((one: { id: string; state: string }) => `${one.id} ${one.state}`));
      after = data['findings'].pageInfo.hasNextPage ? data['findings'].pageInfo.endCursor : null;
    } while (after !== null);
    expect(seen).toEqual([
      'n1 CONFIRMED',
      'old1 GROWING',
      'n2 CONFIRMED',
      'both CONFIRMED',
      'old2 GROWING',
      'old3 GROWING',
    ]);
  });

  it('filter by what they are about', async () => {
    const host = createFullHost('a');
    await graph.sendFinding(leakFinding(host, '1', { at: 10_000, imminent: true }));
    await graph.sendFinding(makeFinding('2', { at: 20_000, state: 'CLEARED', kind: 'SERVICE_LEAK' }));
    await until(() => graph.live.findings.size === 2, 'two findings');
    const ids = async (filter: string) => {
      const { data, errors } = await graph.query(`{ findings(filter: { ${filter} }) { nodes { id } } }`);
      expect(errors).toBeUndefined();
      return data['findings'].nodes.map((one: { id: string }) => one.id);
    };
    expect(await ids('')).toEqual(['2', '1']);
    for (const filter of [
      'pid: 70',
      'program: "leaker"',
      'imminent: true',
      'states: [SUSPECTED]',
      'period: { from: 0, to: 15000 }',
    ]) {
      expect(await ids(filter)).toEqual(['1']);
    }
    for (const filter of ['kinds: [SERVICE_LEAK]', 'states: CLEARED', 'period: { from: 15000, to: 30000 }']) {
      expect(await ids(filter)).toEqual(['2']);
    }
    for (const filter of ['nodes: []', 'acknowledged: true', 'service: "x"']) expect(await ids(filter)).toEqual([]);
  });

  it('once acknowledged stay so, and the log has it', async () => {
    await graph.sendFinding(makeFinding('1'));
    await until(() => graph.live.findings.size === 1, 'the finding');
    const { data, errors } = await graph.query(
      'mutation { acknowledgeFinding(id: "1", note: "mine") { id state acknowledgement { note } } }',
    );
    expect(errors).toBeUndefined();
    expect(data['acknowledgeFinding']).toEqual({ id: '1', state: 'SUSPECTED', acknowledgement: { note: 'mine' } });
    const records: FindingRecord[] = [];
    const subscription = await graph.log.subscribe({
      ...{ topic: Topic.Findings, group: 'test', from: 'earliest', ephemeral: true },
      assign: () => ({
        handle(batch) {
          records.push(...batch.map(({ value, headers }) => decodeFindingRecord(value!, headers)));
          return Promise.resolve();
        },
      }),
    });
    await until(() => records.length === 2, 'both records');
    await subscription.drain(1000);
    const acknowledgement = records.find(({ type }) => type === 'acknowledgement');
    expect(acknowledgement).toMatchObject({ id: '1', subject: 'subject-1', note: 'mine' });
    const unknown = await graph.query('mutation { acknowledgeFinding(id: "2") { id } }');
    expect(unknown.errors?.[0]?.extensions.code).toBe('FINDING_NOT_FOUND');
    const long = await graph.query('mutation ($n: String) { acknowledgeFinding(id: "1", note: $n) { id } }', {
      n: 'x'.repeat(5000),
    });
    expect(long.errors?.[0]?.extensions.code).toBe('BAD_INPUT');
  });
});
