import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createConnection, type Connection } from './connection.js';
import { createHistory } from './history.js';
import { migrate } from './migrate.js';
import { parseMigration, readMigrations } from './migration-files.js';
import { openTestHistory, type TestHistory } from './testing/open-history.js';
import { simulateNode } from './testing/simulated-node.js';
import { sampleBlocks } from './write/sample-blocks.js';

describe('the migration files', () => {
  const directories: string[] = [];
  const withFiles = (files: Record<string, string>): string => {
    const directory = mkdtempSync(join(tmpdir(), 'tidemark-migrations-'));
    directories.push(directory);
    for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
    return directory;
  };
  afterEach(() => {
    for (const directory of directories.splice(0)) rmSync(directory, { recursive: true });
  });
  const table = 'CREATE TABLE IF NOT EXISTS t (a UInt8) ENGINE = Memory;\n';

  it('have the numbers 1 to n, each once', () => {
    const numbers = readMigrations().map(({ number }) => number);
    expect(numbers).toEqual(numbers.map((_, index) => index + 1));
    expect(numbers.length).toBeGreaterThan(0);
  });

  it('are refused when two have one number or one is missing', () => {
    expect(() => readMigrations(withFiles({ '0001_a.sql': table, '0001_b.sql': table }))).toThrow(
      'migration b has number 1, the next one is 2',
    );
    expect(() => readMigrations(withFiles({ '0001_a.sql': table, '0003_c.sql': table }))).toThrow('the next one is 2');
  });

  it('are refused when the name has no number or a statement cannot run twice', () => {
    expect(() => parseMigration('first.sql', table)).toThrow('NNNN_what_it_does.sql');
    expect(() => parseMigration('0001_a.sql', 'CREATE TABLE t (a UInt8) ENGINE = Memory;')).toThrow('cannot run twice');
  });

  it('end statements at a semicolon at the end of a line, outside of comments', () => {
    const { statements } = parseMigration('0001_a.sql', `-- one;\n-- two\n${table}\n${table}`);
    expect(statements).toHaveLength(2);
    expect(statements[0]).toMatch(/^CREATE TABLE .*Memory$/);
  });
});

describe('migrating', () => {
  let test: TestHistory;
  let home: Connection;
  beforeAll(async () => {
    test = await openTestHistory('tidemark', false);
    home = createConnection({ ...test.options, database: 'default' });
  });
  afterAll(async () => {
    await home.close();
    await test.close();
  });
  const own = (database: string): Connection => createConnection({ ...test.options, database });

  it('makes the tables, and nothing more the second time', async () => {
    const first = await test.history.migrate();
    expect(first.applied).toHaveLength(first.version);
    await expect(test.history.migrate()).resolves.toEqual({ applied: [], version: first.version });
    const tables = await test.connection.query<{ name: string }>(
      'SELECT name FROM system.tables WHERE database = currentDatabase()',
    );
    expect(tables.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['process_samples', 'findings', 'leak_states']),
    );
  });

  it('may be done by several at once', async () => {
    const histories = [1, 2, 3].map(() => createHistory({ ...test.options, database: 'at_once' }));
    await Promise.all(histories.map((history) => history.migrate()));
    await expect(histories[0]!.migrate()).resolves.toMatchObject({ applied: [] });
    await Promise.all(histories.map((history) => history.close()));
  });

  it('goes on where a run broke off', async () => {
    const connection = own('broken_off');
    const migrations = readMigrations();
    const [first, second] = migrations;
    await home.command('CREATE DATABASE broken_off');
    await migrate(connection, home, { migrations: [first!] });
    await connection.command(second!.statements[0]!);
    const report = await migrate(connection, home, { migrations });
    expect(report.applied).toHaveLength(migrations.length - 1);
    await connection.close();
  });

  it('refuses in one line a database of a newer version, and one of a changed migration', async () => {
    const connection = own('other_version');
    const migrations = readMigrations();
    await migrate(connection, home, { migrations });
    const older = migrate(connection, home, { migrations: migrations.slice(0, -1) });
    await expect(older).rejects.toMatchObject({ code: 'HISTORY_VERSION', retriable: false });
    await expect(older).rejects.toThrow(/^data directory of another version: [^\n]*0010_compact_parts[^\n]*$/);
    const changed = migrations.map((migration, index) => (index === 2 ? { ...migration, checksum: 'x' } : migration));
    await expect(migrate(connection, home, { migrations: changed })).rejects.toThrow(
      /^data directory of another version: [^\n]*another text of migration 0003_node_samples[^\n]*$/,
    );
    await connection.close();
  });

  it('sets how long the tables keep what, and changes it when asked to', async () => {
    const ttl = async (): Promise<string> => {
      const [row] = await test.connection.query<{ engine_full: string }>(
        "SELECT engine_full FROM system.tables WHERE database = currentDatabase() AND name = 'process_samples_1m'",
      );
      return row?.engine_full ?? '';
    };
    expect(await ttl()).toContain('TTL time + toIntervalDay(30)');
    const shorter = createHistory({ ...test.options, retention: { rawDays: 1, minuteDays: 7, hourDays: 90 } });
    await shorter.migrate();
    expect(await ttl()).toContain('TTL time + toIntervalDay(7)');
    await shorter.close();
    expect(() => createHistory({ ...test.options, retention: { rawDays: 0, minuteDays: 7, hourDays: 90 } })).toThrow(
      'retention rawDays is 0, allowed are whole days from 1 to 3650',
    );
    expect(() => createHistory({ ...test.options, retention: { rawDays: 9, minuteDays: 7, hourDays: 90 } })).toThrow(
      'must not shrink',
    );
  });

  it('remembers tokens on every table that is inserted into, also through views', async () => {
    const without = await test.connection.query<{ name: string }>(
      `SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree'
       AND name != 'schema_migrations' AND engine_full NOT LIKE '%non_replicated_deduplication_window = 1000%'`,
    );
    expect(without).toEqual([]);
  });

  it('lets a writer of the older build go on while a newer one adds to the tables', { timeout: 120_000 }, async () => {
    const connection = own('upgraded');
    await migrate(connection, home);
    const older = createHistory({ ...test.options, database: 'upgraded' });
    const number = readMigrations().length + 1;
    const newer = parseMigration(
      `${String(number).padStart(4, '0')}_of_tomorrow.sql`,
      `ALTER TABLE process_samples ADD COLUMN IF NOT EXISTS tomorrow Nullable(UInt64) CODEC(ZSTD(3));
ALTER TABLE process_samples ADD INDEX IF NOT EXISTS by_tomorrow tomorrow TYPE minmax;
ALTER TABLE process_samples_1m ADD COLUMN IF NOT EXISTS tomorrow_last SimpleAggregateFunction(anyLast, Nullable(UInt64));
CREATE TABLE IF NOT EXISTS tomorrow_samples (node LowCardinality(String), rows SimpleAggregateFunction(sum, UInt64))
ENGINE = AggregatingMergeTree ORDER BY node SETTINGS non_replicated_deduplication_window = 1000;
CREATE MATERIALIZED VIEW IF NOT EXISTS tomorrow_samples_view TO tomorrow_samples AS
SELECT node, toUInt64(1) AS rows FROM process_samples;
`,
    );
    const expected = new Map<string, number>();
    const write = async (round: number): Promise<void> => {
      const node = `node-${round}`;
      const options = { node, from: Date.now() - 5_000, rounds: 4, roundMs: 1_000, processes: 5, seed: round + 1 };
      const { chunks } = simulateNode({ ...options, keyframeEvery: 2 });
      const blocks = sampleBlocks(chunks, () => 1_000 + round);
      const token = { token: `t/${round}` };
      await older.write(blocks, { ...token, again: false });
      // What follows an uncertain try goes through counting and refilling, which read the tables as they are now.
      const { oddities } = await older.write(blocks, { ...token, again: true });
      expect(oddities).toEqual([]);
      expected.set(
        node,
        chunks.reduce((sum, { procs }) => sum + procs.pid.length, 0),
      );
    };
    let round = 0;
    for (; round < 3; round++) await write(round);
    const upgrading = migrate(connection, home, { migrations: [...readMigrations(), newer] });
    for (; round < 8; round++) await write(round);
    await expect(upgrading).resolves.toMatchObject({ applied: ['of_tomorrow'], version: number });
    for (; round < 11; round++) await write(round);
    const stored = await connection.query<{ node: string; rows: number | string }>(
      'SELECT node, count() AS rows FROM process_samples GROUP BY node',
    );
    expect(new Map(stored.map(({ node, rows }) => [node, Number(rows)]))).toEqual(expected);
    const minutes = await connection.query(
      `SELECT * FROM (SELECT node, pid, toStartOfMinute(at) AS time, max(rss) AS most FROM process_samples GROUP BY ALL) AS raw
       FULL JOIN (SELECT node, pid, time, rss_max AS most FROM process_samples_1m FINAL) AS rollup USING (node, pid, time)
       WHERE raw.most != rollup.most`,
    );
    expect(minutes).toEqual([]);
    // It may look, but not begin anew: what it does not know it must not run into.
    await expect(older.preflight('writer')).resolves.toBeUndefined();
    await expect(older.migrate()).rejects.toMatchObject({ code: 'HISTORY_VERSION' });
    await Promise.all([older.close(), connection.close()]);
  });
});
