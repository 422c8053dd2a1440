import { siteId, siteSubject, type SiteFigures, type TraceTotals } from '@tidemark/contracts';
import type { SimulatedHost } from '@tidemark/live/simulated-host';
import { BLOCK, SIMULATED_SITES } from '@tidemark/live/simulated-trace';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { storedProcess } from '../testing/fake-history.js';
import { createFullHost, fill, keyOf, leakFinding, traceOf } from '../testing/full-host.js';
import { startTestGraph, until, type TestGraph } from '../testing/test-graph.js';

let graph: TestGraph;
let host: SimulatedHost;
beforeEach(async () => {
  graph = await startTestGraph();
  host = createFullHost('a');
});
afterEach(() => graph.stop());

const SITE =
  'id verdict liveBytes liveCount allocations generations message frames { function file line module offset }';

describe('the trace of a process', () => {
  it('has totals that add up, sites with verdicts, and the allocations at risk with their callers', async () => {
    await fill(graph, host);
    const now = Date.now();
    const trace = traceOf(host, now - 600_000);
    await graph.sendTrace(trace.chunk(now));
    await until(() => graph.feed.traces.metrics().traces === 1, 'the trace');
    const { data, errors } = await graph.query(`{ process(node: "a", pid: 70) { trace {
      processKey state mode means issued recorded cancelled dropped liveBytes liveCount explained partial sitesTotal atRiskTotal
      sites(orderBy: { field: VERDICT }, first: 3) { ${SITE} process { pid } }
      atRisk(first: 2) { time pid size address caller site { id verdict } } } } }`);
    expect(errors).toBeUndefined();
    const told = data['process']['trace'];
    expect(told).toMatchObject({
      ...{ processKey: keyOf(host, 70), state: 'ACTIVE', mode: 'EXACT', means: 'LIBRARY', partial: false },
      ...{ liveBytes: 710 * BLOCK, liveCount: 710, explained: 0.5, sitesTotal: 3, atRiskTotal: 595 },
    });
    expect(told['recorded'] + told['cancelled'] + told['dropped']).toBe(told['issued']);
    const [leak, ...others] = told['sites'];
    expect(leak).toMatchObject({ verdict: 'SUSPECTED', liveBytes: 600 * BLOCK, process: { pid: 70 } });
    expect(leak.frames[0]).toEqual({
      ...{ function: 'remember', file: '/src/leaker.c', line: 12, module: '/usr/bin/leaker', offset: '0x1010' },
    });
    expect(others.map((site: { verdict: string }) => site.verdict)).toEqual(['STABLE', 'STABLE']);
    expect(told['atRisk'][0]).toEqual({
      ...{ time: new Date(now - 600_000).toISOString(), pid: 70, size: BLOCK, address: '0x7f0000001000' },
      ...{ caller: 'remember (/src/leaker.c:12)', site: { id: leak.id, verdict: 'SUSPECTED' } },
    });
  });

  it('that was never begun is null, with or without a history', async () => {
    await fill(graph, host);
    const query = '{ process(node: "a", pid: 70) { trace { state } } }';
    expect((await graph.query(query)).data).toEqual({ process: { trace: null } });
    expect(graph.history.asked.filter(({ name }) => name === 'traceOf')).toHaveLength(1);
    await graph.stop();
    graph = await startTestGraph({ history: null });
    await fill(graph, createFullHost('a'));
    expect((await graph.query(query)).data).toEqual({ process: { trace: null } });
  });

  it('orders its sites as asked', async () => {
    await fill(graph, host);
    const now = Date.now();
    await graph.sendTrace(traceOf(host, now - 60_000).chunk(now));
    await until(() => graph.feed.traces.metrics().traces === 1, 'the trace');
    const list = async (orderBy: string) => {
      const { data } = await graph.query(
        `{ process(node: "a", pid: 70) { trace { sites(orderBy: ${orderBy}) { frames { function } } } } }`,
      );
      return data['process']['trace']['sites'].map(
        (site: { frames: { function: string }[] }) => site.frames[0]?.function,
      );
    };
    expect(await list('{ field: LIVE_BYTES }')).toEqual(['fill', 'remember', 'churn']);
    expect(await list('{ field: ALLOCATIONS }')).toEqual(['churn', 'fill', 'remember']);
    expect(await list('{ field: LIVE_COUNT, direction: ASC }')).toEqual(['churn', 'remember', 'fill']);
  });

  it('costs so much of a list that history is not asked for a thousand', async () => {
    const { errors } = await graph.query('{ processes(first: 1000) { nodes { trace { state } } } }');
    expect(errors?.[0]?.extensions.code).toBe('COST_LIMIT');
    const sites = await graph.query(
      '{ process(node: "a", pid: 70) { trace { atRisk(first: 1000) { site { frames { function line file } } } } } }',
    );
    expect(sites.errors).toBeUndefined();
    const page = await graph.query('{ process(node: "a", pid: 70) { trace { sites(first: 1001) { id } } } }');
    expect(page.errors?.[0]?.extensions.code).toBe('BAD_PAGE');
  });

  it('is asked of the live view by a server that starts in its midst', async () => {
    const now = Date.now();
    const trace = traceOf(host, now - 60_000);
    await graph.sendTrace(trace.chunk(now - 2000), trace.chunk(now - 1000));
    await fill(graph, host);
    await until(() => graph.feed.traces.trace(trace.key, now)?.at === now - 1000, 'the trace');
    expect(graph.feed.traces.atRisk(trace.key, 1000)).toHaveLength(54);
  });
});

describe('a trace that is over for long', () => {
  const totals: TraceTotals = {
    ...{ allocations: 100, frees: 36, allocatedBytes: 6400, freedBytes: 2304, liveCount: 64, liveBytes: 4096 },
    ...{ issued: 136, recorded: 128, cancelled: 8, dropped: 0, standardError: null },
  };
  const figures = (site: number, births: number[]): SiteFigures => {
    const live = births.reduce((sum, born) => sum + born, 0);
    return {
      ...{ site, allocations: live, frees: 0, allocatedBytes: live * 64, freedBytes: 0, liveCount: live },
      ...{ liveBytes: live * 64, oldFrees: 0, liveSamples: live, liveVariance: 0, firstAt: 1_000_000, births },
    };
  };
  const bins = (make: (bin: number) => number): number[] => Array.from({ length: 32 }, (_, bin) => make(bin));

  it('is told by history, its sites judged by their last figures', async () => {
    const key = keyOf(host, 70);
    graph.history.known = [storedProcess(key)];
    const read = { at: 1_600_000, birthsUntil: 1_600_000, truncated: false, frames: [] };
    graph.history.trace = {
      trace: {
        ...{ key, at: 1_600_000, startedAt: 1_000_000, state: 'ENDED', means: 'LIBRARY', mode: 'EXACT', totals },
        ...{ sampleInterval: null, anonymousBytes: 2048, survivorsTotal: 1, warnings: [] },
      },
      sites: [
        {
          ...read,
          id: 'cache',
          figures: figures(
            3,
            bins((bin) => (bin < 2 ? 50 : 0)),
          ),
        },
        {
          ...read,
          id: 'leak',
          figures: figures(
            2,
            bins(() => 2),
          ),
        },
      ],
      atRisk: [{ time: 1_000_000, size: 64, address: 4096, site: 2, siteId: 'leak' }],
    };
    const { data, errors } = await graph.query(`{ processByKey(key: "${key}") { trace { state explained sitesTotal
      byBytes: sites { id verdict } byVerdict: sites(orderBy: { field: VERDICT }, first: 1) { id verdict }
      atRisk { address caller site { id } } } } }`);
    expect(errors).toBeUndefined();
    expect(data['processByKey']['trace']).toEqual({
      // More was asked for than was ever touched.
      ...{ state: 'ENDED', explained: 1, sitesTotal: 2 },
      byBytes: [
        { id: 'cache', verdict: 'STABLE' },
        { id: 'leak', verdict: 'CONFIRMED' },
      ],
      byVerdict: [{ id: 'leak', verdict: 'CONFIRMED' }],
      atRisk: [{ address: '0x1000', caller: 'unknown', site: { id: 'leak' } }],
    });
    graph.history.failure = new Error('away');
    const away = await graph.query(`{ processByKey(key: "${key}") { key } }`);
    expect(away.errors?.[0]?.extensions.code).toBe('HISTORY_UNAVAILABLE');
  });
});

describe('a finding on a site', () => {
  const query = `{ finding(id: "site-1") { kind site { ${SITE} process { pid } } } findings(filter: { kinds: [SITE_LEAK] }) { totalCount } }`;

  it('tells of its site as it is now, and of itself when nothing else remembers the site', async () => {
    const now = Date.now();
    const trace = traceOf(host, now - 600_000);
    const chunk = trace.chunk(now);
    const id = siteId(chunk.stacks.find(({ site }) => site === SIMULATED_SITES.leak)!.frames);
    await fill(graph, host);
    await graph.sendFinding(
      leakFinding(host, 'site-1', {
        ...{ kind: 'SITE_LEAK', subject: siteSubject(trace.key, id), bytes: 640, state: 'CONFIRMED', at: now },
        ...{ site: { id, frames: ['remember (leaker.c:12)', 'main (leaker.c:90)'] }, evidence: { liveCount: 10 } },
      }),
    );
    await until(() => graph.live.findings.get('site-1') !== undefined, 'the finding');
    const before = (await graph.query(query)).data;
    expect(before['finding']).toMatchObject({
      kind: 'SITE_LEAK',
      site: { id, verdict: 'CONFIRMED', liveBytes: 640, liveCount: 10, process: { pid: 70 } },
    });
    expect(before['finding']['site']['frames'][0]).toMatchObject({ function: 'remember (leaker.c:12)', line: null });
    await graph.sendTrace(chunk);
    await until(() => graph.feed.traces.metrics().traces === 1, 'the trace');
    const after = (await graph.query(query)).data;
    expect(after['finding']['site']).toMatchObject({ id, verdict: 'SUSPECTED', liveBytes: 600 * BLOCK });
    expect(after['finding']['site']['frames'][0]).toMatchObject({ function: 'remember', line: 12 });
  });
});
