import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { decodeFindingRecord, decodeSampleChunk, Topic, TOPICS } from '@tidemark/contracts';
import { createMemoryEventLog, type LogRecord } from '@tidemark/event-log';
import { startEmbeddedServer } from '@tidemark/history/embedded';
import { dataDirectory, startStandalone } from './support/standalone.js';
import { until } from './support/until.js';

/** Every run of this test kills at other moments; the seed in its output repeats one. */
const SEED = Number(process.env['TIDEMARK_TEST_SEED'] ?? Date.now() % 1_000_000);
const KILLS = 50;
const data = dataDirectory();
afterAll(() => data.remove());

/** Small seeded generator (mulberry32): the moments of the kills must be repeatable. */
function random(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Children of a process, from the kernel's own list. */
function children(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

function embeddedChild(pid: number): number | undefined {
  return children(pid).find((child) => {
    try {
      return readFileSync(`/proc/${child}/cmdline`, 'utf8').includes('embedded');
    } catch {
      return false;
    }
  });
}

/** All records of a topic, read from the journal by the log itself. */
async function recordsOf(topic: string): Promise<LogRecord[]> {
  const log = await createMemoryEventLog({ journal: { directory: join(data.path, 'log') } });
  try {
    await log.ensureTopics(TOPICS);
    const ends = await log.lag(topic, 'nobody');
    const expected = ends.reduce((sum, { end }) => sum + end, 0);
    const records: LogRecord[] = [];
    const subscription = await log.subscribe({
      topic,
      group: 'audit',
      ephemeral: true,
      from: 'earliest',
      maxInFlightBytes: 2 ** 30,
      assign: (context) => ({
        handle: async (batch) => {
          records.push(...batch);
          context.acknowledge(batch.at(-1)!.offset);
        },
      }),
    });
    await subscription.ready;
    await until('the whole log to be read', () => records.length >= expected);
    expect(records).toHaveLength(expected);
    return records;
  } finally {
    await log.close();
  }
}

describe('the standalone and its embedded history', () => {
  it(`keep everything once, killed ${KILLS} times each (seed ${SEED})`, { timeout: 1_200_000 }, async () => {
    const next = random(SEED);
    const start = () => startStandalone(data.path, '--set', 'collect.interval=100', '--set', 'detect.profile=demo');
    const kills = { standalone: 0, history: 0 };
    while (kills.standalone < KILLS || kills.history < KILLS) {
      const running = await start();
      // Several deaths of the history within one life of the standalone, then the standalone's own.
      for (let n = 0; n < 2 && kills.history < KILLS; n++) {
        await pause(next() * 900);
        const child = embeddedChild(running.process.pid!);
        if (child === undefined) continue;
        process.kill(child, 'SIGKILL');
        kills.history++;
      }
      await pause(next() * 1_500);
      await running.kill('SIGKILL');
      kills.standalone++;
    }
    expect(kills.standalone).toBeGreaterThanOrEqual(KILLS);

    const last = await start();
    await until(
      'the writer to catch up with the log',
      async () => (await fetch(`${new URL(last.url).origin}/health/ready`)).status === 200,
      120_000,
    );
    await pause(3_000);
    expect(await last.kill('SIGTERM')).toEqual({ code: 0, signal: null });
    await compareLogWithHistory();
  });
});

async function compareLogWithHistory(): Promise<void> {
  const chunks = (await recordsOf(Topic.Samples)).map(({ value, headers }) => decodeSampleChunk(value!, headers));
  const findings = (await recordsOf(Topic.Findings)).map(({ value, headers }) => decodeFindingRecord(value!, headers));
  const server = await startEmbeddedServer({ directory: join(data.path, 'history'), port: 0 });
  try {
    const ask = async (sql: string): Promise<unknown[][]> => {
      const { username, password } = server.users.reader;
      const response = await fetch(`${server.url}/?database=tidemark`, {
        method: 'POST',
        headers: { 'X-ClickHouse-User': username, 'X-ClickHouse-Key': password },
        body: `${sql} FORMAT JSONCompact`,
      });
      if (!response.ok) throw new Error(await response.text());
      return ((await response.json()) as { data: unknown[][] }).data;
    };

    const expected = chunks.flatMap(({ procs, boot, at }) =>
      procs.pid.map((pid, row) =>
        [boot, pid, procs.start[row], at, procs.rss?.[row] ?? null, procs.utime?.[row] ?? null].join(' '),
      ),
    );
    const stored = await ask(
      'SELECT boot, pid, start, toUnixTimestamp64Milli(at), rss, utime FROM process_samples ORDER BY ALL',
    );
    const storedRows = stored.map((row) => row.map((cell) => cell ?? '').join(' '));
    expect(expected.length).toBeGreaterThan(1_000);
    expect(storedRows.length).toBe(expected.length);
    expect(storedRows.sort()).toEqual(expected.map((row) => row.replaceAll('null', '')).sort());

    expect(new Set((await ask('SELECT DISTINCT id FROM findings')).map(([id]) => id))).toEqual(
      new Set(findings.filter(({ type }) => type === 'finding').map(({ id }) => id)),
    );
    // The rollups keep extremes and last values, which a doubled row cannot change: they must equal the rows'.
    const different = await ask(`
      SELECT count() FROM (
        SELECT node, boot, pid, start, toStartOfMinute(at) AS time, max(rss) AS high, min(rss) AS low
        FROM process_samples GROUP BY ALL
      ) AS raw
      FULL OUTER JOIN (
        SELECT node, boot, pid, start, time, max(rss_max) AS high, min(rss_min) AS low
        FROM process_samples_1m GROUP BY ALL
      ) AS rolled USING (node, boot, pid, start, time)
      WHERE NOT (raw.high <=> rolled.high AND raw.low <=> rolled.low)`);
    expect(Number(different[0]?.[0])).toBe(0);
  } finally {
    await server.stop();
  }
  // Nothing of ours is left running on the directory.
  expect(readdirSync(data.path)).toEqual(expect.arrayContaining(['history', 'log']));
  expect(execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' })).not.toContain(data.path);
}
