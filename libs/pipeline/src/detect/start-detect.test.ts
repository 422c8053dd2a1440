import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  decodeFindingRecord,
  deadLetterTopic,
  encodeFindingRecord,
  encodeSampleChunk,
  findingKey,
  processKey,
  siteSubject,
  toNodeId,
  Topic,
  TOPICS,
  type Finding,
  type SampleChunk,
} from '@tidemark/contracts';
import { createMemoryEventLog, partitionOf, type EventLog, type LogRecord } from '@tidemark/event-log';
import { DEMO_PROFILE } from '@tidemark/leak';
import { Registry, silentLogger } from '@tidemark/service';
import type { DetectorHistory, KeptSeries } from './detector-history.js';
import { startDetect, type DetectStage } from './start-detect.js';

const MIB = 1024 * 1024;
const NODE = toNodeId('web-1');
const BOOT = 'boot-1';
const T0 = Date.parse('2026-01-31T12:00:00Z');

let log: EventLog;
let stage: DetectStage;
let seq = 0;

beforeEach(async () => {
  seq = 0;
  log = await createMemoryEventLog();
  await log.ensureTopics(TOPICS);
});

afterEach(async () => {
  await stage?.drain(5_000);
  await log.close(5_000);
});

async function detect(history: DetectorHistory | null = null): Promise<DetectStage> {
  stage = startDetect({
    ...{ log, profile: DEMO_PROFILE, history, logger: silentLogger, registry: new Registry() },
    times: { lookMs: 20, idleMs: 20, holdMs: 500, waitForHistoryMs: 2_000 },
  });
  await stage.ready;
  return stage;
}

interface Row {
  pid: number;
  start?: number;
  rssAnon?: number | null;
  swap?: number | null;
}

/** One round: `rows` changed, `facts` introduces processes. */
function chunk(second: number, rows: Row[], more: Partial<SampleChunk> & { introduce?: number[] } = {}): SampleChunk {
  const { introduce = [], ...fields } = more;
  return {
    v: 1,
    node: NODE,
    boot: BOOT,
    run: 'run-1',
    seq: seq++,
    at: T0 + second * 1000,
    keyframe: false,
    part: 0,
    parts: 1,
    procs: {
      pid: rows.map(({ pid }) => pid),
      start: rows.map(({ start }) => start ?? 1),
      rssAnon: rows.map(({ rssAnon }) => rssAnon ?? null),
      swap: rows.map(({ swap }) => swap ?? null),
    },
    facts: {
      pid: introduce,
      start: introduce.map((pid) => rows.find((row) => row.pid === pid)?.start ?? 1),
      startedAt: introduce.map(() => T0),
      program: introduce.map((pid) => `program-${pid}`),
      commandLine: introduce.map(() => null),
      uid: introduce.map(() => 0),
      gid: introduce.map(() => 0),
      user: introduce.map(() => 'root'),
      cgroup: introduce.map(() => '/system.slice/web.service'),
      service: introduce.map(() => 'web.service'),
    },
    exits: { pid: [], start: [] },
    system: second === 0 ? { memory: { total: 64e9, available: 32e9, used: 32e9, free: 1e9 } } : {},
    ...fields,
  };
}

async function send(...chunks: SampleChunk[]): Promise<void> {
  await log.append(chunks.map((one) => ({ topic: Topic.Samples, key: one.node, ...encodeSampleChunk(one) })));
}

/** Everything that a topic holds once the detector has gone through all samples. */
async function settled(topic: string): Promise<LogRecord[]> {
  for (;;) {
    const lags = await log.lag(Topic.Samples, 'detect');
    if (lags.every(({ lag }) => lag === 0)) break;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const ends = await log.lag(topic, 'reader');
  const expected = ends.reduce((sum, { end }) => sum + end, 0);
  const records: LogRecord[] = [];
  const subscription = await log.subscribe({
    topic,
    group: 'reader',
    ephemeral: true,
    from: 'earliest',
    assign: (context) => ({
      handle: async (batch) => {
        records.push(...batch);
        context.acknowledge(batch.at(-1)!.offset);
      },
    }),
  });
  while (records.length < expected) await new Promise((resolve) => setTimeout(resolve, 10));
  await subscription.drain(1_000);
  return records;
}

async function findings(): Promise<Finding[]> {
  const records = await settled(Topic.Findings);
  return records
    .map(({ value, headers }) => decodeFindingRecord(value!, headers))
    .filter((record) => record.type === 'finding');
}

/** A process that grows 1 MiB a second, from second `from` until before `to`. */
function leak(pid: number, from: number, to: number, start?: number): SampleChunk[] {
  return Array.from({ length: to - from }, (_, i) => {
    const second = from + i;
    const row = { pid, rssAnon: (20 + second) * MIB, swap: second === from ? 0 : null, ...(start ? { start } : {}) };
    return chunk(second, [row], second === from ? { introduce: [pid], keyframe: from === 0 } : {});
  });
}

describe('the detect stage', () => {
  it('reports a process that leaks, by name and rate, once per state', async () => {
    await detect();
    await send(...leak(7, 0, 150));
    const all = await findings();
    const suspicion = all.filter(({ state, previous }) => state === 'SUSPECTED' && previous !== 'SUSPECTED');
    expect(suspicion).toHaveLength(1);
    expect(suspicion[0]).toMatchObject({
      kind: 'PROCESS_LEAK',
      subject: processKey(NODE, BOOT, 7, 1),
      node: NODE,
      service: 'web.service',
      process: { pid: 7, program: 'program-7', user: 'root' },
    });
    expect(suspicion[0]!.growth!.bytesPerHour / (3600 * MIB)).toBeCloseTo(1, 1);
    expect(suspicion[0]!.message).toMatch(/^program-7 \(pid 7\) on web-1 is suspected of a leak: grows by 3\.5 GiB\/h/);
    expect(new Set(all.map(({ id }) => id))).toHaveLength(1);
    expect(stage.status(processKey(NODE, BOOT, 7, 1))?.state).toMatch(/SUSPECTED|CONFIRMED/);
  });

  it('sees a leak through swap: what leaves memory still counts', async () => {
    await detect();
    const chunks = Array.from({ length: 150 }, (_, second) =>
      chunk(
        second,
        [{ pid: 7, rssAnon: 50 * MIB, swap: second * MIB }],
        second === 0 ? { introduce: [7], keyframe: true } : {},
      ),
    );
    await send(...chunks);
    expect((await findings()).some(({ state }) => state === 'SUSPECTED')).toBe(true);
  });

  it('keeps the last value of a figure that a chunk does not repeat', async () => {
    await detect();
    await send(
      chunk(0, [{ pid: 7, rssAnon: 2048 * MIB, swap: 0 }], { introduce: [7], keyframe: true }),
      ...Array.from({ length: 150 }, (_, second) => chunk(second + 1, [{ pid: 7 }])),
    );
    expect(await findings()).toEqual([]);
    expect(stage.status(processKey(NODE, BOOT, 7, 1))?.state).toBe('STABLE');
  });

  it('puts a damaged chunk aside with its reason and goes on with the next', async () => {
    await detect();
    const good = leak(7, 0, 150);
    await send(...good.slice(0, 50));
    await log.append([
      { topic: Topic.Samples, key: NODE, value: Buffer.from('{"v":1,'), headers: {} },
      { topic: Topic.Samples, key: NODE, value: Buffer.from('{"v":99}'), headers: {} },
    ]);
    await send(...good.slice(50));
    expect((await findings()).some(({ state }) => state === 'SUSPECTED')).toBe(true);
    const dead = await settled(deadLetterTopic(Topic.Samples));
    expect(dead).toHaveLength(2);
    expect(JSON.stringify(dead.map(({ headers }) => headers))).toContain('version 99');
  });

  it('makes nothing new of chunks that come twice', async () => {
    await detect();
    const chunks = leak(7, 0, 150);
    await send(...chunks);
    const before = await findings();
    await send(...chunks);
    expect(await findings()).toEqual(before);
  });

  it('takes a reused pid for another process', async () => {
    await detect();
    await send(...leak(7, 0, 40), ...leak(7, 40, 80, 4000));
    expect(await findings()).not.toContainEqual(expect.objectContaining({ state: 'SUSPECTED' }));
    expect(stage.status(processKey(NODE, BOOT, 7, 1))).toBeUndefined();
    expect(stage.status(processKey(NODE, BOOT, 7, 4000))).toBeDefined();
  });

  it('forgets processes that exit, and those that a keyframe no longer names', async () => {
    await detect();
    const three = [1, 2, 3].map((pid) => ({ pid, rssAnon: MIB, swap: 0 }));
    await send(
      chunk(0, three, { introduce: [1, 2, 3], keyframe: true }),
      chunk(1, [], { exits: { pid: [1], start: [1] } }),
      chunk(2, [{ pid: 3, rssAnon: MIB }], { introduce: [3], keyframe: true }),
    );
    await findings();
    const known = [1, 2, 3].filter((pid) => stage.status(processKey(NODE, BOOT, pid, 1)));
    expect(known).toEqual([3]);
  });

  it('does not take a keyframe of which a part was lost for the death of those it named', async () => {
    await detect();
    const four = [1, 2, 3, 4].map((pid) => ({ pid, rssAnon: MIB, swap: 0 }));
    const parts = { keyframe: true, parts: 3 };
    await send(
      chunk(0, four, { introduce: [1, 2, 3, 4], keyframe: true }),
      chunk(1, [four[0]!], { ...parts, part: 0 }),
    );
    seq++;
    await send(chunk(1, [four[3]!], { ...parts, part: 2 }));
    await findings();
    expect([1, 2, 3, 4].filter((pid) => stage.status(processKey(NODE, BOOT, pid, 1)))).toHaveLength(4);
  });

  it('goes on where it was after a restart, with what history kept', async () => {
    const kept = new Map<string, KeptSeries>();
    const history: DetectorHistory = {
      loadSeries: async (node, boot) => [...kept.values()].filter((row) => row.node === node && row.boot === boot),
      saveSeries: async (rows) =>
        rows.forEach((row) => kept.set(`${row.node}/${row.boot}/${row.pid}/${row.start}`, row)),
      loadMinima: async () => [],
    };
    const chunks = leak(7, 0, 150);
    await detect(history);
    await send(...chunks.slice(0, 45));
    const before = await findings();
    expect(before.map(({ state }) => state)).toContain('GROWING');
    await stage.drain(5_000);

    await detect(history);
    // The collector names every process again within a minute.
    await send(
      chunk(45, [{ pid: 7, rssAnon: 65 * MIB, swap: 0 }], { introduce: [7], keyframe: true }),
      ...chunks.slice(46).map((one) => ({ ...one, seq: seq++ })),
    );
    const after = (await findings()).slice(before.length);
    expect(after[0]).toMatchObject({ state: 'SUSPECTED', previous: 'GROWING', openedAt: before[0]!.openedAt });
    expect(after[0]!.id).toBe(before[0]!.id);
  });

  it('clears the finding on a process that ended while nobody looked, be it by a reboot', async () => {
    const kept = new Map<string, KeptSeries>();
    const history: DetectorHistory = {
      loadSeries: async (node, boot) => [...kept.values()].filter((row) => row.node === node && row.boot === boot),
      saveSeries: async (rows) =>
        rows.forEach((row) => kept.set(`${row.node}/${row.boot}/${row.pid}/${row.start}`, row)),
      loadMinima: async () => [],
    };
    await detect(history);
    await send(...leak(7, 0, 100), ...leak(8, 100, 200));
    const before = await findings();
    expect(new Set(before.map(({ process }) => process?.pid))).toEqual(new Set([7, 8]));
    await stage.drain(5_000);

    seq = 0;
    await detect(history);
    await send(chunk(300, [{ pid: 9, rssAnon: MIB, swap: 0 }], { boot: 'boot-2', introduce: [9], keyframe: true }));
    const after = (await findings()).slice(before.length);
    expect(after.map(({ id, state, process }) => ({ id, state, pid: process?.pid }))).toEqual([
      { id: before[0]!.id, state: 'CLEARED', pid: 7 },
      { id: before.at(-1)!.id, state: 'CLEARED', pid: 8 },
    ]);
    await send(chunk(360, [{ pid: 9, rssAnon: MIB, swap: 0 }], { boot: 'boot-2', introduce: [9], keyframe: true }));
    expect(await findings()).toHaveLength(before.length + 2);
  });

  it('begins from the floors in the rollups when no state was kept', async () => {
    const asked: string[] = [];
    const history: DetectorHistory = {
      loadSeries: async () => [],
      saveSeries: async () => {},
      loadMinima: async (node, boot) => {
        asked.push(`${node}/${boot}`);
        const minute = Array.from({ length: 60 }, (_, i) => ({ at: T0 - (60 - i) * 60_000, bytes: 5 * MIB }));
        return [{ pid: 7, start: 1, minute, hour: [] }];
      },
    };
    await detect(history);
    await send(chunk(0, [{ pid: 7, rssAnon: 5 * MIB, swap: 0 }], { introduce: [7], keyframe: true }));
    await findings();
    expect(asked).toEqual([`${NODE}/${BOOT}`]);
    expect(stage.status(processKey(NODE, BOOT, 7, 1))?.state).toBe('STABLE');
  });

  it('asks for all nodes of a batch before the first is answered', async () => {
    const partitions = TOPICS.find(({ name }) => name === Topic.Samples)!.partitions;
    const nodes = Array.from({ length: 400 }, (_, index) => toNodeId(`host-${index}`))
      .filter((node) => partitionOf(node, partitions) === 0)
      .slice(0, 10);
    const asked = new Set<string>();
    let answer = (): void => {};
    const allAsked = new Promise<void>((resolve) => (answer = resolve));
    const history: DetectorHistory = {
      // Whoever asks for one node after the other never gets an answer here.
      loadSeries: async (node) => {
        if (asked.add(node).size === nodes.length) answer();
        await allAsked;
        return [];
      },
      saveSeries: async () => {},
      loadMinima: async () => [],
    };
    await send(
      ...nodes.map((node) =>
        chunk(0, [{ pid: 7, rssAnon: MIB, swap: 0 }], { node, introduce: [7], keyframe: true, at: Date.now() }),
      ),
    );
    await detect(history);
    await settled(Topic.Findings);
    expect([...asked].sort()).toEqual([...nodes].sort());
    for (const node of nodes) expect(stage.status(processKey(node, BOOT, 7, 1))).toBeDefined();
  });

  it('judges on when history is away, and waits for it only to remember', async () => {
    let away = 3;
    const history: DetectorHistory = {
      loadSeries: async () => {
        if (away-- > 0) throw Object.assign(new Error('connection refused'), { retriable: true });
        return [];
      },
      saveSeries: async () => Promise.reject(new Error('connection refused')),
      loadMinima: async () => [],
    };
    await detect(history);
    await send(...leak(7, 0, 150));
    expect((await findings()).some(({ state }) => state === 'SUSPECTED')).toBe(true);
  });
});

describe('findings on sites of processes', () => {
  const siteFinding = (pid: number, over: Partial<Finding> = {}): Finding => {
    const key = processKey(over.node ?? NODE, BOOT, pid, 1);
    const subject = siteSubject(key, 'aaaaaaaaaaaaaaaa');
    return {
      ...{ v: 1, type: 'finding', id: `${subject}@${T0}`, kind: 'SITE_LEAK', subject, node: NODE, service: 'server' },
      process: { key, pid, program: 'server', commandLine: null, user: null },
      ...{ site: { id: 'aaaaaaaaaaaaaaaa', frames: ['grow (a.c:3)'] }, state: 'CONFIRMED', previous: 'SUSPECTED' },
      ...{ imminent: false, confidence: 0.9, openedAt: T0, at: T0, bytes: 4096, limit: null, growth: null },
      ...{ secondsToExhaustion: null, message: 'it leaks', evidence: {} },
      ...over,
    };
  };
  const report = (...records: Finding[]) =>
    log.append(records.map((one) => ({ topic: Topic.Findings, key: findingKey(one), ...encodeFindingRecord(one) })));
  const keyframe = (second: number, pids: number[]) =>
    chunk(
      second,
      pids.map((pid) => ({ pid, rssAnon: MIB })),
      { keyframe: true, introduce: pids },
    );

  it('are cleared when a keyframe leaves the process out, whoever reported them and before whatever restart', async () => {
    await report(siteFinding(1), siteFinding(2), siteFinding(3, { state: 'CLEARED' }));
    await report(siteFinding(4, { node: toNodeId('web-2') }));
    await detect();
    await send(keyframe(0, [1]));
    // Until every partition of the findings was read, a keyframe may come too early: the next one makes up for it.
    let second = 60;
    await expect
      .poll(
        async () => {
          await send(keyframe((second += 60), [1]));
          return (await findings()).filter(({ id, state }) => id === siteFinding(2).id && state === 'CLEARED');
        },
        { timeout: 20_000 },
      )
      .toEqual([expect.objectContaining({ previous: 'CONFIRMED', site: siteFinding(2).site })]);
    const all = await findings();
    expect(all.find(({ id, state }) => id === siteFinding(2).id && state === 'CLEARED')!.message).toMatch(
      /^server \(pid 2\) on web-1 ended/,
    );
    for (const pid of [1, 4]) expect(all.filter(({ process }) => process!.pid === pid)).toHaveLength(1);
  });

  it('are cleared after a reboot, and once', async () => {
    await detect();
    await send(keyframe(0, [1]));
    await report(siteFinding(1));
    let second = 0;
    await expect
      .poll(
        async () => {
          await send({ ...keyframe((second += 60), [1]), boot: 'boot-2', run: 'run-2' });
          return (await findings()).map(({ state }) => state);
        },
        { timeout: 20_000 },
      )
      .toEqual(['CONFIRMED', 'CLEARED']);
    for (let more = 0; more < 3; more++) {
      await send({ ...keyframe((second += 60), [1]), boot: 'boot-2', run: 'run-2' });
    }
    expect(await findings()).toHaveLength(2);
  });
});
