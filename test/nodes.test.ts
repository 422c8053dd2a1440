import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { whyNoKafka } from '../tools/kafka/distribution.mjs';
import { startHarness, type Harness, type SimulatedHost } from '../tools/nodes/harness.mjs';
import { whyNoNodes } from '../tools/nodes/namespaces.mjs';
import { distinctInOrder } from './support/cluster.js';
import { until } from './support/until.js';

const NODES = 20;
/** Collectors are started one after the other, so that a small machine is not busy with starting alone. */
const STAGGER_MS = 300;
const PATIENCE_MS = 240_000;
const why = whyNoKafka() ?? whyNoNodes();
const skipped = why !== undefined && process.env['CI'] !== 'true';

interface Answer {
  cluster: { now: string; nodesReporting: number; nodesExpected: number };
  nodes: { edges: { node: { id: string; state: string; lastSeen: string } }[] };
}

interface Aggregate {
  total: number;
  processes: number;
  nodesReporting: number;
  nodesExpected: number;
}

interface Chunk {
  run: string;
  seq: number;
  at: number;
  rows: number;
}

const QUERY = `{ cluster { now nodesReporting nodesExpected }
  nodes(first: 50) { edges { node { id state lastSeen } } } }`;

describe.skipIf(skipped)(`${NODES} collectors in namespaces of their own${skipped ? ` (${why})` : ''}`, () => {
  const directory = mkdtempSync(join(tmpdir(), 'tidemark-nodes-test-'));
  let harness: Harness;

  beforeAll(async () => {
    harness = await startHarness({ nodes: NODES, directory });
  }, PATIENCE_MS);

  afterAll(async () => {
    await harness?.stop();
    rmSync(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  }, PATIENCE_MS);

  /**
   * Asks until the answer is good; gives it, the server's time of the last one that was not, and for how long no answer
   * came at the worst: what a machine that is busy with other things adds to every time.
   */
  async function watch(what: string, isGood: (answer: Answer) => boolean) {
    let before = 0;
    let stall = 0;
    let answeredAt = performance.now();
    const answer = await until(
      what,
      async () => {
        const asked = await harness.query<Answer>(QUERY);
        stall = Math.max(stall, performance.now() - answeredAt);
        answeredAt = performance.now();
        if (isGood(asked)) return asked;
        before = Date.parse(asked.cluster.now);
        return undefined;
      },
      PATIENCE_MS,
    );
    return { answer, before, stall: Math.round(stall) };
  }

  const nodesOf = ({ nodes }: Answer) => nodes.edges.map(({ node }) => node);
  const inactive = (answer: Answer) => nodesOf(answer).flatMap(({ id, state }) => (state === 'ACTIVE' ? [] : [id]));
  const isWhole = (answer: Answer) => nodesOf(answer).length === NODES && inactive(answer).length === 0;

  /** The API's sum of the program is that of the hosts' own /proc, within 1 %. */
  async function sumsEqual(hosts: readonly SimulatedHost[]): Promise<void> {
    const found = await until(
      `a sum over ${hosts.length} of ${NODES} nodes`,
      async () => {
        const { clusterAggregate } = await harness.query<{ clusterAggregate: Aggregate }>(
          `{ clusterAggregate(filter: { program: "held-memory" }, metric: RSS) {
            total processes nodesReporting nodesExpected } }`,
        );
        const figures = hosts.flatMap((host) => [...host.memory().values()]);
        const isComplete =
          clusterAggregate.nodesReporting === hosts.length && clusterAggregate.processes === figures.length;
        return isComplete && { ...clusterAggregate, kernel: figures.reduce((sum, bytes) => sum + bytes, 0) };
      },
      PATIENCE_MS,
    );
    expect(found).toMatchObject({ nodesReporting: hosts.length, nodesExpected: NODES });
    expect(found.kernel).toBeGreaterThan(hosts.length * 2 * 16 * 1024 * 1024);
    expect(Math.abs(found.total - found.kernel) / found.kernel).toBeLessThan(0.01);
  }

  it(
    'are members of the cluster at most 5 s after the first heartbeat of the last one',
    async () => {
      for (const host of harness.hosts) {
        host.startCollector();
        await new Promise((resolve) => setTimeout(resolve, STAGGER_MS));
      }
      const startedAt = Date.now() - STAGGER_MS;
      // Of each node the server's time of the last answer without it, and of the first with it.
      const without = new Map<string, number>();
      const listed = new Map<string, number>();
      const { answer, stall } = await watch('all nodes to be members', (asked) => {
        const now = Date.parse(asked.cluster.now);
        const members = new Set(nodesOf(asked).map(({ id }) => id));
        for (const { name } of harness.hosts) {
          if (!members.has(name)) without.set(name, now);
          else if (!listed.has(name)) listed.set(name, now);
        }
        return isWhole(asked);
      });
      expect(answer.cluster).toMatchObject({ nodesReporting: NODES, nodesExpected: NODES });
      const first = await until('the first heartbeats in history', async () => {
        const rows = await harness.sql('SELECT node, toUnixTimestamp64Milli(min(at)) FROM heartbeats GROUP BY node');
        return rows.length === NODES && new Map(rows.map(([node, at]) => [String(node), Number(at)]));
      });
      const full = Math.max(...listed.values());
      const last = Math.max(...first.values());
      console.log(
        `full membership ${full - last} ms after the last first heartbeat, ${full - startedAt} ms after its start; no answer for ${stall} ms at the worst`,
      );
      for (const [name, at] of first) expect((without.get(name) ?? 0) - at, name).toBeLessThanOrEqual(5_000 + stall);
    },
    PATIENCE_MS,
  );

  it('hold together the memory that their own /proc shows', () => sumsEqual(harness.hosts), PATIENCE_MS);

  it(
    'are INACTIVE at most 10 s after they were heard of, one alone, and come back',
    async () => {
      const [victim, ...others] = harness.hosts;
      await victim!.killCollector('SIGKILL');
      const { answer, before, stall } = await watch(
        'the killed node alone to be inactive',
        (asked) => inactive(asked).join() === victim!.name,
      );
      const lastSeen = Date.parse(nodesOf(answer).find(({ id }) => id === victim!.name)!.lastSeen);
      console.log(`INACTIVE ${Date.parse(answer.cluster.now) - lastSeen} ms after it was last seen`);
      expect(before - lastSeen).toBeLessThanOrEqual(10_000 + stall);
      await sumsEqual(others);
      victim!.startCollector();
      await watch('the killed node to be back', isWhole);
      await sumsEqual(harness.hosts);
    },
    PATIENCE_MS * 2,
  );

  it(
    'lose nothing while their link is cut: what they kept comes in order, and history has it once',
    async () => {
      const host = harness.hosts[NODES - 1]!;
      host.cut();
      const cutAt = Date.now();
      await watch('the cut node alone to be inactive', (asked) => inactive(asked).join() === host.name);
      const mendedAt = Date.now();
      host.mend();
      await watch('the cut node to be back', isWhole);
      // What waited is older than what is told now.
      const chunks = await until(
        'a chunk from after the cut',
        async () => {
          const told = await harness.inCore<Chunk[]>('read-samples.mjs', harness.brokers, host.name);
          return (told.at(-1)?.at ?? 0) > mendedAt + 1_000 && told;
        },
        PATIENCE_MS,
      );
      const distinct = distinctInOrder(chunks);
      expect(distinct.filter(({ at }) => at > cutAt && at < mendedAt).length).toBeGreaterThan(3);
      const rows = distinct.reduce((sum, chunk) => sum + chunk.rows, 0);
      const sql = `SELECT count() FROM process_samples
      WHERE node = '${host.name}' AND at <= fromUnixTimestamp64Milli(${distinct.at(-1)!.at})`;
      await until('all rows in history', async () => Number((await harness.sql(sql))[0]![0]) >= rows, PATIENCE_MS);
      expect(Number((await harness.sql(sql))[0]![0])).toBe(rows);
    },
    PATIENCE_MS * 2,
  );
});
