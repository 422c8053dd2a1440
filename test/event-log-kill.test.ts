import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { createMemoryEventLog, type CommittedPosition, type EventLog, type LogRecord } from '@tidemark/event-log';
import { beforeAll, expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '..');
const PROGRAM = join(import.meta.dirname, 'event-log', 'append-until-killed.mjs');
const KILLS = 30;

/** What the killed program said it had been acknowledged. */
interface Acknowledged {
  /** By key of `numbers`: the number after the last one appended. */
  appended: Map<string, number>;
  /** By key of `latest`: the last value. */
  replaced: Map<string, number>;
  /** By partition: the position last committed. */
  committed: Map<number, number>;
}

beforeAll(() => {
  // The program runs what is built; this brings it up to date.
  execFileSync(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-b', 'libs/event-log'], {
    cwd: ROOT,
  });
}, 300_000);

/** Runs the program and kills it that long after its first word; what it said is added to `acknowledged`. */
async function runAndKill(argument: object, delayMs: number, acknowledged: Acknowledged): Promise<void> {
  const child = spawn(process.execPath, [PROGRAM, JSON.stringify(argument)], { stdio: ['ignore', 'pipe', 'pipe'] });
  let complaint = '';
  child.stderr.on('data', (text: Buffer) => (complaint += text.toString()));
  const exited = once(child, 'exit');
  let killing: NodeJS.Timeout | undefined;
  try {
    const lines = createInterface({ input: child.stdout });
    for await (const line of lines) {
      const [word, key = '', number] = line.split(' ');
      if (word === 'started') killing = setTimeout(() => child.kill('SIGKILL'), delayMs);
      if (word === 'appended') acknowledged.appended.set(key, Number(number));
      if (word === 'replaced') acknowledged.replaced.set(key, Number(number));
      if (word === 'committed') acknowledged.committed.set(Number(key), Number(number));
    }
  } finally {
    clearTimeout(killing);
    child.kill('SIGKILL');
  }
  expect(await exited, complaint).toEqual([null, 'SIGKILL']);
  expect(complaint).toBe('');
}

async function readAll(log: EventLog, topic: string): Promise<LogRecord[]> {
  const lags = await log.lag(topic, 'nobody');
  const ends = new Map(lags.filter(({ lag }) => lag > 0).map(({ partition, end }) => [partition, end]));
  const records: LogRecord[] = [];
  const view = await log.subscribe({
    topic,
    group: '',
    ephemeral: true,
    from: 'earliest',
    assign: (context) => ({
      async handle(batch) {
        records.push(...batch);
        const last = batch.at(-1)!.offset;
        context.acknowledge(last);
        if (last + 1 >= ends.get(context.partition)!) ends.delete(context.partition);
        await context.commit(last + 1);
      },
    }),
  });
  await expect.poll(() => ends.size, { timeout: 20_000, interval: 5 }).toBe(0);
  await view.drain(1_000);
  return records;
}

async function readPositions(log: EventLog): Promise<Map<number, CommittedPosition | undefined>> {
  const found = new Map<number, CommittedPosition | undefined>();
  const assign = (context: { partition: number; committed: CommittedPosition | undefined }) => {
    found.set(context.partition, context.committed);
    return { handle: () => new Promise<void>(() => {}) };
  };
  const reader = await log.subscribe({ topic: 'numbers', group: 'reader', from: 'earliest', assign });
  await reader.ready;
  await reader.drain(0);
  return found;
}

/** Everything that was acknowledged is there once and in order; gives where each key goes on. */
async function check(directory: string, acknowledged: Acknowledged): Promise<Record<string, number>> {
  const warnings: string[] = [];
  const log = await createMemoryEventLog({ journal: { directory }, onWarning: (line) => warnings.push(line) });
  const next: Record<string, number> = {};
  try {
    const numbers = await readAll(log, 'numbers');
    const offsets = new Map<number, number>();
    for (const { partition, offset, key, value } of numbers) {
      expect(offset, `offset in ${partition}`).toBe(offsets.get(partition) ?? 0);
      offsets.set(partition, offset + 1);
      expect(parseInt(Buffer.from(value!).toString(), 10), `number of ${key}`).toBe(next[key] ?? 0);
      next[key] = (next[key] ?? 0) + 1;
    }
    for (const [key, number] of acknowledged.appended) expect(next[key], key).toBeGreaterThanOrEqual(number);
    const latest = new Map<string, number>();
    for (const { key, value } of await readAll(log, 'latest')) {
      const number = parseInt(Buffer.from(value!).toString(), 10);
      expect(number, `order of ${key}`).toBeGreaterThan(latest.get(key) ?? -1);
      latest.set(key, number);
    }
    for (const [key, number] of acknowledged.replaced) expect(latest.get(key), key).toBeGreaterThanOrEqual(number);
    for (const [key, number] of latest) next[key] = number + 1;
    const positions = await readPositions(log);
    for (const [partition, offset] of acknowledged.committed) {
      const found = positions.get(partition)!;
      expect(found.offset, `position in ${partition}`).toBeGreaterThanOrEqual(offset);
      expect(found.metadata).toBe(`up to ${found.offset}`);
    }
    for (const line of warnings) expect(line).toMatch(/cut off before it was acknowledged; dropped$/);
  } finally {
    await log.close();
  }
  return next;
}

test(
  `what a journal acknowledged is there once and in order after each of ${KILLS} kills`,
  { timeout: 300_000 },
  async () => {
    const directory = await mkdtemp(join(tmpdir(), 'tidemark-kill-'));
    const seed = Number(process.env['TIDEMARK_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
    let state = seed;
    const random = (below: number): number => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return (state / 2 ** 32) * below;
    };
    const acknowledged: Acknowledged = { appended: new Map(), replaced: new Map(), committed: new Map() };
    let next: Record<string, number> = {};
    let kill = 0;
    try {
      for (; kill < KILLS; kill++) {
        await runAndKill({ directory, seed: Math.floor(random(2 ** 31)), next }, random(150), acknowledged);
        // Sometimes the next run finds what the last one left, and is killed in turn.
        if (kill % 3 !== 1) next = await check(directory, acknowledged);
        else for (const [key, number] of acknowledged.appended) next[key] = number;
      }
      next = await check(directory, acknowledged);
      expect(next['a']).toBeGreaterThan(100);
      expect(acknowledged.committed.size).toBeGreaterThan(1);
      const files = await readdir(join(directory, 'topics', 'numbers'), { recursive: true });
      expect(files.filter((file) => file.endsWith('.seg')).length).toBeGreaterThan(3);
    } catch (error) {
      throw new Error(`kill ${kill + 1} of a run with TIDEMARK_SEED=${seed}: ${(error as Error).message}`, {
        cause: error,
      });
    } finally {
      await rm(directory, { recursive: true });
    }
  },
);
