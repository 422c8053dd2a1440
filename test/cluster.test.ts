import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Topic, TOPICS, type SampleChunk } from '@tidemark/contracts';
import type { EventLog } from '@tidemark/event-log';
import { createKafkaEventLog } from '@tidemark/event-log/kafka';
import { whyNoKafka } from '../tools/kafka/distribution.mjs';
import { spawnApp, startApp, type AppName, type RunningApp } from './support/app.js';
import { chunksOf, distinctInOrder, startBackbone, type Backbone } from './support/cluster.js';
import { graphqlClient, type GraphqlClient } from './support/graphql-client.js';
import { until } from './support/until.js';

const why = whyNoKafka();
const skipped = why !== undefined && process.env['CI'] !== 'true';
const ORPHANED_MS = 120_000;

interface NodesAnswer {
  nodes: { edges: { node: { id: string; state: string; processes: { edges: { node: { key: string } }[] } } }[] };
}

describe.skipIf(skipped)(`apps apart, with Kafka and ClickHouse between${skipped ? ` (${why})` : ''}`, () => {
  let backbone: Backbone;
  let log: EventLog;
  /** A process of this host that stands still. */
  let still: ChildProcess;
  const running = new Map<string, RunningApp>();
  const apis: GraphqlClient[] = [];
  /** Apps that are expected to end by themselves. */
  const hopeless: ReturnType<typeof spawnApp>[] = [];

  /** Starts an app under a name of its own; its settings are those of its kind and the ones given. */
  async function start(id: string, kind: AppName, more: Record<string, string | number> = {}): Promise<RunningApp> {
    const own = {
      collector: { 'node.id': id, 'data.directory': join(backbone.directory, id) },
      processor: backbone.writing,
      writer: backbone.writing,
      api: backbone.reading,
    }[kind];
    const app = await startApp(kind, { ...backbone.log, ...own, ...more });
    running.set(id, app);
    return app;
  }

  const app = (id: string): RunningApp => running.get(id)!;

  async function allReady(...ids: string[]): Promise<void> {
    for (const id of ids) {
      await until(`${id} to be ready, which said:\n${app(id).output()}`, async () => (await app(id).health()).ready);
    }
  }

  /** How far the group has come in every partition of samples that has records. */
  async function positions(group: string): Promise<Map<number, { committed: number; end: number }>> {
    const lags = await log.lag(Topic.Samples, group);
    return new Map(
      lags.flatMap(({ partition, committed = 0, end }) => (end > 0 ? [[partition, { committed, end }]] : [])),
    );
  }

  /** Every partition that had records then is read beyond where it ended then. */
  async function goesOn(group: string): Promise<void> {
    const before = await positions(group);
    expect(before.size).toBeGreaterThan(0);
    await until(
      `${group} to read beyond ${JSON.stringify([...before])}`,
      async () => {
        const now = await positions(group);
        return [...before].every(([partition, { end }]) => now.get(partition)!.committed > end);
      },
      ORPHANED_MS,
    );
  }

  beforeAll(async () => {
    still = spawn('sleep', ['100000'], { stdio: 'ignore' });
    backbone = await startBackbone();
    log = await createKafkaEventLog({ brokers: backbone.kafka.bootstrap });
    await Promise.all([
      ...['writer-1', 'writer-2'].map((id) => start(id, 'writer')),
      ...['processor-1', 'processor-2'].map((id) => start(id, 'processor')),
      ...['a', 'b'].map((id) => start(id, 'collector')),
      ...['api-1', 'api-2'].map((id) => start(id, 'api')),
    ]);
    apis.push(...['api-1', 'api-2'].map((id) => graphqlClient(`${app(id).url}/graphql`)));
  }, 180_000);

  afterAll(async () => {
    still?.kill('SIGKILL');
    await Promise.all([...running.values(), ...hopeless].map((one) => one.kill('SIGKILL')));
    await log?.close(2_000);
    await backbone?.stop();
  }, 60_000);

  it('become ready, and tell their metrics', async () => {
    await allReady(...running.keys());
    const { parts } = await app('processor-1').health();
    expect(Object.keys(parts).sort()).toEqual(['detect', 'event log', 'history', 'match']);
    expect(await app('a').metrics()).toMatch(/^tidemark_log_appended_records_total [1-9]/m);
    expect(await app('writer-1').metrics()).toMatch(
      /^tidemark_log_lag_records\{topic="mem\.samples\.v1",group="record"/m,
    );
  }, 180_000);

  it('answer alike from both APIs: the same nodes, the same processes', async () => {
    const query = `query ($pid: Int!) { nodes { edges { node { id state
      processes(filter: { program: "sleep", pids: [$pid] }) { edges { node { key } } } } } } }`;
    await until('both APIs to know the process on both nodes', async () => {
      const [one, other] = await Promise.all(apis.map((api) => api.query<NodesAnswer>(query, { pid: still.pid })));
      const nodes = one!.nodes.edges.map(({ node }) => node);
      const complete =
        nodes.length === 2 && nodes.every(({ state, processes }) => state === 'ACTIVE' && processes.edges.length === 1);
      return complete && JSON.stringify(one) === JSON.stringify(other);
    });
  }, 90_000);

  it('keep the history of every node, which the APIs give back', async () => {
    await until('rows of both nodes', async () => {
      const rows = await backbone.ask('SELECT node, count() FROM process_samples GROUP BY node ORDER BY node');
      return rows.length === 2 && rows.every(([, count]) => Number(count) > 0);
    });
    const query = `query ($pid: Int!) { process(node: "a", pid: $pid) {
      series(metric: RSS, period: { last: "5m" }, resolution: 1) { value } } }`;
    const [one, other] = await Promise.all(
      apis.map((api) =>
        until('a series of the process', async () => {
          const answer = await api.query<{ process: { series: unknown[] } | null }>(query, { pid: still.pid });
          return answer.process && answer.process.series.length > 0;
        }),
      ),
    );
    expect([one, other]).toEqual([true, true]);
  }, 90_000);

  it.each([
    ['processor', 'detect'],
    ['writer', 'record'],
  ] as const)(
    'hand the partitions of a killed %s over, and nothing stops',
    async (kind, group) => {
      await app(`${kind}-1`).kill('SIGKILL');
      await goesOn(group);
      expect((await app(`${kind}-2`).health()).ready).toBe(true);
      await start(`${kind}-1`, kind);
      await allReady(`${kind}-1`);
      await app(`${kind}-2`).kill('SIGKILL');
      await goesOn(group);
      await start(`${kind}-2`, kind);
    },
    ORPHANED_MS * 2,
  );

  it(
    'tell that ClickHouse is away, go on without it, and catch up',
    async () => {
      await backbone.stopHistory();
      await until('a writer that waits', async () => {
        const healths = await Promise.all(['writer-1', 'writer-2'].map((id) => app(id).health()));
        return healths.some(({ ready, parts }) => !ready && /wait/.test(parts['record']?.detail ?? ''));
      });
      expect(
        (await apis[0]!.query<{ cluster: { nodesReporting: number } }>('{ cluster { nodesReporting } }')).cluster,
      ).toEqual({ nodesReporting: 2 });
      await backbone.startHistory();
      await allReady('writer-1', 'writer-2');
      await goesOn('record');
    },
    ORPHANED_MS * 2,
  );

  it(
    'tell that Kafka is away; a collector that starts meanwhile spools, and all of it comes in order',
    async () => {
      const [broker] = backbone.kafka.brokers;
      await broker!.stop();
      // Ten rounds a second: a host of few processes fills the memory within seconds, too.
      const often = { 'collect.interval': 100, 'collect.memoryInterval': 100, 'collect.cpuInterval': 100 };
      const late = await start('late', 'collector', { 'collect.spoolMemory': 65_536, ...often });
      await until(
        'rounds that wait for the log',
        async () => {
          const { ready, parts } = await late.health();
          const bytes = Number(/away, (\d+) bytes wait/.exec(parts['collect']?.detail ?? '')?.[1] ?? 0);
          return !ready && bytes > 100_000;
        },
        ORPHANED_MS,
      );
      for (const id of ['processor-1', 'writer-1', 'api-1', 'a']) {
        await until(`${id} to say so`, async () => {
          const { live, ready, parts } = await app(id).health();
          return live && !ready && parts['event log']!.detail.includes('Kafka does not answer');
        });
      }
      const backAt = Date.now();
      await broker!.start();
      await allReady(...running.keys());
      const chunksOfLate = async () => (await chunksOf(log)).filter(({ node }) => node === 'late');
      // Kafka answers before the spool has been drained into it.
      await until('the first that was spooled', async () => (await chunksOfLate()).length > 0, ORPHANED_MS);
      const chunks = distinctInOrder(await chunksOfLate());
      expect(chunks[0]!.at).toBeLessThan(backAt);
      await expectRows('late', chunks);
    },
    ORPHANED_MS * 3,
  );

  /** History has exactly the rows that the chunks brought, and whatever came after them. */
  async function expectRows(node: string, chunks: readonly SampleChunk[]): Promise<void> {
    const last = chunks.at(-1)!.at;
    const rows = chunks.reduce((sum, { procs }) => sum + procs.pid.length, 0);
    const sql = `SELECT count() FROM process_samples WHERE node = '${node}' AND at <= fromUnixTimestamp64Milli(${last})`;
    await until(`${rows} rows of ${node}`, async () => Number((await backbone.ask(sql))[0]![0]) >= rows, ORPHANED_MS);
    expect(Number((await backbone.ask(sql))[0]![0])).toBe(rows);
  }

  it('drain on SIGTERM, each with 0 and nothing left behind', async () => {
    const ended = await Promise.all(
      [...running.values()].map(async (one) => {
        const from = performance.now();
        const end = await one.kill('SIGTERM');
        return { name: one.name, ...end, ms: Math.round(performance.now() - from), said: one.output() };
      }),
    );
    for (const { name, code, ms, said } of ended) {
      expect(`${name} ${code}: ${said}`).toMatch(/ 0: [^]*Stopped; everything acknowledged is kept\.\n/);
      expect(ms).toBeLessThan(10_000 + 5_000);
    }
    running.clear();
  }, 60_000);

  it('say in one line what will never work, and end', async () => {
    const wrong = spawnApp('writer', {
      ...backbone.log,
      ...backbone.writing,
      'history.password': 'wrong',
      'status.port': 0,
    });
    hopeless.push(wrong);
    expect(await wrong.ended).toMatchObject({ code: 2 });
    expect(wrong.output()).toMatch(/^tidemark writer: .*(password|Authentication).*$/m);

    const prefix = 'differs.';
    const other = await createKafkaEventLog({ brokers: backbone.kafka.bootstrap, prefix });
    await other.ensureTopics([{ ...TOPICS[0]!, partitions: TOPICS[0]!.partitions + 1 }]);
    await other.close();
    const differing = spawnApp('processor', {
      ...{ ...backbone.log, ...backbone.writing, 'kafka.prefix': prefix, 'status.port': 0 },
    });
    hopeless.push(differing);
    expect(await differing.ended).toMatchObject({ code: 2 });
    expect(differing.output()).toMatch(/^tidemark processor: .*mem\.nodes\.v1.*partitions.*$/m);
  }, 60_000);
});
