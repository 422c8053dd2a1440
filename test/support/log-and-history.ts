import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { decodeFindingRecord, decodeSampleChunk, Topic, TOPICS } from '@tidemark/contracts';
import { createMemoryEventLog, type LogRecord } from '@tidemark/event-log';
import { startEmbeddedServer } from '@tidemark/history/embedded';
import { until } from './until.js';

/** All records of a topic, read from the journal by the log itself. */
async function recordsOf(directory: string, topic: string): Promise<LogRecord[]> {
  const log = await createMemoryEventLog({ journal: { directory: join(directory, 'log') } });
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

/**
 * Every row that the log of a stopped standalone acknowledged is in its history, once, and the rollups say the same.
 * The oracle is the log's own journal, read from its beginning.
 */
export async function compareLogWithHistory(directory: string): Promise<void> {
  const chunks = (await recordsOf(directory, Topic.Samples)).map(({ value, headers }) =>
    decodeSampleChunk(value!, headers),
  );
  const findings = (await recordsOf(directory, Topic.Findings)).map(({ value, headers }) =>
    decodeFindingRecord(value!, headers),
  );
  const server = await startEmbeddedServer({ directory: join(directory, 'history'), port: 0 });
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
    expect(expected.length).toBeGreaterThan(0);
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
  expect(readdirSync(directory)).toEqual(expect.arrayContaining(['history', 'log']));
  expect(execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' })).not.toContain(directory);
}
