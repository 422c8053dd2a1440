import { randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import {
  deadLetterTopic,
  encodeAllocationChunk,
  encodeFindingRecord,
  encodeNodeRecord,
  encodeSampleChunk,
  processKey,
  toNodeId,
  Topic,
  TOPICS,
  type EncodedRecord,
  type Finding,
} from '@tidemark/contracts';
import {
  createMemoryEventLog,
  DeadLetterHeader,
  type EventLog,
  type LogRecord,
  type OutgoingRecord,
} from '@tidemark/event-log';
import { openTestHistory, type TestHistory } from '@tidemark/history/testing';
import { DEMO_PROFILE } from '@tidemark/leak';
import { createSimulatedHost } from '@tidemark/live/simulated-host';
import { Registry, silentLogger } from '@tidemark/service';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { startDetect } from '../detect/start-detect.js';
import { startMatch } from '../match/start-match.js';
import type { Stage } from '../stage.js';
import { recordProgram } from '../trace/recorded-program.oracle.js';
import { startRecord } from './start-record.js';

const DAY_MS = 86_400_000;
const GOOD = 20;
/** Every group that reads a topic answers for what it cannot read itself: its letters carry its name. */
const READERS: Record<string, string[]> = {
  [Topic.Samples]: ['detect', 'record'],
  [Topic.Nodes]: ['record'],
  [Topic.Findings]: ['record'],
  [Topic.Allocations]: ['match', 'record'],
};

interface Poison {
  kind: string;
  value: Uint8Array;
  headers: Record<string, string>;
  key?: string;
  /** Groups that refuse it, where that is not all. */
  by?: string[];
}

function poisons({ value, headers }: EncodedRecord, far: EncodedRecord): Poison[] {
  const text = (kind: string, json: string): Poison => ({ kind, value: Buffer.from(json), headers: {} });
  const huge = JSON.stringify({
    v: 1,
    node: 'n',
    procs: { pid: Array<number>(100).fill(4e12) },
    parts: 1e15,
    sites: 1e15,
  });
  return [
    text('no JSON', '{"v":1,'),
    text('nothing', ''),
    text('of another version', '{"v":999,"type":"finding","node":"n"}'),
    text('a list', '[]'),
    text('a number', '17'),
    text('nested deeply', '['.repeat(50_000)),
    text('of huge counts', huge),
    { kind: 'no gzip', value: randomBytes(300), headers: { encoding: 'gzip' } },
    { kind: 'of unknown encoding', value, headers: { ...headers, encoding: 'rot13' } },
    { kind: 'cut short', value: value.subarray(0, value.length >> 1), headers: { ...headers } },
    { kind: 'turned over in the middle', value: turned(value), headers: { ...headers } },
    { kind: 'noise', value: randomBytes(100_000), headers: {} },
    { kind: '64 MiB when unpacked', value: gzipSync(Buffer.alloc(64 * 1024 * 1024)), headers: { encoding: 'gzip' } },
    { ...text('without a key', 'no JSON either'), key: '' },
    // Whose clock is off matters to the tables alone.
    { kind: 'of a far-off time', value: far.value, headers: { ...far.headers }, by: ['record'] },
  ];
}

function turned(value: Uint8Array): Uint8Array {
  const other = Uint8Array.from(value);
  for (let index = other.length >> 2; index < other.length; index++) other[index]! ^= 0xff;
  return other;
}

describe('damaged records', { timeout: 240_000 }, () => {
  let test: TestHistory;
  let log: EventLog;
  const stages: Stage[] = [];
  const node = toNodeId('poisoned');
  const from = Date.now() - GOOD * 1_000;
  const good = new Map<string, EncodedRecord[]>();
  const bad = new Map<string, Poison[]>();
  let samples = 0;

  beforeAll(async () => {
    test = await openTestHistory();
    log = await createMemoryEventLog({ retry: { initialMs: 5, maxMs: 20 } });
    await log.ensureTopics(TOPICS);
    await makeRecords();
    const deps = { log, history: test.history, logger: silentLogger };
    stages.push(
      startRecord({ ...deps, registry: new Registry(), flushMs: 50 }),
      startDetect({ ...deps, registry: new Registry(), profile: DEMO_PROFILE }),
      startMatch({ ...deps, registry: new Registry() }),
    );
    await Promise.all(stages.map((stage) => stage.ready));
    for (const topic of Object.keys(READERS)) await log.append(interleaved(topic));
    await vi.waitFor(
      async () => {
        for (const topic of Object.keys(READERS)) {
          for (const { lag } of await log.lag(topic, 'record')) expect(lag).toBe(0);
        }
        for (const { lag } of await log.lag(Topic.Samples, 'detect')) expect(lag).toBe(0);
        expect(log.metrics().deadLettered).toBeGreaterThanOrEqual(letters());
      },
      { timeout: 120_000, interval: 50 },
    );
  }, 240_000);

  afterAll(async () => {
    await Promise.all(stages.map((stage) => stage.drain(2_000)));
    await log?.close(500);
    await test?.close();
  });

  const letters = (): number =>
    [...bad].reduce((sum, [topic, all]) => sum + all.reduce((n, { by }) => n + (by ?? READERS[topic]!).length, 0), 0);

  async function makeRecords(): Promise<void> {
    const host = createSimulatedHost(node);
    const times = Array.from({ length: GOOD }, (_, round) => from + round * 1_000);
    host.spawn(7, { program: 'victim' });
    const chunks = times.flatMap((at, round) => {
      host.set(7, { rssAnon: (10 + round) * 1_048_576, swap: 0, rss: round });
      return host.round(at, { keyframe: round === 0 });
    });
    samples = chunks.reduce((sum, { procs }) => sum + procs.pid.length, 0);
    good.set(Topic.Samples, chunks.map(encodeSampleChunk));
    good.set(
      Topic.Nodes,
      times.map((at) => encodeNodeRecord(host.heartbeat(at))),
    );
    good.set(
      Topic.Findings,
      times.map((at) => encodeFindingRecord({ ...FINDING, node, at })),
    );
    const program = { key: processKey(node, 'boot-1', 7, 1), node, boot: 'boot-1', pid: 7, start: 1 };
    const { looks: recorded } = await recordProgram(GOOD, {}, undefined, from);
    const looks = recorded.flat().map((chunk) => ({ ...chunk, ...program }));
    good.set(Topic.Allocations, looks.map(encodeAllocationChunk));
    const far = Date.now() + 30 * DAY_MS;
    bad.set(
      Topic.Samples,
      poisons(good.get(Topic.Samples)![0]!, encodeSampleChunk({ ...chunks[0]!, node: toNodeId('far'), at: far })),
    );
    bad.set(Topic.Nodes, poisons(good.get(Topic.Nodes)![0]!, encodeNodeRecord(host.heartbeat(far))));
    bad.set(Topic.Findings, poisons(good.get(Topic.Findings)![0]!, encodeFindingRecord({ ...FINDING, node, at: far })));
    const farLook = { ...looks[0]!, key: processKey(toNodeId('far'), 'boot-1', 7, 1), node: toNodeId('far'), at: far };
    bad.set(Topic.Allocations, poisons(good.get(Topic.Allocations)![0]!, encodeAllocationChunk(farLook)));
  }

  /** The good ones in order, the bad ones of the same key between them. */
  function interleaved(topic: string): OutgoingRecord[] {
    const records: OutgoingRecord[] = [];
    const between = [...bad.get(topic)!];
    for (const one of good.get(topic)!) {
      const poison = between.shift();
      if (poison) {
        const { value, headers, key, kind } = poison;
        records.push({ topic, key: key ?? node, value, headers: { ...headers, poison: kind } });
      }
      records.push({ topic, key: node, ...one });
    }
    records.push({ topic, key: 'gone', value: null });
    expect(between).toEqual([]);
    return records;
  }

  async function read(topic: string): Promise<LogRecord[]> {
    const end = (await log.lag(topic, 'nobody')).reduce((sum, one) => sum + one.end, 0);
    const records: LogRecord[] = [];
    const subscription = await log.subscribe({
      ...{ topic, group: 'reader', ephemeral: true, from: 'earliest' },
      assign: (context) => ({
        async handle(some) {
          records.push(...some);
          for (const { offset } of some) context.acknowledge(offset);
        },
      }),
    });
    await vi.waitFor(() => expect(records).toHaveLength(end), { timeout: 20_000 });
    await subscription.drain(500);
    return records;
  }

  it.each(Object.keys(READERS))('of %s are put aside once by each group that cannot read them', async (topic) => {
    const dead = await read(deadLetterTopic(topic));
    const got = dead.map(({ headers }) => `${headers['poison']} by ${headers[DeadLetterHeader.Group]}`);
    const wanted = bad
      .get(topic)!
      .flatMap(({ kind, by }) => (by ?? READERS[topic]!).map((group) => `${kind} by ${group}`));
    expect(got.sort()).toEqual(wanted.sort());
    for (const { headers } of dead) {
      expect(headers[DeadLetterHeader.Topic]).toBe(topic);
      expect(headers[DeadLetterHeader.Reason]).toMatch(/\S/);
    }
  });

  it('take nothing with them: every good record is in its table once', async () => {
    const count = async (sql: string): Promise<number> =>
      Number((await test.connection.query<{ rows: number }>(`SELECT count() AS rows FROM ${sql}`))[0]?.rows);
    expect(await count('process_samples')).toBe(samples);
    expect(await count('heartbeats')).toBe(GOOD);
    expect(await count('findings')).toBeGreaterThanOrEqual(GOOD);
    expect(await count(`findings WHERE id = '${FINDING.id}'`)).toBe(GOOD);
    expect(await count('allocation_traces FINAL')).toBe(1);
    for (const stage of stages) expect(stage.health()).toMatchObject({ live: true, ready: true });
  });
});

const FINDING: Finding = {
  ...{
    v: 1,
    type: 'finding',
    id: 'leak-1',
    kind: 'PROCESS_LEAK',
    subject: 'poisoned/b/1/1',
    node: toNodeId('poisoned'),
  },
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
