import {
  decodeFindingRecord,
  encodeSampleChunk,
  Topic,
  TOPICS,
  type Finding,
  type ProcessKey,
  type SampleChunk,
} from '@tidemark/contracts';
import { createMemoryEventLog, type EventLog } from '@tidemark/event-log';
import { randomSource } from '@tidemark/history/testing';
import { DEMO_PROFILE } from '@tidemark/leak';
import { createSimulatedHost, type SimulatedHost } from '@tidemark/live/simulated-host';
import { Registry, silentLogger } from '@tidemark/service';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { DetectorHistory, KeptMinima, KeptSeries } from './detector-history.js';
import { startDetect, type DetectDeps, type DetectStage } from './start-detect.js';

const MIB = 1024 * 1024;
const T0 = Date.parse('2026-01-31T12:00:00Z');
const ROUNDS = 200;
const KEYFRAME_EVERY = 10;
const HOSTS = 4;
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** What history is to the detector: the newest state by data time, and floors of what was told so far. */
function createKept() {
  const rows = new Map<string, KeptSeries>();
  const floors = new Map<string, Map<string, { pid: number; start: number; minutes: Map<number, number> }>>();
  const history: DetectorHistory = {
    loadSeries: async (node, boot) => [...rows.values()].filter((row) => row.node === node && row.boot === boot),
    async saveSeries(list) {
      await pause(1);
      for (const row of list) {
        const name = `${row.node}/${row.boot}/${row.pid}/${row.start}`;
        if (row.at >= (rows.get(name)?.at ?? 0)) rows.set(name, row);
      }
    },
    loadMinima: async (node, boot) =>
      [...(floors.get(`${node}/${boot}`)?.values() ?? [])].map(({ pid, start, minutes }): KeptMinima => ({
        ...{ pid, start, hour: [] },
        minute: [...minutes].map(([at, bytes]) => ({ at, bytes })),
      })),
  };
  function tell({ node, boot, at, procs }: SampleChunk): void {
    const ofBoot =
      floors.get(`${node}/${boot}`) ?? new Map<string, { pid: number; start: number; minutes: Map<number, number> }>();
    floors.set(`${node}/${boot}`, ofBoot);
    procs.pid.forEach((pid, row) => {
      const bytes = procs.rssAnon?.[row];
      if (bytes === null || bytes === undefined) return;
      const name = `${pid}/${procs.start[row]}`;
      const entry = ofBoot.get(name) ?? { pid, start: procs.start[row]!, minutes: new Map<number, number>() };
      const minute = Math.floor(at / 60_000) * 60_000;
      entry.minutes.set(minute, Math.min(bytes, entry.minutes.get(minute) ?? Infinity));
      ofBoot.set(name, entry);
    });
  }
  return { history, tell, rows };
}

/** A member of the group that can be killed: from then on nothing of what it does arrives anywhere. */
async function startMember(log: EventLog, history: DetectorHistory, times: DetectDeps['times'] = {}) {
  let dead = false;
  const never = new Promise<never>(() => {});
  const alive =
    <A extends unknown[], R>(call: (...given: A) => Promise<R>) =>
    (...given: A): Promise<R> =>
      dead ? never : call(...given);
  const stage: DetectStage = startDetect({
    log: { ...bound(log), append: alive((records) => log.append(records)) },
    history: { ...history, saveSeries: alive((rows) => history.saveSeries(rows)) },
    ...{ profile: DEMO_PROFILE, logger: silentLogger, registry: new Registry() },
    times: { everyMs: 100, lookMs: 10, idleMs: 50, ...times },
  });
  await stage.ready;
  return {
    status: (key: ProcessKey) => stage.status(key),
    drain: () => stage.drain(10_000),
    async kill() {
      dead = true;
      await stage.drain(1);
    },
  };
}

function bound(log: EventLog): EventLog {
  return {
    ensureTopics: (topics) => log.ensureTopics(topics),
    append: (records) => log.append(records),
    subscribe: (options) => log.subscribe(options),
    lag: (topic, group) => log.lag(topic, group),
    metrics: () => log.metrics(),
    close: (deadlineMs) => log.close(deadlineMs),
  };
}

/** One process leaks, one leaks until it ends, one is restarted every minute, one stands still, one breathes. */
function live(host: SimulatedHost, round: number, index: number): void {
  if (round === 0) {
    for (const pid of [1, 2, 4, 5]) host.spawn(pid, { program: `program-${pid}`, service: `service-${pid}` });
    host.setSystem({ memory: { total: 64e9, available: 32e9, used: 32e9, free: 1e9 } });
  }
  if (round % 60 === 0) host.spawn(3, { program: 'program-3', service: 'service-3' });
  const from = 10 + index * 7;
  host.set(1, { rssAnon: (20 + Math.max(0, round - from)) * MIB, swap: 0 });
  if (round === 150 + index) host.exit(2);
  else host.set(2, { rssAnon: (50 + Math.max(0, round - from - 5) * 2) * MIB, swap: 0 });
  host.set(3, { rssAnon: 10 * MIB, swap: 0 });
  host.set(4, { rssAnon: 30 * MIB, swap: 0 });
  host.set(5, { rssAnon: (40 + (round % 4)) * MIB, swap: 0 });
}

type Disturbance = 'kill' | 'drain';

describe('processors that take over from one another', { timeout: 120_000 }, () => {
  let log: EventLog | undefined;
  afterEach(() => log?.close(200));

  /** Lets the hosts live with two members, one of which goes at each of the given rounds. Gives what was told. */
  async function play(disturbances: ReadonlyMap<number, Disturbance>): Promise<Finding[]> {
    log = await createMemoryEventLog({ rebalanceTimeoutMs: 5_000, retry: { initialMs: 5, maxMs: 20 } });
    await log.ensureTopics(TOPICS.map((topic) => ({ ...topic, partitions: 3 })));
    const kept = createKept();
    const members = [await startMember(log, kept.history), await startMember(log, kept.history)];
    const hosts = Array.from({ length: HOSTS }, (_, index) => createSimulatedHost(`host-${index}`));
    for (let round = 0; round < ROUNDS; round++) {
      for (const [index, host] of hosts.entries()) {
        live(host, round, index);
        const chunks = host.round(T0 + round * 1_000, { keyframe: round % KEYFRAME_EVERY === 0 });
        for (const chunk of chunks) kept.tell(chunk);
        await log.append(
          chunks.map((chunk) => ({ topic: Topic.Samples, key: host.node, ...encodeSampleChunk(chunk) })),
        );
      }
      if (round % 5 === 0) await pause(5);
      const disturbance = disturbances.get(round);
      if (!disturbance) continue;
      await members.shift()![disturbance]();
      members.push(await startMember(log, kept.history));
    }
    await caughtUp(log);
    const told = await readFindings(log);
    await Promise.all(members.map((member) => member.drain()));
    await log.close(200);
    return told;
  }

  /** Of each process and service what was said last, and which id that has. */
  function outcome(findings: readonly Finding[]): Map<string, Finding> {
    return new Map(findings.map((finding) => [finding.subject, finding]));
  }

  const isOpen = ({ state }: Finding): boolean => state !== 'CLEARED' && state !== 'STABLE';

  it('say what one would have said: all is handed over when they leave in peace', async () => {
    const undisturbed = await play(new Map());
    const disturbed = await play(new Map([40, 75, 90, 133, 170].map((round) => [round, 'drain'])));
    const [wanted, got] = [outcome(undisturbed), outcome(disturbed)];
    expect([...wanted.values()].filter(({ state }) => state === 'SUSPECTED' || state === 'CONFIRMED')).toHaveLength(
      HOSTS,
    );
    expect([...got.keys()].sort()).toEqual([...wanted.keys()].sort());
    for (const [subject, finding] of wanted) {
      const { id, state } = got.get(subject)!;
      expect({ subject, id, state }).toEqual({ subject, id: finding.id, state: finding.state });
    }
    expect(disturbed.map(nameOf).filter((name, index, all) => all.indexOf(name) !== index)).toEqual([]);
    const first = new Map(disturbed.toReversed().map((finding) => [`${finding.id} ${finding.state}`, finding.at]));
    for (const { id, state, at } of undisturbed) {
      const late = (first.get(`${id} ${state}`) ?? Infinity) - at;
      expect(Math.abs(late), `${id} ${state}`).toBeLessThanOrEqual(KEYFRAME_EVERY * 1_000 * 2);
    }
  });

  it('go on judging while history is away, and know again what was before when it is back', async () => {
    log = await createMemoryEventLog({ retry: { initialMs: 5, maxMs: 20 } });
    const running = log;
    await log.ensureTopics(TOPICS);
    const kept = createKept();
    let away = false;
    const history: DetectorHistory = {
      loadSeries: (node, boot) => (away ? Promise.reject(new Error('away')) : kept.history.loadSeries(node, boot)),
      saveSeries: (rows) => (away ? Promise.reject(new Error('away')) : kept.history.saveSeries(rows)),
      loadMinima: async () => [],
    };
    const host = createSimulatedHost('host-0');
    const judge = async (first: number, last: number): Promise<void> => {
      for (let round = first; round < last; round++) {
        live(host, round, 0);
        const chunks = host.round(T0 + round * 1_000, { keyframe: round % KEYFRAME_EVERY === 0 });
        await running.append(
          chunks.map((one) => ({ topic: Topic.Samples, key: host.node, ...encodeSampleChunk(one) })),
        );
      }
    };
    const before = await startMember(log, history);
    await judge(0, 90);
    await caughtUp(log);
    await before.drain();
    const told = await readFindings(log);
    const suspected = told.find(({ process, state }) => process?.pid === 1 && state === 'SUSPECTED')!;
    expect(suspected).toBeDefined();
    const { key } = suspected.process!;

    away = true;
    const member = await startMember(log, history, { waitForHistoryMs: 100, askAgainMs: 20 });
    const state = (): string | undefined => member.status(key)?.state;
    await judge(90, 101);
    await vi.waitFor(() => expect(state()).toBe('LEARNING'), { timeout: 20_000, interval: 10 });
    away = false;
    for (let round = 101; state() === 'LEARNING' && round < 125; round++) {
      await judge(round, round + 1);
      await pause(50);
    }
    await vi.waitFor(() => expect(state()).toBe('SUSPECTED'), { timeout: 20_000, interval: 10 });
    await caughtUp(log);
    const ids = new Set((await readFindings(log)).filter(({ process }) => process?.pid === 1).map(({ id }) => id));
    expect(ids).toEqual(new Set([suspected.id]));
    await member.drain();
  });

  it.each([1, 2, 3, 4])(
    'lose nothing that was said, and leave nothing open, when they are killed (seed %i)',
    async (seed) => {
      const random = randomSource(seed * 7919);
      const rounds = Array.from({ length: 6 }, () => 5 + Math.floor(random() * (ROUNDS - 40)));
      const disturbed = await play(new Map(rounds.map((round) => [round, random() < 0.7 ? 'kill' : 'drain'])));
      const byId = groupById(disturbed);
      for (const host of Array.from({ length: HOSTS }, (_, index) => `host-${index}`)) {
        const ofHost = disturbed.filter(({ node }) => node === host);
        const open = (pid: number): Finding[] =>
          [...byId.values()]
            .map((all) => newest(all))
            .filter((one) => one.node === host && one.process?.pid === pid && isOpen(one));
        // The leak is known by one name, and what ended is closed.
        expect(
          open(1).map(({ state }) => state),
          `${host} pid 1`,
        ).toEqual([expect.stringMatching(/SUSPECTED|CONFIRMED/)]);
        expect(open(2), `${host} pid 2`).toEqual([]);
        expect(ofHost.filter(({ process }) => process && process.pid > 2)).toEqual([]);
        expect(ofHost.filter(({ process }) => process?.pid === 2).map(({ state }) => state)).toContain('CLEARED');
      }
    },
  );
});

function nameOf({ id, at, state, imminent }: Finding): string {
  return `${id} ${at} ${state} ${imminent}`;
}

function newest(findings: readonly Finding[]): Finding {
  return findings.reduce((last, one) => (one.at >= last.at ? one : last));
}

async function readFindings(log: EventLog): Promise<Finding[]> {
  const ends = await log.lag(Topic.Findings, 'reader');
  const expected = ends.reduce((sum, { end }) => sum + end, 0);
  const findings: Finding[] = [];
  const subscription = await log.subscribe({
    ...{ topic: Topic.Findings, group: 'reader', ephemeral: true, from: 'earliest' },
    assign: (context) => ({
      async handle(records) {
        for (const { value, headers, offset } of records) {
          const record = decodeFindingRecord(value!, headers);
          if (record.type === 'finding') findings.push(record);
          context.acknowledge(offset);
        }
      },
    }),
  });
  await vi.waitFor(() => expect(findings).toHaveLength(expected), { timeout: 20_000, interval: 10 });
  await subscription.drain(1_000);
  return findings;
}

function groupById(findings: readonly Finding[]): Map<string, Finding[]> {
  const groups = new Map<string, Finding[]>();
  for (const finding of findings) groups.set(finding.id, [...(groups.get(finding.id) ?? []), finding]);
  return groups;
}

async function caughtUp(log: EventLog): Promise<void> {
  await vi.waitFor(
    async () => {
      for (const { lag } of await log.lag(Topic.Samples, 'detect')) expect(lag).toBe(0);
    },
    { timeout: 60_000, interval: 20 },
  );
}
