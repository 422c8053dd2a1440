import {
  controlKey,
  decodeFindingRecord,
  encodeControlRecord,
  processKey,
  Topic,
  TOPICS,
  type Finding,
  type NodeId,
  type TraceRequestRecord,
} from '@tidemark/contracts';
import { createMemoryEventLog, type EventLog, type LogRecord } from '@tidemark/event-log';
import { openTestHistory, type TestHistory } from '@tidemark/history/testing';
import { SITE_PROFILE } from '@tidemark/leak';
import { Registry, silentLogger } from '@tidemark/service';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { startRecord } from '../record/index.js';
import type { Stage } from '../stage.js';
import { createFakeProcess, fakeSymbolize } from '../trace/fake-source.oracle.js';
import { startTrace } from '../trace/index.js';
import { createLogChannel } from '../trace/log-channel.oracle.js';
import { startMatch } from './start-match.js';

const NODE = 'web-1' as NodeId;
const KEY = processKey(NODE, 'boot-1', 7, 4000);
const [LEAK, CACHE] = [2, 3];
const until = (check: () => unknown): Promise<void> =>
  vi.waitFor(async () => void (await check()), { timeout: 60_000, interval: 25 });

let log: EventLog;
let test: TestHistory;
const stages: Stage[] = [];
const findings: Finding[] = [];

beforeAll(async () => {
  test = await openTestHistory();
  log = await createMemoryEventLog();
  await log.ensureTopics(TOPICS);
  const assign = () => ({
    handle: async (records: readonly LogRecord[]) => {
      for (const { value, headers } of records) {
        const record = decodeFindingRecord(value!, headers);
        if (record.type === 'finding') findings.push(record);
      }
    },
  });
  await log.subscribe({ topic: Topic.Findings, group: '', ephemeral: true, from: 'earliest', assign });
});
afterAll(async () => {
  for (const stage of stages.toReversed()) await stage.drain(2_000);
  await log.close(1_000);
  await test.close();
});

it('a request becomes a trace, a finding that names the site, and rows that outlive the process', async () => {
  const deps = { log, logger: silentLogger, registry: new Registry() };
  const fake = createFakeProcess(7);
  // The same thresholds as ever, but for the time that the first word takes.
  const profile = { ...SITE_PROFILE, learn: 500, every: { minimum: 50, share: 1 / 64 } };
  stages.push(startRecord({ ...deps, history: test.history }));
  stages.push(startMatch({ ...deps, history: test.history, profile }));
  stages.push(
    startTrace({
      ...deps,
      control: createLogChannel(log),
      node: NODE,
      boot: 'boot-1',
      interval: 50,
      openTrace: async () => fake.source,
      symbolize: fakeSymbolize,
      processes: {
        find: (pid) => (pid === 7 ? { pid, start: 4000, program: 'server', commandLine: null } : undefined),
        anonymousBytes: () => 1e7,
      },
    }),
  );
  await Promise.all(stages.map(({ ready }) => ready));

  const request: TraceRequestRecord = {
    ...{ v: 1, type: 'trace-request', id: 'request-1', node: NODE, pid: 7, start: 4000, action: 'START' },
    ...{
      mode: 'EXACT',
      sampleInterval: null,
      maxFrames: null,
      requestedAt: Date.now(),
      expiresAt: Date.now() + 60_000,
    },
  };
  await log.append([{ topic: Topic.Control, key: controlKey(NODE, 7), ...encodeControlRecord(request) }]);
  fake.allocate(CACHE, 50, 10_000);
  const leaking = setInterval(() => fake.allocate(LEAK, 1, 4_096), 10);
  await until(() => expect(findings.length).toBeGreaterThan(0));
  clearInterval(leaking);
  expect(findings[0]).toMatchObject({ kind: 'SITE_LEAK', state: 'SUSPECTED', process: { key: KEY } });
  expect(findings[0]!.site!.frames[0]).toMatch(/^site_2 /);

  fake.end();
  await until(async () => expect(await test.history.traceOf(KEY)).toMatchObject({ state: 'ENDED' }));
  const last = await fake.source.observe();
  await until(async () =>
    expect((await test.history.tracedSites(KEY, 'liveBytes', 10)).map(({ figures }) => figures.liveBytes)).toEqual(
      last.sites.map(({ liveBytes }) => liveBytes).toSorted((a, b) => b - a),
    ),
  );
  const sites = await test.history.tracedSites(KEY, 'liveBytes', 10);
  const leak = sites.find(({ id }) => id === findings[0]!.site!.id)!;
  expect(leak.frames.map((frame) => frame.function)).toEqual(['site_2', 'main']);
  expect(leak.figures).toMatchObject({
    site: LEAK,
    liveCount: last.sites.find(({ site }) => site === LEAK)!.liveCount,
  });
  const atRisk = await test.history.atRisk(KEY, 10_000);
  expect(new Set(atRisk.map(({ address }) => address))).toEqual(new Set(last.survivors.map(({ address }) => address)));
  await until(async () => {
    const stored = await test.history.findings({ kinds: ['SITE_LEAK'] }, null, 10);
    expect(stored.map(({ finding }) => finding.site?.id)).toEqual([leak.id]);
  });
  expect(findings.every(({ site }) => site!.id === leak.id)).toBe(true);
}, 120_000);
