import {
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
import { openTestHistory, simulateNode, type TestHistory } from '@tidemark/history/testing';
import { Registry, silentLogger } from '@tidemark/service';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Stage } from '../stage.js';
import type { Checkpoint } from './batch-writer.js';
import { startRecord } from './start-record.js';

const never = new Promise<never>(() => {});
const until = (check: () => unknown): Promise<void> =>
  vi.waitFor(async () => void (await check()), { timeout: 60_000, interval: 10 });
const RECORDED = [Topic.Samples, Topic.Nodes, Topic.Findings] as const;

type Step =
  /** A node tells of so many rounds more. */
  | { do: 'tell'; node: number; rounds: number }
  /** What a node told some time ago comes once more, as it was. */
  | { do: 'repeat'; node: number; back: number; records: number }
  /** The node's collector begins anew. */
  | { do: 'run'; node: number }
  /** The writer dies at such a moment, the so many-th from now, and another one begins. */
  | { do: 'die'; moment: Checkpoint; after: number };

const NODES = 3;
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('tell' as const),
      node: fc.nat(NODES - 1),
      rounds: fc.integer({ min: 1, max: 6 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('repeat' as const),
      node: fc.nat(NODES - 1),
      back: fc.nat(20),
      records: fc.integer({ min: 1, max: 20 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('run' as const), node: fc.nat(NODES - 1) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('die' as const),
      moment: fc.constantFrom<Checkpoint>('cut', 'intent', 'table', 'tables', 'committed'),
      after: fc.integer({ min: 1, max: 8 }),
    }),
  },
);

/** A node whose collector sends a chunk, now and then a heartbeat and a finding, each round. */
class Teller {
  readonly chunks: SampleChunk[] = [];
  readonly heartbeats: NodeRecord[] = [];
  readonly findings: Finding[] = [];
  readonly sent: OutgoingRecord[] = [];
  readonly #rounds: SampleChunk[];
  #run = 1;
  #seq = 0;

  constructor(
    readonly node: string,
    seed: number,
  ) {
    const from = Date.now() - 300_000;
    this.#rounds = simulateNode({
      node,
      from,
      rounds: 250,
      roundMs: 1_000,
      processes: 3,
      seed,
      keyframeEvery: 10,
    }).chunks;
  }

  beginAnew(): void {
    this.#run++;
    this.#seq = 0;
  }

  tell(rounds: number): OutgoingRecord[] {
    const records: OutgoingRecord[] = [];
    for (const told of this.#rounds.splice(0, rounds)) {
      const chunk = { ...told, run: `run-${this.#run}`, seq: this.#seq++ };
      this.chunks.push(chunk);
      records.push({ topic: Topic.Samples, key: this.node, ...encodeSampleChunk(chunk) });
      if (chunk.seq % 3 === 0) records.push(this.#heartbeat(chunk));
      if (chunk.seq % 5 === 1) records.push(this.#finding(chunk));
    }
    this.sent.push(...records);
    return records;
  }

  #heartbeat({ run, at, seq }: SampleChunk): OutgoingRecord {
    const record: NodeRecord = { ...HEARTBEAT, node: this.node as NodeId, run, at, state: seq % 2 ? 'LEAVING' : 'UP' };
    this.heartbeats.push(record);
    return { topic: Topic.Nodes, key: this.node, ...encodeNodeRecord(record) };
  }

  /** Several of one id, and now and then two of one moment. */
  #finding({ at, seq }: SampleChunk): OutgoingRecord {
    const state = seq % 2 ? 'SUSPECTED' : 'CONFIRMED';
    const number = this.findings.length;
    const told = number % 3 === 2 ? this.findings.at(-1)!.at : at;
    const imminent = number % 3 === 2 ? !this.findings.at(-1)!.imminent : false;
    const id = `${this.node}/leak@${Math.floor(number / 6)}`;
    const record: Finding = {
      ...FINDING,
      node: this.node as NodeId,
      subject: `${this.node}/leak`,
      id,
      at: told,
      state,
      imminent,
    };
    if (!this.findings.some((one) => nameOf(one) === nameOf(record))) this.findings.push(record);
    return { topic: Topic.Findings, key: record.subject, ...encodeFindingRecord(record) };
  }
}

const nameOf = ({ id, at, state, imminent }: Finding): string => `${id} ${at} ${state} ${imminent}`;

describe('records that the log has twice', { timeout: 120_000 }, () => {
  let test: TestHistory;
  let run = 0;
  beforeAll(async () => {
    test = await openTestHistory();
  });
  afterAll(() => test.close());

  async function caughtUp(log: EventLog): Promise<void> {
    await until(async () => {
      for (const topic of RECORDED) for (const { lag } of await log.lag(topic, 'record')) expect(lag).toBe(0);
    });
  }

  /** Every row that the tables have of the node, as text, and what they should have. */
  async function expectExactly({ node, chunks, heartbeats, findings }: Teller): Promise<void> {
    const rows = async (sql: string): Promise<string[]> =>
      (await test.connection.query<{ row: string }>(`${sql} ORDER BY row`, { node })).map(({ row }) => row);
    const words = (...parts: string[]): string => `concatWithSeparator(' ', ${parts.join(', ')}) AS row`;
    const at = 'toString(toUnixTimestamp64Milli(at))';
    expect(await rows(`SELECT ${words('toString(pid)', at)} FROM process_samples WHERE node = {node:String}`)).toEqual(
      chunks.flatMap((chunk) => chunk.procs.pid.map((pid) => `${pid} ${chunk.at}`)).sort(),
    );
    const told = chunks.filter(({ system }) => system.memory).map((chunk) => String(chunk.at));
    expect(await rows(`SELECT ${at} AS row FROM node_samples WHERE node = {node:String}`)).toEqual(told.sort());
    expect(await rows(`SELECT ${words('run', 'state', at)} FROM heartbeats WHERE node = {node:String}`)).toEqual(
      heartbeats.map((one) => `${one.run} ${one.state} ${one.at}`).sort(),
    );
    expect(
      await rows(`SELECT ${words('id', at, 'state', 'toString(imminent)')} FROM findings WHERE node = {node:String}`),
    ).toEqual(findings.map(nameOf).sort());
    const different = await test.connection.query(
      `SELECT * FROM (
         SELECT boot, pid, start, toStartOfMinute(at) AS time, toString((max(at), min(rss), max(rss), argMax(rss, at), argMax(utime, at))) AS raw
         FROM process_samples WHERE node = {node:String} GROUP BY ALL
       ) AS a FULL OUTER JOIN (
         SELECT boot, pid, start, time, toString((last_at, rss_min, rss_max, rss_last, utime_last)) AS rollup
         FROM process_samples_1m FINAL WHERE node = {node:String}
       ) AS b USING (boot, pid, start, time) WHERE raw != rollup`,
      { node },
    );
    expect(different).toEqual([]);
  }

  async function play(steps: readonly Step[]): Promise<number> {
    const log = await createMemoryEventLog();
    await log.ensureTopics(TOPICS.map((topic) => ({ ...topic, partitions: 2 })));
    run++;
    const tellers = Array.from({ length: NODES }, (_, index) => new Teller(`twice-${run}-${index}`, run * 7 + index));
    const registry = new Registry();
    let stage: Stage | undefined;
    const start = async (moment?: Checkpoint, after = 0): Promise<() => boolean> => {
      await stage?.drain(50);
      let left = after;
      let died = false;
      stage = startRecord({
        ...{
          log,
          history: test.history,
          logger: silentLogger,
          registry: moment ? new Registry() : registry,
          flushMs: 2,
        },
        retry: { initialMs: 5, maxMs: 50 },
        checkpoint: async (_, name) => {
          if (name !== moment || --left > 0) return;
          died = true;
          await never;
        },
      });
      await stage.ready;
      return () => died;
    };
    try {
      await start('committed', 1e9);
      for (const one of steps) {
        const teller = 'node' in one ? tellers[one.node]! : undefined;
        if (one.do === 'tell') await log.append(teller!.tell(one.rounds));
        else if (one.do === 'repeat') {
          const first = Math.max(0, teller!.sent.length - one.back - one.records);
          await log.append(teller!.sent.slice(first, first + one.records));
        } else if (one.do === 'run') teller!.beginAnew();
        else await start(one.moment, one.after);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      await start();
      await caughtUp(log);
      for (const teller of tellers) await expectExactly(teller);
      return tellers.reduce((sum, { chunks }) => sum + chunks.length, 0);
    } finally {
      await stage?.drain(200);
      await log.close(200);
    }
  }

  it('make one row, whatever is repeated when, and however often the writer dies', { timeout: 300_000 }, async () => {
    const property = fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 25 }), async (steps) => {
      await play(steps);
    });
    await fc.assert(property, { numRuns: 12, endOnFailure: true });
  });

  it('are counted', async () => {
    const log = await createMemoryEventLog();
    await log.ensureTopics(TOPICS);
    const registry = new Registry();
    const stage = startRecord({ log, history: test.history, logger: silentLogger, registry, flushMs: 5 });
    await stage.ready;
    const teller = new Teller('counted-twice', 3);
    const records = teller.tell(6);
    await log.append(records);
    await caughtUp(log);
    await log.append(records);
    await caughtUp(log);
    await expectExactly(teller);
    const text = await registry.metrics();
    const counts = [teller.chunks, teller.heartbeats, teller.findings].map(({ length }) => length);
    RECORDED.forEach((topic, index) => {
      expect(text).toContain(`tidemark_record_repeated_total{topic="${topic}"} ${counts[index]}`);
    });
    await stage.drain(1_000);
    await log.close(200);
  });

  it('are known to a log that begins anew with history as it was', async () => {
    const teller = new Teller('log-anew', 4);
    const records = teller.tell(12);
    for (const part of [records.slice(0, 8), records]) {
      const log = await createMemoryEventLog();
      await log.ensureTopics(TOPICS);
      const stage = startRecord({
        log,
        history: test.history,
        logger: silentLogger,
        registry: new Registry(),
        flushMs: 5,
      });
      await stage.ready;
      await log.append(part);
      await caughtUp(log);
      await stage.drain(1_000);
      await log.close(200);
    }
    await expectExactly(teller);
  });
});

const HEARTBEAT: NodeRecord = {
  ...{ v: 1, node: 'one' as NodeId, boot: 'b', run: 'r', at: 0, state: 'UP', hostname: 'one.example', kernel: '6.1' },
  ...{ architecture: 'x64', cpus: 2, pageSize: 4096, bootedAt: 1, interval: 1_000, processes: 4, limitations: [] },
  collector: {
    ...{
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
    },
    ...{ spooledBytes: 0, droppedBytes: 0, droppedChunks: 0, latenessMs: 0, skippedRounds: 0, clockJumps: 0 },
  },
};

const FINDING: Finding = {
  ...{ v: 1, type: 'finding', id: 'leak-1', kind: 'PROCESS_LEAK', subject: 'one/b/1/1', node: 'one' as NodeId },
  ...{ process: null, service: 'web', state: 'SUSPECTED', previous: 'GROWING', imminent: false, confidence: 1 },
  ...{
    openedAt: 0,
    at: 0,
    bytes: 1,
    limit: null,
    growth: null,
    secondsToExhaustion: null,
    message: 'grows',
    evidence: {},
  },
};
