import type { TraceRequest } from '@tidemark/alloc-trace';
import {
  controlKey,
  decodeAllocationChunk,
  decodeControlRecord,
  encodeControlRecord,
  processKey,
  siteId,
  Topic,
  TOPICS,
  type AllocationChunk,
  type ControlRecord,
  type NodeId,
  type TraceRequestRecord,
  type TraceStatusRecord,
} from '@tidemark/contracts';
import { createMemoryEventLog, type EventLog, type LogRecord } from '@tidemark/event-log';
import { Registry, silentLogger } from '@tidemark/service';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createFakeProcess, fakeSymbolize, type FakeProcess } from './fake-source.oracle.js';
import { createLogChannel } from './log-channel.oracle.js';
import { startTrace, type TraceDeps, type TraceStage } from './start-trace.js';

const NODE = 'web-1' as NodeId;
const BOOT = 'boot-1';
const START = 4000;
const until = (check: () => unknown): Promise<void> =>
  vi.waitFor(async () => void (await check()), { timeout: 30_000, interval: 10 });

let log: EventLog;
const stages: TraceStage[] = [];
let processes: Map<number, FakeProcess>;
let opened: TraceRequest[];
let records: LogRecord[];

beforeEach(async () => {
  log = await createMemoryEventLog();
  await log.ensureTopics(TOPICS);
  processes = new Map();
  opened = [];
  records = [];
  for (const topic of [Topic.Control, Topic.Allocations]) {
    const assign = () => ({ handle: async (batch: readonly LogRecord[]) => void records.push(...batch) });
    const subscription = await log.subscribe({ topic, group: '', ephemeral: true, from: 'earliest', assign });
    await subscription.ready;
  }
});
afterEach(async () => {
  await Promise.all(stages.splice(0).map((stage) => stage.drain(2_000)));
  await log.close(1_000);
});

async function trace(over: Partial<TraceDeps> = {}): Promise<TraceStage> {
  const stage = startTrace({
    log,
    control: createLogChannel(log),
    node: NODE,
    boot: BOOT,
    openTrace: async (request) => {
      opened.push(request);
      return processes.get(request.pid)!.source;
    },
    symbolize: fakeSymbolize,
    processes: {
      find: (pid) =>
        processes.has(pid) ? { pid, start: START, program: 'server', commandLine: 'server -x' } : undefined,
      anonymousBytes: () => 1_000_000,
    },
    logger: silentLogger,
    registry: new Registry(),
    interval: 10,
    ...over,
  });
  stages.push(stage);
  await stage.ready;
  return stage;
}

function process(pid: number): FakeProcess {
  const fake = createFakeProcess(pid);
  processes.set(pid, fake);
  return fake;
}

const request = (pid: number, over: Partial<TraceRequestRecord> = {}): TraceRequestRecord => ({
  v: 1,
  type: 'trace-request',
  id: `request-${pid}`,
  node: NODE,
  pid,
  start: null,
  action: 'START',
  mode: 'EXACT',
  sampleInterval: null,
  maxFrames: null,
  requestedAt: Date.now(),
  expiresAt: Date.now() + 60_000,
  ...over,
});

const send = (record: ControlRecord): Promise<void> =>
  log.append([{ topic: Topic.Control, key: controlKey(record.node, record.pid), ...encodeControlRecord(record) }]);

const chunks = (): AllocationChunk[] =>
  records
    .filter(({ topic }) => topic === Topic.Allocations)
    .map(({ value, headers }) => decodeAllocationChunk(value!, headers));

const answers = (pid: number): TraceStatusRecord[] =>
  records
    .filter(({ topic, value }) => topic === Topic.Control && value!.byteLength > 20)
    .map(({ value, headers }) => decodeControlRecord(value!, headers))
    .filter((record) => record.type === 'trace-status')
    .filter((record) => record.pid === pid);

describe('the trace stage', () => {
  it('traces a process when asked, tells what it holds, and leaves it alone when asked again', async () => {
    const fake = process(7);
    fake.allocate(3, 5);
    await trace();
    await send(request(7, { start: START, maxFrames: 16 }));
    await until(() => expect(chunks().flatMap(({ stacks }) => stacks)).toHaveLength(1));
    expect(opened).toEqual([{ pid: 7, mode: 'EXACT', maxFrames: 16 }]);
    expect(answers(7)).toEqual([
      expect.objectContaining({
        id: 'request-7',
        state: 'ACTIVE',
        means: 'LIBRARY',
        key: processKey(NODE, BOOT, 7, START),
      }),
    ]);
    const [first] = chunks();
    expect(first).toMatchObject({
      ...{ seq: 0, keyframe: true, state: 'ACTIVE', trace: 'request-7', program: 'server', commandLine: 'server -x' },
      ...{ pid: 7, start: START, anonymousBytes: 1_000_000, survivorsTotal: 5 },
    });
    expect(first!.survivors).toHaveLength(5);
    expect(first!.sites).toMatchObject([{ site: 3, liveCount: 5, liveBytes: 320 }]);

    fake.allocate(3, 1, 1_000);
    fake.free(3);
    await until(() => expect(chunks().at(-1)!.freed).toHaveLength(1));
    const change = chunks().at(-1)!;
    expect(change).toMatchObject({ keyframe: false, sites: [{ site: 3, liveCount: 5, frees: 1 }], stacks: [] });
    expect(change.freed).toEqual([{ address: first!.survivors[0]!.address, time: first!.survivors[0]!.time }]);
    expect(change.survivors).toMatchObject([{ size: 1_000, site: 3 }]);

    await send(request(7, { id: 'request-stop', action: 'STOP' }));
    await until(() => expect(answers(7).at(-1)).toMatchObject({ id: 'request-stop', state: 'STOPPED', code: null }));
    expect(fake.stopped).toBe(true);
    await until(() =>
      expect(chunks().at(-1)).toMatchObject({ state: 'STOPPED', keyframe: true, sites: [{ site: 3 }] }),
    );
    expect(chunks().map(({ seq }) => seq)).toEqual(chunks().map((_, index) => index));
    const [stack] = chunks().at(-1)!.stacks;
    expect(stack!.frames.map((frame) => frame.function)).toEqual(['site_3', 'main']);
    expect(siteId(stack!.frames)).toMatch(/^[0-9a-f]{16}$/);
  });

  it('says why a process cannot be traced, and goes on with others', async () => {
    process(7);
    await trace({
      openTrace: async () => {
        throw Object.assign(new Error('server is linked statically.'), { code: 'TRACE_REFUSED' });
      },
    });
    await send(request(7));
    await send(request(8));
    await send(request(7, { id: 'other', start: START + 1 }));
    await until(() => expect(answers(7)).toHaveLength(2));
    expect(answers(7)[0]).toMatchObject({
      state: 'REFUSED',
      code: 'TRACE_REFUSED',
      reason: 'server is linked statically.',
    });
    expect(answers(7)[1]).toMatchObject({
      state: 'REFUSED',
      code: 'TRACE_GONE',
      reason: expect.stringMatching(/pid 7/),
    });
    expect(answers(8)).toMatchObject([
      { state: 'REFUSED', code: 'TRACE_GONE', key: null, reason: 'No process has the pid 8.' },
    ]);
    expect(chunks()).toEqual([]);
  });

  it('does not hear what is asked of another node, nor what is damaged', async () => {
    process(7);
    await trace();
    await send(request(7, { node: 'web-2' as NodeId }));
    await log.append([{ topic: Topic.Control, key: controlKey(NODE, 7), value: Buffer.from('{"v":1'), headers: {} }]);
    await send(request(7, { id: 'good' }));
    await until(() => expect(answers(7)).toHaveLength(1));
    expect(opened).toHaveLength(1);
  });

  it('answers a request that waited for too long with EXPIRED', async () => {
    process(7);
    await send(request(7, { expiresAt: Date.now() - 1 }));
    await trace();
    await until(() => expect(answers(7)).toMatchObject([{ state: 'EXPIRED', id: 'request-7' }]));
    expect(opened).toEqual([]);
  });

  it('traces no more processes at once than it may', async () => {
    for (const pid of [1, 2, 3]) process(pid);
    const stage = await trace({ maxTraces: 2 });
    for (const pid of [1, 2, 3]) await send(request(pid));
    await until(() => expect([1, 2, 3].every((pid) => answers(pid).length === 1)).toBe(true));
    const states = [1, 2, 3].map((pid) => answers(pid)[0]!.state);
    expect(states.toSorted()).toEqual(['ACTIVE', 'ACTIVE', 'REFUSED']);
    const refused = [1, 2, 3].map((pid) => answers(pid)[0]!).find(({ state }) => state === 'REFUSED');
    expect(refused!.code).toBe('TRACE_BUSY');
    expect(stage.active).toBe(2);
  });

  it('tells the end of a process with the last it left', async () => {
    const fake = process(7);
    fake.allocate(3, 2);
    const stage = await trace();
    await send(request(7));
    await until(() => expect(chunks().length).toBeGreaterThan(0));
    fake.allocate(4, 1);
    fake.end();
    await until(() => expect(answers(7).at(-1)).toMatchObject({ state: 'ENDED', id: 'request-7' }));
    await until(() => expect(chunks().at(-1)).toMatchObject({ state: 'ENDED', keyframe: true }));
    expect(
      chunks()
        .at(-1)!
        .sites.map(({ site }) => site),
    ).toEqual([3, 4]);
    expect(
      chunks()
        .at(-1)!
        .stacks.map(({ site }) => site),
    ).toEqual([3, 4]);
    expect(stage.active).toBe(0);
    expect(fake.stopped).toBe(true);
  });

  it('goes on after a look that failed, and gives up with the reason when all do', async () => {
    const fake = process(7);
    fake.allocate(3, 2);
    await trace();
    await send(request(7));
    await until(() => expect(chunks().length).toBeGreaterThan(0));
    Object.assign(fake, { failure: new Error('busy'), failures: 3 });
    await until(() => expect(fake.failures).toBeLessThan(0));
    fake.allocate(3, 1);
    await until(() => expect(chunks().at(-1)!.sites[0]?.liveCount).toBe(3));
    fake.failures = Infinity;
    fake.failure = Object.assign(new Error('The ring is damaged.'), { code: 'TRACE_FORMAT' });
    await until(() => expect(answers(7).at(-1)).toMatchObject({ state: 'STOPPED', code: 'TRACE_FORMAT' }));
    expect(fake.stopped).toBe(true);
    await until(() => expect(chunks().at(-1)).toMatchObject({ state: 'STOPPED', sites: [{ site: 3, liveCount: 3 }] }));
  });

  it('opens a process once, however often the same is asked, and anew when it is to be traced otherwise', async () => {
    const fake = process(7);
    await trace();
    await send(request(7));
    await send(request(7, { id: 'again' }));
    await until(() => expect(answers(7).at(-1)).toMatchObject({ id: 'again', state: 'ACTIVE' }));
    expect(opened).toHaveLength(1);
    await send(request(7, { id: 'other', mode: 'SAMPLED', sampleInterval: 65_536 }));
    await until(() => expect(answers(7).at(-1)).toMatchObject({ id: 'other', state: 'ACTIVE', mode: 'SAMPLED' }));
    expect(opened[1]).toEqual({ pid: 7, mode: 'SAMPLED', sampleInterval: 65_536 });
    expect(fake.stopped).toBe(true);
    await until(() => expect(chunks().some(({ state }) => state === 'STOPPED')).toBe(true));
    await until(() => expect(chunks().at(-1)).toMatchObject({ trace: 'other' }));
  });

  it('stops what it traces when it drains, with a last chunk and an answer', async () => {
    const fake = process(7);
    fake.allocate(3, 1);
    const stage = await trace();
    await send(request(7));
    await until(() => expect(chunks().length).toBeGreaterThan(0));
    await stage.drain(5_000);
    await until(() => expect(chunks().at(-1)!.state).toBe('STOPPED'));
    await until(() => expect(answers(7).at(-1)!.state).toBe('STOPPED'));
    expect(fake.stopped).toBe(true);
  });

  it('closes again what opens too late', async () => {
    const fake = process(7);
    await trace({
      openTimeoutMs: 20,
      openTrace: () => new Promise((resolve) => setTimeout(() => resolve(fake.source), 200)),
    });
    await send(request(7));
    await until(() => expect(answers(7)).toMatchObject([{ state: 'REFUSED', code: 'TRACE_TIMEOUT' }]));
    await until(() => expect(fake.stopped).toBe(true));
    expect(chunks()).toEqual([]);
  });
});

describe('after the collector was killed', () => {
  const status = (over: Partial<TraceStatusRecord> = {}): TraceStatusRecord => ({
    v: 1,
    type: 'trace-status',
    id: 'request-7',
    node: NODE,
    pid: 7,
    key: processKey(NODE, BOOT, 7, START),
    state: 'ACTIVE',
    means: 'LIBRARY',
    mode: 'EXACT',
    sampleInterval: null,
    maxFrames: 12,
    reason: null,
    code: null,
    at: 1_770_000_000_000,
    ...over,
  });

  it.each([true, false])('a trace that was active goes on, also when compaction took the request: %s', async (gone) => {
    process(7).allocate(3, 1);
    if (!gone) await send(request(7, { maxFrames: 12, expiresAt: Date.now() - 60_000 }));
    await send(status());
    await trace();
    await until(() => expect(chunks().length).toBeGreaterThan(0));
    expect(opened).toEqual([{ pid: 7, mode: 'EXACT', maxFrames: 12 }]);
    expect(chunks()[0]).toMatchObject({ trace: 'request-7', startedAt: 1_770_000_000_000, keyframe: true });
    expect(answers(7)).toHaveLength(1);
  });

  it.each(['STOPPED', 'ENDED', 'REFUSED', 'EXPIRED'] as const)('one that was %s is not begun again', async (state) => {
    process(7);
    process(8);
    await send(request(7));
    await send(status({ state }));
    await trace();
    await send(request(8));
    await until(() => expect(answers(8)).toHaveLength(1));
    expect(opened.map(({ pid }) => pid)).toEqual([8]);
  });

  it.each<[string, Partial<TraceStatusRecord>]>([
    ['whose pid another process has now', { key: processKey(NODE, BOOT, 7, START - 1) }],
    ['of another boot', { key: processKey(NODE, 'boot-0', 7, START) }],
    ['whose pid nobody has', { pid: 70, key: processKey(NODE, BOOT, 70, START) }],
  ])('one %s is told to have ended', async (_, over) => {
    process(7);
    const before = status(over);
    await send(before);
    await trace();
    await until(() => expect(answers(before.pid).at(-1)).toMatchObject({ state: 'ENDED', key: before.key }));
    expect(opened).toEqual([]);
  });

  it('a stop that nobody heard is carried out', async () => {
    process(7);
    await send(status());
    await send(request(7, { id: 'stop', action: 'STOP', expiresAt: 0 }));
    await trace();
    await until(() => expect(answers(7).at(-1)).toMatchObject({ id: 'stop', state: 'STOPPED' }));
    expect(opened).toEqual([]);
  });
});

describe('while the event log is away', () => {
  it('keeps a bounded number of chunks, and makes up for those it dropped with a keyframe that says so', async () => {
    const fake = process(7);
    fake.allocate(3, 1);
    // Room for one look besides the one that is on its way.
    await trace({ bytesPerTrace: 1 });
    await send(request(7));
    await until(() => expect(chunks().length).toBeGreaterThan(0));
    const append = vi.spyOn(log, 'append').mockRejectedValue(new Error('nobody there'));
    const before = fake.looks;
    await until(() => {
      fake.allocate(3, 1);
      expect(fake.looks).toBeGreaterThan(before + 8);
    });
    append.mockRestore();
    await until(() => expect(chunks().at(-1)!.warnings.join()).toMatch(/event log was away: \d+ looks were left out/));
    const kept = chunks();
    const gap = kept.findIndex(({ seq }, index) => index > 0 && seq !== kept[index - 1]!.seq + 1);
    expect(kept[gap]).toMatchObject({ keyframe: true });
    const total = fake.source.observe().then(({ totals }) => totals.liveCount);
    await until(async () => expect(chunks().at(-1)!.totals.liveCount).toBe(await total));
  }, 60_000);

  it('sends an answer when the log is back', async () => {
    process(7);
    await trace();
    await send(request(7));
    await until(() => expect(answers(7)).toHaveLength(1));
    const append = vi.spyOn(log, 'append');
    append.mockRejectedValueOnce(new Error('nobody there'));
    processes.get(7)!.end();
    await until(() => expect(answers(7).at(-1)!.state).toBe('ENDED'));
    expect(append.mock.calls.length).toBeGreaterThan(1);
    append.mockRestore();
  });
});
