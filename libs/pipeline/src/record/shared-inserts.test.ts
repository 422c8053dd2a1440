import { encodeSampleChunk, Topic, TOPICS, type SampleChunk } from '@tidemark/contracts';
import { createMemoryEventLog, type EventLog, type OutgoingRecord } from '@tidemark/event-log';
import { HistoryError, type Block, type History } from '@tidemark/history';
import { openTestHistory, randomSource, simulateNode, type TestHistory } from '@tidemark/history/testing';
import { Registry, silentLogger } from '@tidemark/service';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Stage } from '../stage.js';
import type { Checkpoint } from './batch-writer.js';
import { startRecord, type RecordDeps } from './start-record.js';

const never = new Promise<never>(() => {});
const until = (check: () => unknown): Promise<void> =>
  vi.waitFor(async () => void (await check()), { timeout: 60_000, interval: 20 });

const toRecord = (chunk: SampleChunk): OutgoingRecord => ({
  topic: Topic.Samples,
  key: chunk.node,
  ...encodeSampleChunk(chunk),
});

describe('batches of many partitions', { timeout: 120_000 }, () => {
  let test: TestHistory;
  let log: EventLog;
  let prefix = 0;
  const stages: Stage[] = [];
  beforeAll(async () => {
    test = await openTestHistory();
  });
  afterAll(() => test.close());
  beforeEach(async () => {
    log = await createMemoryEventLog();
    await log.ensureTopics(TOPICS);
    prefix++;
  });
  afterEach(async () => {
    await Promise.all(stages.splice(0).map((stage) => stage.drain(200)));
    await log.close(200);
  });

  /** Rounds of 40 hosts, which lie on all of the sixteen partitions, in the order of time. */
  function simulate(rounds: number): SampleChunk[] {
    const from = Date.now() - rounds * 1_000;
    return Array.from({ length: 40 }, (_, index) => {
      const node = `shared-${prefix}-${index}`;
      return simulateNode({ node, from, rounds, roundMs: 1_000, processes: 3, seed: index, keyframeEvery: 5 }).chunks;
    })
      .flat()
      .sort((a, b) => a.at - b.at);
  }

  async function start(over: Partial<RecordDeps> = {}): Promise<Stage> {
    const stage = startRecord({
      ...{ log, history: test.history, logger: silentLogger, registry: new Registry(), flushMs: 50 },
      retry: { initialMs: 10, maxMs: 200 },
      ...over,
    });
    stages.push(stage);
    await stage.ready;
    return stage;
  }

  async function caughtUp(): Promise<void> {
    await until(async () => {
      for (const { lag } of await log.lag(Topic.Samples, 'record')) expect(lag).toBe(0);
    });
  }

  async function expectOnce(chunks: readonly SampleChunk[]): Promise<void> {
    const rows = chunks.reduce((sum, { procs }) => sum + procs.pid.length, 0);
    const told = chunks.filter(({ system }) => system.memory).length;
    const mine = `startsWith(node, 'shared-${prefix}-')`;
    for (const [table, key, wanted] of [
      ['process_samples', 'node, boot, pid, start, at', rows],
      ['node_samples', 'node, at', told],
      ['device_samples', 'node, kind, name, at', told],
    ] as const) {
      const [found] = await test.connection.query<{ rows: number; distinct: number }>(
        `SELECT count() AS rows, uniqExact(${key}) AS distinct FROM ${table} WHERE ${mine}`,
      );
      expect({ table, ...found }).toEqual({ table, rows: wanted, distinct: wanted });
    }
    const different = await test.connection.query(
      `SELECT * FROM (
         SELECT node, boot, pid, start, toStartOfMinute(at) AS time, toString((max(at), min(rss), max(rss), argMax(rss, at))) AS raw
         FROM process_samples WHERE ${mine} GROUP BY ALL
       ) AS a FULL OUTER JOIN (
         SELECT node, boot, pid, start, time, toString((last_at, rss_min, rss_max, rss_last)) AS rollup
         FROM process_samples_1m FINAL WHERE ${mine}
       ) AS b USING (node, boot, pid, start, time)
       WHERE raw != rollup`,
    );
    expect(different).toEqual([]);
  }

  it('go with one insert for each table, however many there are', async () => {
    const chunks = simulate(10);
    const inserts: string[] = [];
    const write: History['write'] = (blocks, options) => {
      const onBlock = async (block: Block): Promise<void> => {
        inserts.push(block.table);
        await options.onBlock?.(block);
      };
      return test.history.write(blocks, { ...options, onBlock });
    };
    const registry = new Registry();
    const stage = await start({ history: { ...test.history, write }, flushMs: 1_000_000, registry });
    await log.append(chunks.map(toRecord));
    const waiting = `tidemark_record_pending_records ${chunks.length}\n`;
    await until(async () => expect(await registry.metrics()).toContain(waiting));
    // What waits is due when one of them drains.
    await stage.drain(60_000);
    await expectOnce(chunks);
    const tables = ['device_samples', 'node_samples', 'process_samples', 'processes', 'written_chunks'];
    expect(inserts.sort()).toEqual(tables);
    const busy = (await log.lag(Topic.Samples, 'record')).filter(({ end }) => end > 0).length;
    expect(busy).toBeGreaterThan(8);
    const metrics = await registry.metrics();
    expect(metrics).toContain('tidemark_record_inserts_total{table="process_samples"} 1\n');
    expect(metrics).toContain(`tidemark_record_batches_total{topic="mem.samples.v1"} ${busy}\n`);
  });

  it.each(['cut', 'intent', 'table', 'tables', 'committed'] as const)(
    'are written once when the writer dies after the moment “%s”',
    async (moment) => {
      const chunks = simulate(12);
      for (const nth of [1, 5, 9]) {
        let left = nth;
        let died = false;
        const checkpoint = async (topic: string, name: Checkpoint): Promise<void> => {
          if (topic !== Topic.Samples) return;
          died ||= name === moment && --left === 0;
          if (died) await never;
        };
        const part = chunks.length / 4;
        const from = part * [1, 5, 9].indexOf(nth);
        await start({ checkpoint });
        for (let index = from; index < from + part && !died; index += 20) {
          await log.append(chunks.slice(index, index + 20).map(toRecord));
          await new Promise((resolve) => setTimeout(resolve, 30));
        }
        await until(() => expect(died).toBe(true));
        await stages.pop()!.drain(50);
        const sent = (await log.lag(Topic.Samples, 'record')).reduce((sum, { end }) => sum + end, 0);
        await log.append(chunks.slice(sent, from + part).map(toRecord));
      }
      await log.append(chunks.slice((chunks.length / 4) * 3).map(toRecord));
      await start();
      await caughtUp();
      await expectOnce(chunks);
    },
  );

  it('are settled each by itself when a shared insert fails, before or after it came in', async () => {
    const chunks = simulate(20);
    const random = randomSource(5);
    let failed = 0;
    const fail = (): Promise<never> => {
      failed++;
      return Promise.reject(new HistoryError('HISTORY_UNAVAILABLE', 'nobody answers', true));
    };
    const write: History['write'] = async (blocks, options) => {
      const lot = random();
      if (lot < 0.2) return fail();
      const some = lot < 0.4 ? blocks.slice(0, Math.ceil(random() * blocks.length)) : blocks;
      const report = await test.history.write(some, options);
      return lot < 0.5 ? fail() : report;
    };
    const stage = await start({ history: { ...test.history, write }, flushMs: 5 });
    for (let index = 0; index < chunks.length; index += 50) {
      await log.append(chunks.slice(index, index + 50).map(toRecord));
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await caughtUp();
    expect(failed).toBeGreaterThan(5);
    await until(() => expect(stage.health()).toMatchObject({ ready: true }));
    await expectOnce(chunks);
  });

  it('are written once when history is killed under them', async () => {
    const chunks = simulate(30);
    await start({ flushMs: 5 });
    let kills = 0;
    for (let index = 0; index < chunks.length; index += 40) {
      await log.append(chunks.slice(index, index + 40).map(toRecord));
      if (index % 320 === 80 && test.server.restarts === kills) {
        process.kill(test.server.pid, 'SIGKILL');
        kills++;
        await until(() => expect(test.server.restarts).toBe(kills));
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await caughtUp();
    expect(kills).toBeGreaterThan(2);
    await expectOnce(chunks);
  });

  it('are written by those that still have them when some are taken away', async () => {
    const chunks = simulate(30);
    await start({ flushMs: 5 });
    for (let index = 0; index < chunks.length; index += 40) {
      await log.append(chunks.slice(index, index + 40).map(toRecord));
      if (index % 200 === 80) await start({ flushMs: 5 });
      if (index % 200 === 160) await stages.shift()!.drain(index % 400 === 160 ? 10_000 : 1);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await caughtUp();
    await expectOnce(chunks);
  });
});
