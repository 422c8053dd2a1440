import { encodeAllocationChunk, processKey, Topic, TOPICS, type AllocationChunk } from '@tidemark/contracts';
import { createMemoryEventLog, type EventLog } from '@tidemark/event-log';
import { openTestHistory, type TestHistory } from '@tidemark/history/testing';
import { Registry, silentLogger } from '@tidemark/service';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Stage } from '../stage.js';
import { PROGRAM, recordProgram, SITES } from '../trace/recorded-program.oracle.js';
import type { Checkpoint } from './batch-writer.js';
import { startRecord, type RecordDeps } from './start-record.js';

const CHECKPOINTS: readonly Checkpoint[] = ['cut', 'intent', 'table', 'tables', 'committed'];
const never = new Promise<never>(() => {});
const SECONDS = 130;
const until = (check: () => unknown): Promise<void> =>
  vi.waitFor(async () => void (await check()), { timeout: 60_000, interval: 20 });

describe('the record stage, with allocation chunks', () => {
  let test: TestHistory;
  let log: EventLog;
  let pid = 100;
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

  async function start(over: Partial<RecordDeps> = {}): Promise<void> {
    const deps = { log, history: test.history, logger: silentLogger, registry: new Registry(), flushMs: 20 };
    const stage = startRecord({ ...deps, retry: { initialMs: 10, maxMs: 200 }, ...over });
    stages.push(stage);
    await stage.ready;
  }

  const send = (chunks: readonly AllocationChunk[]): Promise<void> =>
    log.append(chunks.map((chunk) => ({ topic: Topic.Allocations, key: chunk.key, ...encodeAllocationChunk(chunk) })));

  const caughtUp = (): Promise<void> =>
    until(async () => {
      for (const { lag } of await log.lag(Topic.Allocations, 'record')) expect(lag).toBe(0);
    });

  /** The chunks of a program of its own, of just now. */
  async function chunksOfProgram(): Promise<AllocationChunk[]> {
    const own = ++pid;
    const key = processKey(PROGRAM.node, PROGRAM.boot, own, 4000);
    const { looks } = await recordProgram(SECONDS, { pid: own, key }, undefined, Date.now() - SECONDS * 1_000);
    return looks.flat();
  }

  async function expectAll(chunks: readonly AllocationChunk[]): Promise<void> {
    const last = chunks.at(-1)!;
    const { key } = last;
    expect(await test.history.traceOf(key)).toMatchObject({ at: last.at, totals: last.totals, state: 'ACTIVE' });
    const sites = await test.history.tracedSites(key, 'liveBytes', 10);
    expect(sites.map(({ figures: { site, liveCount, allocations } }) => [site, liveCount, allocations])).toEqual([
      [SITES.CACHE, 50, 50],
      [SITES.LEAK, SECONDS, SECONDS],
      [SITES.CHURN, 0, 3 * SECONDS],
    ]);
    expect(sites.map(({ frames }) => frames[0]!.function)).toEqual(['site_4', 'site_2', 'site_3']);
    const atRisk = await test.history.atRisk(key, 1_000);
    expect(atRisk.map(({ site }) => site).filter((site) => site === SITES.LEAK)).toHaveLength(SECONDS);
    expect(atRisk).toHaveLength(SECONDS + 50);
  }

  it('brings them to their tables', async () => {
    const chunks = await chunksOfProgram();
    await start();
    await send(chunks);
    await caughtUp();
    await expectAll(chunks);
  });

  it.each(CHECKPOINTS)('has all of them when it dies after the moment “%s”', async (moment) => {
    const chunks = await chunksOfProgram();
    let died = false;
    await start({
      checkpoint: async (topic, name) => {
        if (topic !== Topic.Allocations || name !== moment) return;
        died = true;
        await never;
      },
    });
    await send(chunks.slice(0, 90));
    await until(() => expect(died).toBe(true));
    await stages.pop()!.drain(50);
    await send(chunks.slice(90));
    await start();
    await caughtUp();
    await expectAll(chunks);
  });

  it('has all of them when the log delivered some twice', async () => {
    const chunks = await chunksOfProgram();
    await start();
    await send(chunks.slice(0, 100));
    await send(chunks.slice(20, 100));
    await send(chunks.slice(100));
    await caughtUp();
    await expectAll(chunks);
  });
});
