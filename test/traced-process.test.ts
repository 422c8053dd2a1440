import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createSymbolizer, openTrace, type Symbolizer } from '@tidemark/alloc-trace';
import {
  controlKey,
  decodeControlRecord,
  decodeFindingRecord,
  encodeControlRecord,
  processKey,
  Topic,
  TOPICS,
  type Finding,
  type NodeId,
  type TraceStatusRecord,
} from '@tidemark/contracts';
import { createControlChannel } from '@tidemark/control';
import { createMemoryEventLog, type EventLog, type LogRecord } from '@tidemark/event-log';
import { openTestHistory, type TestHistory } from '@tidemark/history/testing';
import { readBoot, startMatch, startRecord, startTrace, type Stage } from '@tidemark/pipeline';
import { Registry, silentLogger } from '@tidemark/service';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildPreload, clearRings, ringDirectory, root, tracedEnvironment, whyNot } from './support/preload.js';
import { until } from './support/until.js';

const reason = whyNot('tracing of a real process', ['gcc', 'make', 'flock']);
const NODE = 'this-host' as NodeId;

describe.skipIf(reason !== undefined)('a process that runs with the library, dormant', () => {
  let rings: string;
  let program: string;
  let child: ChildProcess;
  let said = '';
  let log: EventLog;
  let test: TestHistory;
  let symbolizer: Symbolizer;
  const stages: Stage[] = [];
  const answers: TraceStatusRecord[] = [];
  const findings: Finding[] = [];

  beforeAll(async () => {
    buildPreload('all');
    rings = ringDirectory();
    program = join(mkdtempSync(join(rings, 'program-')), 'three-sites');
    const source = join(root, 'test/fixtures/three-sites.c');
    execFileSync('gcc', ['-g', '-O1', '-Wall', '-Wextra', '-Werror', '-o', program, source], {
      stdio: ['ignore', 2, 2],
    });
    child = spawn(program, {
      env: tracedEnvironment(rings, { mode: 'dormant' }),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    child.stdout!.on('data', (bytes: Buffer) => (said += bytes.toString()));
    test = await openTestHistory();
    log = await createMemoryEventLog();
    await log.ensureTopics(TOPICS);
    await follow(Topic.Control, ({ value, headers }) => {
      const record = decodeControlRecord(value!, headers);
      if (record.type === 'trace-status') answers.push(record);
    });
    await follow(Topic.Findings, ({ value, headers }) => {
      const record = decodeFindingRecord(value!, headers);
      if (record.type === 'finding') findings.push(record);
    });
    symbolizer = createSymbolizer();
    const deps = { log, logger: silentLogger, registry: new Registry() };
    stages.push(startRecord({ ...deps, history: test.history }), startMatch({ ...deps, history: test.history }));
    stages.push(startTracing());
    await Promise.all(stages.map(({ ready }) => ready));
  }, 240_000);
  afterAll(async () => {
    child?.kill('SIGKILL');
    for (const stage of stages.toReversed()) await stage.drain(5_000);
    await log?.close(1_000);
    await symbolizer?.close();
    await test?.close();
    if (rings) {
      clearRings(rings);
      rmSync(rings, { recursive: true });
    }
  }, 60_000);

  let killed = false;
  const never = new Promise<never>(() => {});

  /** A stage that `killed` stops in the middle of whatever it does, as a kill would: nothing is closed or said. */
  function startTracing(): Stage {
    const isFirst = !stages.some((stage) => 'active' in stage);
    const deps = { log, logger: silentLogger, registry: new Registry() };
    return startTrace({
      ...{ ...deps, node: NODE, boot: readBoot(), control: createControlChannel({ ...deps, node: NODE }) },
      async openTrace(request) {
        const source = await openTrace(request);
        if (!isFirst) return source;
        return {
          ...source,
          observe: () => (killed ? never : source.observe()),
          stop: () => (killed ? never : source.stop()),
        };
      },
      symbolize: (frames) => symbolizer.symbolize(frames),
    });
  }

  async function follow(topic: string, take: (record: LogRecord) => void): Promise<void> {
    const assign = () => ({ handle: async (records: readonly LogRecord[]) => records.forEach(take) });
    await log.subscribe({ topic, group: '', ephemeral: true, from: 'earliest', assign });
  }

  async function ask(id: string, action: 'START' | 'STOP'): Promise<void> {
    const pid = child.pid!;
    await log.append([
      {
        ...{ topic: Topic.Control, key: controlKey(NODE, pid) },
        ...encodeControlRecord({
          ...{ v: 1, type: 'trace-request', id, node: NODE, pid, start: null, action, mode: 'EXACT' },
          ...{ sampleInterval: null, maxFrames: null, requestedAt: Date.now(), expiresAt: Date.now() + 60_000 },
        }),
      },
    ]);
  }

  const leaked = (): number[] => [...said.matchAll(/^leaked (0x[0-9a-f]+)$/gm)].map(([, address]) => Number(address));

  it('is traced when asked, over a kill of the collector, and let go; the site that leaks is found, exactly', async () => {
    await until('the program to be ready', () => said.includes('ready'));
    const pid = child.pid!;
    const start = Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ')[19]);
    const key = processKey(NODE, readBoot(), pid, start);

    await ask('begin', 'START');
    const begun = await until('an answer', () => answers[0]);
    expect(begun).toMatchObject({ id: 'begin', state: 'ACTIVE', means: 'LIBRARY', key, reason: null });
    child.kill('SIGUSR1');

    const finding = await until('a finding', () => findings[0], 120_000);
    expect(finding).toMatchObject({ kind: 'SITE_LEAK', state: 'SUSPECTED', process: { pid, program: 'three-sites' } });
    expect(finding.site!.frames[0]).toMatch(/^leak_row \(three-sites\.c:\d+\)$/);
    expect(finding.message).toMatch(/leak at leak_row \(three-sites\.c:\d+\), called from main/);

    killed = true;
    const next = startTracing();
    stages.push(next);
    await next.ready;

    await until('the end of the leak', () => said.includes('done'), 120_000);
    expect(leaked()).toHaveLength(400);
    await new Promise((resolve) => setTimeout(resolve, 6_000));
    await ask('end', 'STOP');
    await until('an answer', () => answers.find(({ id }) => id === 'end'));
    expect(answers.map(({ id, state }) => [id, state])).toEqual([
      ['begin', 'ACTIVE'],
      ['end', 'STOPPED'],
    ]);
    expect(answers.at(-1)).toMatchObject({ id: 'end', state: 'STOPPED', code: null });
    await until('the history', async () => (await test.history.traceOf(key))?.state === 'STOPPED');

    const sites = await test.history.tracedSites(key, 'liveBytes', 100);
    const site = sites.find(({ id }) => id === finding.site!.id)!;
    expect(site.figures).toMatchObject({ allocations: 400, frees: 0, liveCount: 400, liveBytes: 400_000 });
    expect(site.frames.map((frame) => frame.function).slice(0, 2)).toEqual(['leak_row', 'main']);
    const cache = sites.find(({ frames }) => frames[0]?.function === 'fill_cache')!;
    expect(cache.figures).toMatchObject({ allocations: 50, liveCount: 50, liveBytes: 50 * 4096 });
    const churn = sites.find(({ frames }) => frames[0]?.function === 'churn')!;
    expect(churn.figures).toMatchObject({ allocations: 4_000, frees: 4_000, liveCount: 0, oldFrees: 0 });
    expect(new Set(findings.map((one) => one.site!.frames[0]))).toEqual(new Set(finding.site!.frames.slice(0, 1)));

    const atRisk = (await test.history.atRisk(key, 10_000)).filter(({ siteId }) => siteId === site.id);
    expect(atRisk.slice(0, 32).map(({ address }) => address)).toEqual(leaked().slice(0, 32));
    expect(new Set(atRisk.map(({ size }) => size))).toEqual(new Set([1_000]));
    const { totals, trace, startedAt } = (await test.history.traceOf(key))!;
    expect({ trace, startedAt }).toEqual({ trace: 'begin', startedAt: begun.at });
    expect(totals.recorded + totals.cancelled + totals.dropped).toBe(totals.issued);
    expect(totals.issued).toBe(totals.allocations + totals.frees);
    expect(totals.dropped).toBe(0);
    expect(child.exitCode).toBeNull();
  }, 300_000);
});
