import {
  deadLetterTopic,
  decodeFindingRecord,
  encodeAllocationChunk,
  encodeFindingRecord,
  findingKey,
  siteId,
  siteSubject,
  Topic,
  TOPICS,
  type AllocationChunk,
  type Finding,
} from '@tidemark/contracts';
import { createMemoryEventLog, type EventLog, type LogRecord } from '@tidemark/event-log';
import { Registry, silentLogger } from '@tidemark/service';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { DetectorHistory, KeptSeries } from '../detect/detector-history.js';
import { PROGRAM, recordProgram, SITES } from '../trace/recorded-program.oracle.js';
import { startMatch, type MatchStage } from './start-match.js';

const { key: KEY, node: NODE, from: T0 } = PROGRAM;
const { LEAK, CHURN, CACHE } = SITES;
const until = (check: () => unknown): Promise<void> =>
  vi.waitFor(async () => void (await check()), { timeout: 30_000, interval: 10 });

let log: EventLog;
let stage: MatchStage;
let findingRecords: LogRecord[];
const stages: MatchStage[] = [];

beforeEach(async () => {
  log = await createMemoryEventLog();
  await log.ensureTopics(TOPICS);
  findingRecords = [];
  const assign = () => ({ handle: async (batch: readonly LogRecord[]) => void findingRecords.push(...batch) });
  const subscription = await log.subscribe({
    ...{ topic: Topic.Findings, group: '', ephemeral: true, from: 'earliest', assign },
  });
  await subscription.ready;
});
afterEach(async () => {
  await Promise.all(stages.splice(0).map((one) => one.drain(500)));
  await log.close(1_000);
});

async function match(history: DetectorHistory | null = null): Promise<MatchStage> {
  const registry = new Registry();
  stage = startMatch({ log, history, logger: silentLogger, registry, commitEveryMs: 0 });
  stages.push(stage);
  await stage.ready;
  return stage;
}

/** Keeps rows as the history does; `freeze` is what a crash looks like from here. */
function createKept() {
  const kept = new Map<string, KeptSeries>();
  let frozen = false;
  const history: DetectorHistory = {
    loadSeries: async (node, boot) => [...kept.values()].filter((row) => row.node === node && row.boot === boot),
    saveSeries: async (rows) => {
      if (frozen) await new Promise<never>(() => {});
      for (const row of rows) kept.set(`${row.node}/${row.boot}/${row.pid}/${row.start}`, row);
    },
    loadMinima: async () => [],
  };
  return { history, kept, freeze: (on: boolean) => (frozen = on) };
}

async function send(...looks: AllocationChunk[][]): Promise<void> {
  await log.append(
    looks.flat().map((chunk) => ({ topic: Topic.Allocations, key: chunk.key, ...encodeAllocationChunk(chunk) })),
  );
}

/** All findings, once every chunk has been matched. */
async function findings(): Promise<Finding[]> {
  await until(() => expect(stage.health().ready).toBe(true));
  const end = (await log.lag(Topic.Allocations, 'reader')).reduce((sum, lag) => sum + lag.end, 0);
  await until(async () => expect(handled()).toBeGreaterThanOrEqual(end));
  const all = (await log.lag(Topic.Findings, 'reader')).reduce((sum, lag) => sum + lag.end, 0);
  await until(() => expect(findingRecords.length).toBe(all));
  return findingRecords
    .map(({ value, headers }) => decodeFindingRecord(value!, headers))
    .filter((record) => record.type === 'finding');
}

let handled: () => number;
/** Findings that the stage has read. */
let followed: () => number;

/** Counts the records that the stage has dealt with. */
function countHandled(): void {
  let [count, findings] = [0, 0];
  const subscribe = log.subscribe.bind(log);
  vi.spyOn(log, 'subscribe').mockImplementation((options) =>
    subscribe({
      ...options,
      async assign(context) {
        const handler = await options.assign(context);
        return {
          handle: async (records) => {
            await handler.handle(records);
            if (options.topic === Topic.Findings) findings += records.length;
            if (options.topic !== Topic.Allocations) return;
            count = Math.max(count, records.at(-1)!.offset + 1);
          },
          close: (reason) => handler.close?.(reason) ?? Promise.resolve(),
        };
      },
    }),
  );
  handled = () => count;
  followed = () => findings;
}

describe('the match stage', () => {
  beforeEach(countHandled);

  it('closes what an earlier trace of the process left open before it tells of the same site anew', async () => {
    const { looks, stacks } = await recordProgram(180);
    const id = siteId(stacks.get(LEAK)!.frames);
    const subject = siteSubject(KEY, id);
    const earlier: Finding = {
      ...{ v: 1, type: 'finding', id: `${subject}@1000`, kind: 'SITE_LEAK', subject, node: NODE, service: 'server' },
      process: { key: KEY, pid: 7, program: 'server', commandLine: null, user: null },
      ...{ site: { id, frames: [] }, state: 'CONFIRMED', previous: 'SUSPECTED', imminent: false, confidence: 1 },
      ...{ openedAt: 1_000, at: 2_000, bytes: 1, limit: null, growth: null, secondsToExhaustion: null },
      ...{ message: 'it leaks', evidence: {} },
    };
    await log.append([{ topic: Topic.Findings, key: findingKey(earlier), ...encodeFindingRecord(earlier) }]);
    await match();
    await until(async () => expect(followed()).toBe(1));
    await send(...looks);
    const all = await findings();
    expect(all.map(({ id: one, state }) => [one === earlier.id, state])).toEqual([
      [true, 'CONFIRMED'],
      [true, 'CLEARED'],
      [false, 'SUSPECTED'],
    ]);
    expect(all[1]).toMatchObject({ subject, previous: 'CONFIRMED', at: all[2]!.at });
  });

  it('names the site that leaks, and neither the one that churns nor the one that holds a cache', async () => {
    const { looks, stacks } = await recordProgram(180);
    await match();
    await send(...looks);
    const all = await findings();
    const id = siteId(stacks.get(LEAK)!.frames);
    expect(all.map(({ state }) => state)).toEqual(['SUSPECTED']);
    expect(all[0]).toMatchObject({
      ...{ kind: 'SITE_LEAK', subject: siteSubject(KEY, id), id: `${siteSubject(KEY, id)}@${T0}`, node: NODE },
      ...{ site: { id, frames: ['site_2 (server.c:32)', 'main (server.c:0)'] }, openedAt: T0, previous: 'LEARNING' },
      process: { key: KEY, pid: 7, program: 'server', commandLine: 'server -x' },
    });
    expect(all[0]!.message).toMatch(
      /^server \(pid 7\) on web-1 is suspected of a leak at site_2 \(server\.c:32\), called from main \(server\.c:0\): grows by /,
    );
    expect(stage.verdict(KEY, LEAK)!.state).toBe('SUSPECTED');
    expect(stage.verdict(KEY, CHURN)!.state).not.toMatch(/SUSPECTED|CONFIRMED/);
    expect(stage.verdict(KEY, CACHE)!.state).not.toMatch(/SUSPECTED|CONFIRMED/);
  });

  it('finds a leak so slow that its site hardly ever changes', async () => {
    const { looks } = await recordProgram(1_500, {}, () => {}, T0, 37);
    await match();
    await send(...looks);
    const all = await findings();
    expect(all.map(({ site }) => site!.frames[0])).toContain('site_2 (server.c:32)');
    expect(new Set(all.map(({ site }) => site!.id)).size).toBe(1);
    expect(all[0]!.at).toBeLessThan(T0 + 1_200_000);
  });

  it('knows what lives at each site, and every allocation that no free was seen of', async () => {
    const { looks } = await recordProgram(100);
    await match();
    await send(...looks);
    await findings();
    const process = stage.process(KEY)!;
    expect(process.sites.get(LEAK)).toMatchObject({ liveCount: 100, liveBytes: 100 * 4_096 });
    expect(process.sites.get(CHURN)).toMatchObject({ liveCount: 0, allocations: 300, frees: 300 });
    expect(process.sites.get(CACHE)).toMatchObject({ liveCount: 50 });
    const unmatched = [...process.survivors.values()];
    expect(unmatched.filter(({ site }) => site === LEAK).map(({ time }) => time)).toEqual(
      Array.from({ length: 100 }, (_, second) => T0 + second * 1_000),
    );
    expect(unmatched.filter(({ site }) => site === CHURN)).toEqual([]);
    expect([...process.stacks.keys()].toSorted()).toEqual([LEAK, CHURN, CACHE]);
  });

  it('says so when a site that was suspected gives everything back', async () => {
    const { looks } = await recordProgram(900, {}, (second, free) => {
      if (second >= 200) for (let count = 0; count < 5; count++) free(LEAK);
    });
    await match();
    await send(...looks);
    const all = await findings();
    expect(all.map(({ state }) => state)).toEqual(['SUSPECTED', 'CLEARED']);
    expect(new Set(all.map(({ id }) => id)).size).toBe(1);
    expect(all[1]!.message).toMatch(/no longer leaks at site_2/);
  });

  it('makes nothing new of chunks that come twice or late, and waits for the keyframe after a gap', async () => {
    const { looks } = await recordProgram(180);
    await match();
    await send(...looks.slice(0, 70), ...looks.slice(30, 70), ...looks.slice(80, 110));
    await findings();
    // Looks 70 to 79 are missing: what came behind them says nothing before the next keyframe.
    expect(stage.process(KEY)!.sites.get(LEAK)!.liveCount).toBe(70);
    await send(...looks.slice(110));
    expect((await findings()).map(({ state }) => state)).toEqual(['SUSPECTED']);
    expect(stage.process(KEY)!.sites.get(LEAK)!.liveCount).toBe(180);
  });

  it('takes the parts of a large look for one, and none of them when one is missing', async () => {
    const { looks } = await recordProgram(3);
    const parts = (chunk: AllocationChunk): AllocationChunk[] =>
      [0, 1, 2].map((part) => ({
        ...chunk,
        ...{ seq: chunk.seq * 3 + part, part, parts: 3 },
        sites: chunk.sites.filter((_, index) => index % 3 === part),
        survivors: chunk.survivors.filter((_, index) => index % 3 === part),
        stacks: part === 0 ? chunk.stacks : [],
        freed: part === 2 ? chunk.freed : [],
      }));
    const [first, second, third] = looks.map(([chunk]) => parts(chunk!));
    await match();
    await send(first!, second!, third!.slice(0, 1), third!.slice(2));
    await findings();
    expect(stage.process(KEY)!.sites.get(LEAK)).toMatchObject({ liveCount: 2 });
    expect([...stage.process(KEY)!.survivors.values()].filter(({ site }) => site === CACHE)).toHaveLength(20);
  });

  it('puts a damaged chunk aside with its reason and goes on with the next', async () => {
    const { looks } = await recordProgram(120);
    await match();
    await send(...looks.slice(0, 60));
    await log.append([{ topic: Topic.Allocations, key: KEY, value: Buffer.from('TMAL\u0001 noise'), headers: {} }]);
    await send(...looks.slice(60));
    await findings();
    expect(stage.process(KEY)!.sites.get(LEAK)!.liveCount).toBe(120);
    const dead = await log.lag(deadLetterTopic(Topic.Allocations), 'reader');
    expect(dead.reduce((sum, { end }) => sum + end, 0)).toBe(1);
  });

  it('judges a trace at its end, and forgets it', async () => {
    const { looks } = await recordProgram(60);
    const last = looks.at(-1)![0]!;
    await match();
    await send(...looks.slice(0, -1), [{ ...last, state: 'ENDED' }]);
    const all = await findings();
    expect(all.map(({ state, subject }) => [state, subject.split('#')[0]])).toEqual([
      ['SUSPECTED', KEY],
      ['CONFIRMED', KEY],
    ]);
    expect(stage.process(KEY)).toBeUndefined();
  });

  it('tells of a suspected site when its stack gets a name, not before', async () => {
    const { looks } = await recordProgram(180);
    const named = looks.map((parts, index) =>
      parts.map((chunk) => (index < 150 ? { ...chunk, stacks: [] } : { ...chunk, stacks: looks[0]![0]!.stacks })),
    );
    await match();
    await send(...named.slice(0, 150));
    expect(await findings()).toEqual([]);
    await send(...named.slice(150));
    expect((await findings()).map(({ state }) => state)).toEqual(['SUSPECTED']);
  });

  it('judges on when history is away, and waits for it only to remember', async () => {
    let away = 3;
    const { looks } = await recordProgram(120);
    await match({
      loadSeries: async () => {
        if (away-- > 0) throw Object.assign(new Error('connection refused'), { retriable: true });
        return [];
      },
      saveSeries: async () => Promise.reject(new Error('connection refused')),
      loadMinima: async () => [],
    });
    await send(...looks);
    expect((await findings()).map(({ state }) => state)).toEqual(['SUSPECTED']);
  });
});

describe('a match stage that is killed', () => {
  const essence = (all: Finding[]): string[] => all.map(({ id, state, at }) => `${id} ${state} ${at}`);

  it.each([5, 45, 61, 90, 119, 121, 170, 230])(
    'at second %d knows after it what it knew, and says nothing else',
    async (at) => {
      const drain = (second: number, free: (site: number) => void): void => {
        if (second >= 200) for (let count = 0; count < 5; count++) free(LEAK);
      };
      const { looks } = await recordProgram(420, {}, drain);
      countHandled();
      const { history, freeze, kept } = createKept();
      await match(history);
      await send(...looks.slice(0, at));
      await findings();
      freeze(true);
      await stage.drain(20);
      freeze(false);

      vi.restoreAllMocks();
      countHandled();
      await match(history);
      await send(...looks.slice(at));
      const all = essence(await findings());
      expect(stage.process(KEY)!.sites.get(CACHE)!.liveCount).toBe(50);
      expect(stage.process(KEY)!.keyframeOffset).toBe(360);
      expect(kept.size).toBe(1);
      vi.restoreAllMocks();

      // The same without a kill, judged by a stage of its own.
      const whole = await uninterrupted(looks);
      expect([...new Set(all)]).toEqual(whole);
    },
  );

  async function uninterrupted(looks: AllocationChunk[][]): Promise<string[]> {
    const [outer, outerStage, outerRecords] = [log, stage, findingRecords];
    log = await createMemoryEventLog();
    await log.ensureTopics(TOPICS);
    findingRecords = [];
    const assign = () => ({ handle: async (batch: readonly LogRecord[]) => void findingRecords.push(...batch) });
    await log.subscribe({ ...{ topic: Topic.Findings, group: '', ephemeral: true, from: 'earliest', assign } });
    countHandled();
    await match(createKept().history);
    await send(...looks);
    const whole = essence(await findings());
    await stage.drain(500);
    await log.close(500);
    [log, stage, findingRecords] = [outer, outerStage, outerRecords];
    return whole;
  }
});
