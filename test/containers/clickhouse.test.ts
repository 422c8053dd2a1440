import { processKey } from '@tidemark/contracts';
import { createHistory, sampleBlocks, type History } from '@tidemark/history';
import { simulateNode } from '@tidemark/history/testing';
import { GenericContainer, Wait, type StartedTestContainer } from 'testcontainers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../support/until.js';
import { findContainers } from './engine.js';

const containers = await findContainers(['clickhouse']);
const START_MS = 180_000;
const PASSWORD = 'of-a-test-alone';

describe.skipIf(containers.why !== undefined)(`a server of ClickHouse in a container${containers.inName}`, () => {
  let server: StartedTestContainer;
  let history: History;

  const open = () => {
    const url = `http://127.0.0.1:${server.getMappedPort(8123)}`;
    return createHistory({ url, username: 'tidemark_admin', password: PASSWORD, database: 'tidemark' });
  };

  beforeAll(async () => {
    server = await new GenericContainer(containers.clickhouse)
      .withEnvironment({
        CLICKHOUSE_USER: 'tidemark_admin',
        CLICKHOUSE_PASSWORD: PASSWORD,
        CLICKHOUSE_DEFAULT_ACCESS_MANAGEMENT: '1',
      })
      .withExposedPorts(8123)
      .withWaitStrategy(Wait.forHttp('/ping', 8123))
      .withStartupTimeout(START_MS)
      .start();
    history = open();
  }, START_MS + 30_000);
  afterAll(async () => {
    await history?.close();
    await server?.stop({ timeout: 20_000 });
  });

  it('migrates, takes rows once however often they are sent, and gives them back after a restart', async () => {
    const first = await history.migrate();
    expect(first.applied.length).toBeGreaterThan(0);
    expect((await history.migrate()).applied).toEqual([]);

    const from = Math.floor(Date.now() / 60_000) * 60_000 - 600_000;
    const node = 'node-a';
    const options = { node, from, rounds: 60, roundMs: 1_000, processes: 6, seed: 11, keyframeEvery: 20 };
    const { chunks, processes } = simulateNode(options);
    const blocks = sampleBlocks(chunks, () => 1_024);
    const token = 'samples/0/0-59/1024';
    const written = await history.write(blocks, { token, again: false });
    await history.write(blocks, { token, again: false });
    expect(written.rows['process_samples']).toBe(chunks.reduce((sum, { procs }) => sum + procs.pid.length, 0));

    const living = processes.find(({ bornAt, diedAt }) => bornAt <= from + 1_000 && diedAt === null)!;
    const key = processKey(chunks[0]!.node, chunks[0]!.boot, living.pid, living.start);
    const window = { from, to: from + 60_000, stepMs: 60_000 };
    const readSeries = async () => [...((await history.processSeries([key], 'rss', window)).get(key) ?? [])];
    const before = await readSeries();
    const rss = living.changes.flatMap(({ values }) => (values.rss === undefined ? [] : [values.rss]));
    expect(before.at(-1)).toMatchObject({ max: Math.max(...rss) });

    await history.close();
    await server.restart({ timeout: 20_000 });
    history = open();
    await until('the server to answer again', () =>
      history.ping().then(
        () => true,
        () => false,
      ),
    );
    expect(await readSeries()).toEqual(before);
    expect((await history.processes([key])).get(key)).toMatchObject({ program: living.program });
  }, 180_000);
});
