import {
  decodeFindingRecord,
  encodeAllocationChunk,
  processKey,
  Topic,
  TOPICS,
  type AllocationChunk,
  type Finding,
} from '@tidemark/contracts';
import { createMemoryEventLog, type EventLog } from '@tidemark/event-log';
import { randomSource } from '@tidemark/history/testing';
import { Registry, silentLogger } from '@tidemark/service';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { DetectorHistory, KeptSeries } from '../detect/detector-history.js';
import { PROGRAM, recordProgram } from '../trace/recorded-program.oracle.js';
import { startMatch } from './start-match.js';

const SECONDS = 200;
const PIDS = [7, 8, 9];
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function createKept(): DetectorHistory {
  const kept = new Map<string, KeptSeries>();
  return {
    loadSeries: async (node, boot) => [...kept.values()].filter((row) => row.node === node && row.boot === boot),
    saveSeries: async (rows) => {
      for (const row of rows) {
        const name = `${row.node}/${row.boot}/${row.pid}/${row.start}`;
        if (row.at >= (kept.get(name)?.at ?? 0)) kept.set(name, row);
      }
    },
    loadMinima: async () => [],
  };
}

/** A member that can be killed: from then on nothing of what it does arrives anywhere. */
async function startMember(log: EventLog, history: DetectorHistory) {
  let dead = false;
  const never = new Promise<never>(() => {});
  const stage = startMatch({
    log: {
      ensureTopics: (topics) => log.ensureTopics(topics),
      append: (records) => (dead ? never : log.append(records)),
      subscribe: (options) => log.subscribe(options),
      lag: (topic, group) => log.lag(topic, group),
      metrics: () => log.metrics(),
      close: (deadlineMs) => log.close(deadlineMs),
    },
    history: { ...history, saveSeries: (rows) => (dead ? never : history.saveSeries(rows)) },
    ...{ logger: silentLogger, registry: new Registry(), commitEveryMs: 5 },
  });
  await stage.ready;
  return {
    at: (key: AllocationChunk['key']) => stage.process(key)?.newest.at ?? 0,
    drain: () => stage.drain(10_000),
    async kill() {
      dead = true;
      await stage.drain(1);
    },
  };
}

type Disturbance = 'kill' | 'drain';

describe('matchers that take over from one another', { timeout: 120_000 }, () => {
  let log: EventLog | undefined;
  afterEach(() => log?.close(200));

  async function play(disturbances: ReadonlyMap<number, Disturbance>): Promise<Finding[]> {
    log = await createMemoryEventLog({ rebalanceTimeoutMs: 5_000, retry: { initialMs: 5, maxMs: 20 } });
    await log.ensureTopics(TOPICS.map((topic) => ({ ...topic, partitions: 3 })));
    const history = createKept();
    const members = [await startMember(log, history), await startMember(log, history)];
    const keys = PIDS.map((pid) => processKey(PROGRAM.node, PROGRAM.boot, pid, 4000));
    const programs = await Promise.all(
      PIDS.map((pid, index) =>
        recordProgram(SECONDS, { pid, start: 4000, key: keys[index]! }, undefined, PROGRAM.from),
      ),
    );
    for (let second = 0; second < SECONDS; second++) {
      const chunks = programs.flatMap(({ looks }) => looks[second] ?? []);
      await log.append(
        chunks.map((chunk) => ({ topic: Topic.Allocations, key: chunk.key, ...encodeAllocationChunk(chunk) })),
      );
      if (second % 10 === 0) await pause(5);
      const disturbance = disturbances.get(second);
      if (!disturbance) continue;
      await members.shift()![disturbance]();
      members.push(await startMember(log, history));
    }
    const lastOf = (index: number): number => programs[index]!.looks.at(-1)!.at(-1)!.at;
    await vi.waitFor(
      () => {
        for (const [index, key] of keys.entries()) {
          expect(members.some((member) => member.at(key) === lastOf(index))).toBe(true);
        }
      },
      { timeout: 60_000, interval: 10 },
    );
    const told = await readFindings(log);
    await Promise.all(members.map((member) => member.drain()));
    await log.close(200);
    return told;
  }

  it.each([0, 1, 2, 3, 4])('say what one would have said, however they end (seed %i)', async (seed) => {
    const random = randomSource(seed * 104_729 + 1);
    const seconds = Array.from({ length: 6 }, () => 5 + Math.floor(random() * (SECONDS - 10)));
    const ends = new Map(seconds.map((second) => [second, seed > 0 && random() < 0.7 ? 'kill' : 'drain'] as const));
    const [undisturbed, disturbed] = [await play(new Map()), await play(ends)];
    const outcome = (findings: readonly Finding[]): string[] =>
      [...new Map(findings.map(({ id, state }) => [id, `${id} ${state}`])).values()].sort();
    expect(undisturbed.length).toBeGreaterThanOrEqual(PIDS.length);
    expect(outcome(disturbed)).toEqual(outcome(undisturbed));
    // What is told again after a kill is told as it was: history leaves the copy out.
    const names = (findings: readonly Finding[]): string[] => [
      ...new Set(findings.map(({ id, state, previous }) => `${id} ${previous} ${state}`)),
    ];
    expect(names(disturbed).sort()).toEqual(names(undisturbed).sort());
  });
});

async function readFindings(log: EventLog): Promise<Finding[]> {
  const expected = (await log.lag(Topic.Findings, 'reader')).reduce((sum, { end }) => sum + end, 0);
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
