import {
  deadLetterTopic,
  encodeFindingRecord,
  encodeNodeRecord,
  encodeSampleChunk,
  Topic,
  TOPICS,
  type Finding,
  type NodeId,
  type NodeRecord,
  type SampleChunk,
} from '@tidemark/contracts';
import { createMemoryEventLog, type EventLog, type OutgoingRecord } from '@tidemark/event-log';
import { HistoryError, type History } from '@tidemark/history';
import { openTestHistory, randomSource, simulateNode, type TestHistory } from '@tidemark/history/testing';
import { Registry, silentLogger } from '@tidemark/service';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Stage } from '../stage.js';
import type { Checkpoint } from './batch-writer.js';
import { startRecord, type RecordDeps } from './start-record.js';

const CHECKPOINTS: readonly Checkpoint[] = ['cut', 'intent', 'table', 'tables', 'committed'];
const never = new Promise<never>(() => {});
const until = (check: () => unknown): Promise<void> =>
  vi.waitFor(async () => void (await check()), { timeout: 60_000, interval: 20 });

function simulate(node: string, rounds: number, seed = 1): SampleChunk[] {
  const from = Date.now() - rounds * 1_000;
  return simulateNode({ node, from, rounds, roundMs: 1_000, processes: 4, seed, keyframeEvery: 10 }).chunks;
}

const toRecord = (chunk: SampleChunk): OutgoingRecord => ({
  topic: Topic.Samples,
  key: chunk.node,
  ...encodeSampleChunk(chunk),
});

describe('the record stage', { timeout: 120_000 }, () => {
  let test: TestHistory;
  let log: EventLog;
  const stages: Stage[] = [];
  beforeAll(async () => {
    test = await openTestHistory();
  });
  afterAll(() => test.close());
  beforeEach(async () => {
    log = await createMemoryEventLog();
    await log.ensureTopics(TOPICS);
  });
  afterEach(async () => {
    await Promise.all(stages.splice(0).map((stage) => stage.drain(200)));
    await log.close(200);
  });

  async function start(over: Partial<RecordDeps> = {}): Promise<Stage> {
    const stage = startRecord({
      log,
      history: test.history,
      logger: silentLogger,
      registry: new Registry(),
      flushMs: 20,
      retry: { initialMs: 10, maxMs: 200 },
      ...over,
    });
    stages.push(stage);
    await stage.ready;
    return stage;
  }

  async function caughtUp(): Promise<void> {
    await until(async () => {
      for (const topic of [Topic.Samples, Topic.Nodes, Topic.Findings]) {
        for (const { lag } of await log.lag(topic, 'record')) expect(lag).toBe(0);
      }
    });
  }

  /** The raw rows are those of the chunks, each once, and the rollups are those of the raw rows. */
  async function expectExactly(chunks: readonly SampleChunk[]): Promise<void> {
    const nodes = [...new Set(chunks.map(({ node }) => node))];
    const stored = await test.connection.query<{ row: string }>(
      `SELECT concatWithSeparator(' ', node, toString(pid), toString(toUnixTimestamp64Milli(at)), ifNull(toString(rss), '-')) AS row
       FROM process_samples WHERE node IN {nodes:Array(String)} ORDER BY row`,
      { nodes },
    );
    const wanted = chunks.flatMap(({ node, at, procs }) =>
      procs.pid.map((pid, index) => `${node} ${pid} ${at} ${procs.rss?.[index] ?? '-'}`),
    );
    expect(stored.map(({ row }) => row)).toEqual(wanted.sort());
    for (const [grain, start] of [
      ['1m', 'toStartOfMinute'],
      ['1h', 'toStartOfHour'],
    ]) {
      const different = await test.connection.query(
        `SELECT * FROM (
           SELECT node, boot, pid, start, ${start}(at) AS time, toString((max(at), min(rss), max(rss), argMax(rss, at), argMax(utime, at))) AS raw
           FROM process_samples WHERE node IN {nodes:Array(String)} GROUP BY ALL
         ) AS a FULL OUTER JOIN (
           SELECT node, boot, pid, start, time, toString((last_at, rss_min, rss_max, rss_last, utime_last)) AS rollup
           FROM process_samples_${grain} FINAL WHERE node IN {nodes:Array(String)}
         ) AS b USING (node, boot, pid, start, time)
         WHERE raw != rollup`,
        { nodes },
      );
      expect(different).toEqual([]);
    }
    const [sections] = await test.connection.query<{ nodes: number }>(
      'SELECT count() AS nodes FROM node_samples WHERE node IN {nodes:Array(String)}',
      { nodes },
    );
    expect(sections?.nodes).toBe(chunks.filter(({ system }) => system.memory).length);
  }

  it('brings samples, heartbeats and findings to their tables within the flush time', async () => {
    const chunks = ['one', 'two', 'three'].flatMap((node, index) => simulate(node, 15, index));
    const now = Date.now();
    const heartbeat = { ...HEARTBEAT, at: now };
    const finding: Finding = { ...FINDING, at: now, openedAt: now };
    const stage = await start();
    expect(stage.health()).toMatchObject({ live: true, ready: true });
    await log.append([
      ...chunks.map(toRecord),
      { topic: Topic.Nodes, key: heartbeat.node, ...encodeNodeRecord(heartbeat) },
      { topic: Topic.Findings, key: finding.subject, ...encodeFindingRecord(finding) },
      {
        topic: Topic.Findings,
        key: finding.subject,
        ...encodeFindingRecord({
          v: 1,
          type: 'acknowledgement',
          id: finding.id,
          subject: finding.subject,
          at: now,
          note: 'seen',
        }),
      },
    ]);
    await caughtUp();
    await expectExactly(chunks);
    await expect(test.history.lastNodes()).resolves.toMatchObject([{ node: 'one', hostname: 'one.example' }]);
    await expect(test.history.finding(finding.id)).resolves.toMatchObject({
      finding,
      acknowledgement: { note: 'seen' },
    });
  });

  it.each(CHECKPOINTS)('writes each record once when it dies after the moment “%s”', async (moment) => {
    const chunks = simulate(`dies-${moment}`, 40, 3);
    let died = false;
    await start({
      checkpoint: async (topic, name) => {
        if (topic !== Topic.Samples || name !== moment) return;
        died = true;
        await never;
      },
    });
    await log.append(chunks.slice(0, 25).map(toRecord));
    await until(() => expect(died).toBe(true));
    await stages.pop()!.drain(50);
    await log.append(chunks.slice(25).map(toRecord));
    await start();
    await caughtUp();
    await expectExactly(chunks);
  });

  it('writes each record once however often it dies', async () => {
    const random = randomSource(17);
    const chunks = simulate('dies-often', 120, 5);
    let sent = 0;
    for (let life = 0; life < 12; life++) {
      let left = 1 + Math.floor(random() * 12);
      let died = false;
      await start({
        flushMs: 1,
        checkpoint: async (topic) => {
          if (topic !== Topic.Samples || --left > 0) return;
          died = true;
          await never;
        },
      });
      while (!died && sent < chunks.length) {
        await log.append(chunks.slice(sent, sent + 3).map(toRecord));
        sent += 3;
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      await stages.pop()!.drain(50);
    }
    await log.append(chunks.slice(sent).map(toRecord));
    await start();
    await caughtUp();
    await expectExactly(chunks);
  });

  it('writes each record once when the history is killed under it', async () => {
    const chunks = simulate('history-killed', 150, 7);
    const stage = await start({ flushMs: 1 });
    let kills = 0;
    for (let index = 0; index < chunks.length; index += 3) {
      await log.append(chunks.slice(index, index + 3).map(toRecord));
      if (index % 36 === 12 && test.server.restarts === kills) {
        process.kill(test.server.pid, 'SIGKILL');
        kills++;
        if (kills < 4) await until(() => expect(test.server.restarts).toBe(kills));
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await caughtUp();
    expect(kills).toBeGreaterThan(2);
    expect(stage.health()).toMatchObject({ live: true, ready: true });
    await expectExactly(chunks);
  });

  it('waits while history is away, says so, takes no more than its window, and loses nothing', async () => {
    let away = true;
    const write: History['write'] = (blocks, options) =>
      away
        ? Promise.reject(new HistoryError('HISTORY_DISK_FULL', 'no space left', true))
        : test.history.write(blocks, options);
    const chunks = simulate('disk-full', 200, 9);
    const stage = await start({ history: { ...test.history, write } });
    await log.append(chunks.map(toRecord));
    await until(() =>
      expect(stage.health()).toMatchObject({
        live: true,
        ready: false,
        detail: expect.stringContaining('no space left'),
      }),
    );
    away = false;
    await caughtUp();
    await until(() => expect(stage.health()).toMatchObject({ live: true, ready: true }));
    await expectExactly(chunks);
  });

  it('writes the other topics while history does not take one of them', async () => {
    let broken = true;
    let refused = 0;
    const write: History['write'] = (blocks, options) => {
      if (!broken || !blocks.some(({ table }) => table === 'findings')) return test.history.write(blocks, options);
      refused++;
      return Promise.reject(new HistoryError('HISTORY_UNAVAILABLE', 'this table is not there', true));
    };
    await start({ history: { ...test.history, write } });
    const findings = Array.from({ length: 12 }, (_, index): Finding => {
      const subject = `stuck-${index}/b/1/1`;
      return { ...FINDING, id: `stuck-${index}`, subject, at: Date.now(), openedAt: Date.now() };
    });
    for (const finding of findings) {
      const before = refused;
      await log.append([{ topic: Topic.Findings, key: finding.subject, ...encodeFindingRecord(finding) }]);
      await until(() => expect(refused).toBeGreaterThan(before));
    }
    const chunks = simulate('goes-on', 10, 21);
    await log.append(chunks.map(toRecord));
    await until(async () => {
      for (const { lag } of await log.lag(Topic.Samples, 'record')) expect(lag).toBe(0);
    });
    await expectExactly(chunks);
    broken = false;
    await caughtUp();
    for (const finding of findings) {
      await expect(test.history.finding(finding.id)).resolves.toMatchObject({ finding });
    }
  });

  it('puts damaged records aside, and writes those around them once although it dies between', async () => {
    const chunks = simulate('damaged', 20, 11);
    const records = chunks.map(toRecord);
    const damaged = [
      { ...records[3]!, value: records[3]!.value!.subarray(0, 30) },
      { ...records[3]!, value: Buffer.from('{"v":1}'), headers: {} },
      { ...records[3]!, value: Buffer.from(`[${'['.repeat(100_000)}`), headers: {} },
    ];
    let died = false;
    await start({
      checkpoint: async (_, name) => {
        if (name !== 'table') return;
        died = true;
        await never;
      },
    });
    await log.append([damaged[0]!, ...records.slice(0, 10), damaged[1]!, ...records.slice(10), damaged[2]!]);
    await until(() => expect(died).toBe(true));
    await stages.pop()!.drain(50);
    await start();
    await caughtUp();
    await expectExactly(chunks);
    const [dead] = await log.lag(deadLetterTopic(Topic.Samples), 'nobody');
    expect(dead?.end).toBeGreaterThanOrEqual(3);
  });

  it('writes what waits when it drains', async () => {
    const chunks = simulate('drains', 10, 13);
    const stage = await start({ flushMs: 1_000_000 });
    await log.append(chunks.map(toRecord));
    await until(() => expect(log.metrics().inFlightBytes).toBeGreaterThan(0));
    await stage.drain(20_000);
    await stage.drain(20_000);
    await expectExactly(chunks);
    for (const { lag } of await log.lag(Topic.Samples, 'record')) expect(lag).toBe(0);
  });

  it('counts what it does', async () => {
    const registry = new Registry();
    const chunks = simulate('counted', 5, 15);
    await start({ registry });
    await log.append(chunks.map(toRecord));
    await caughtUp();
    const text = await registry.metrics();
    const rows = chunks.reduce((sum, { procs }) => sum + procs.pid.length, 0);
    expect(text).toContain(`tidemark_record_rows_total{table="process_samples"} ${rows}`);
    expect(text).toMatch(/tidemark_record_batches_total\{topic="mem.samples.v1"\} [1-9]/);
    expect(text).toMatch(/tidemark_record_pending_records 0/);
  });
});

const HEARTBEAT: NodeRecord = {
  v: 1,
  node: 'one' as NodeId,
  boot: 'b',
  run: 'r',
  at: 0,
  state: 'UP',
  hostname: 'one.example',
  kernel: '6.1',
  architecture: 'x64',
  cpus: 2,
  pageSize: 4096,
  bootedAt: 1,
  interval: 1_000,
  processes: 4,
  limitations: [],
  collector: {
    version: '1',
    pid: 1,
    startedAt: 1,
    rounds: 1,
    cpuMs: 1,
    rss: 1,
    reads: 1,
    opens: 1,
    bytesRead: 1,
    bytesSent: 1,
    spooledBytes: 0,
    droppedBytes: 0,
    droppedChunks: 0,
    latenessMs: 0,
    skippedRounds: 0,
    clockJumps: 0,
  },
};

const FINDING: Finding = {
  v: 1,
  type: 'finding',
  id: 'leak-1',
  kind: 'PROCESS_LEAK',
  subject: 'one/b/1/1',
  node: 'one' as NodeId,
  process: null,
  service: 'web',
  state: 'SUSPECTED',
  previous: 'GROWING',
  imminent: false,
  confidence: 1,
  openedAt: 0,
  at: 0,
  bytes: 1,
  limit: null,
  growth: null,
  secondsToExhaustion: null,
  message: 'grows',
  evidence: {},
};
