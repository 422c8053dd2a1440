import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as fc from 'fast-check';
import { onCluster } from './cluster.js';
import { createConnection, type Connection } from './connection.js';
import { migrate, SCHEMA_MIGRATIONS } from './migrate.js';
import { readMigrations } from './migration-files.js';
import { applyRetention, DEFAULT_RETENTION } from './retention.js';
import { openTestHistory, type TestHistory } from './testing/open-history.js';

const ALL = [SCHEMA_MIGRATIONS, ...readMigrations().flatMap(({ statements }) => statements)];
const onProd = (statement: string): string => onCluster(statement, 'tidemark', 'prod');

describe('a statement for a cluster', () => {
  it.each([
    ['CREATE DATABASE IF NOT EXISTS `tidemark`', "CREATE DATABASE IF NOT EXISTS `tidemark` ON CLUSTER 'prod'"],
    [
      'CREATE TABLE IF NOT EXISTS t\n(\n    a UInt8\n)\nENGINE = MergeTree\nORDER BY a\nSETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000',
      "CREATE TABLE IF NOT EXISTS t ON CLUSTER 'prod'\n(\n    a UInt8\n)\nENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/tidemark/t', '{replica}')\nORDER BY a\nSETTINGS ttl_only_drop_parts = 1, replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 86400",
    ],
    [
      'CREATE TABLE IF NOT EXISTS t (at Date) ENGINE = ReplacingMergeTree(at) ORDER BY tuple()',
      "CREATE TABLE IF NOT EXISTS t ON CLUSTER 'prod' (at Date) ENGINE = ReplacingMergeTree(at) ORDER BY tuple()",
    ],
    [
      'CREATE MATERIALIZED VIEW IF NOT EXISTS v TO t AS\nSELECT 1',
      "CREATE MATERIALIZED VIEW IF NOT EXISTS v ON CLUSTER 'prod' TO t AS\nSELECT 1",
    ],
    ['CREATE VIEW IF NOT EXISTS v AS SELECT 1', "CREATE VIEW IF NOT EXISTS v ON CLUSTER 'prod' AS SELECT 1"],
    ['ALTER TABLE `t` MODIFY TTL a', "ALTER TABLE `t` ON CLUSTER 'prod' MODIFY TTL a"],
    [
      'ALTER TABLE t MODIFY SETTING non_replicated_deduplication_window = 10000',
      "ALTER TABLE t ON CLUSTER 'prod' MODIFY SETTING replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 86400",
    ],
  ])('of %j', (statement, expected) => {
    const wanted = expected.replace(
      ' ENGINE = ReplacingMergeTree(at)',
      " ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/tidemark/t', '{replica}', at)",
    );
    expect(onProd(statement)).toBe(wanted);
  });

  it('is the same text without a cluster, whatever it is', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.constantFrom(...ALL)), (statement) => {
        expect(onCluster(statement, 'tidemark', undefined)).toBe(statement);
      }),
    );
  });

  it('differs from the plain one in the clause, the engine and the window alone', () => {
    for (const statement of ALL) {
      const back = onProd(statement)
        .replace(" ON CLUSTER 'prod'", '')
        .replace(/Replicated(\w*MergeTree)\('[^']*', '\{replica\}'(?:, )?/, '$1(')
        .replace('MergeTree()', 'MergeTree')
        .replace(/replicated_deduplication_window = \d+, replicated_deduplication_window_seconds = \d+/, 'WINDOW');
      expect(back).toBe(statement.replace(/non_replicated_deduplication_window = \d+/, 'WINDOW'));
    }
  });

  it('leaves no table of any migration on one server alone, and no two at one place', () => {
    const tables = ALL.filter((statement) => statement.startsWith('CREATE TABLE')).map(onProd);
    const places = tables.map(
      (statement) => /ENGINE = Replicated\w*MergeTree\('([^']+)', '\{replica\}'/.exec(statement)?.[1],
    );
    expect(places).not.toContain(undefined);
    expect(new Set(places).size).toBe(tables.length);
    for (const statement of ALL.map(onProd)) {
      expect(statement).toContain(" ON CLUSTER 'prod'");
      expect(statement).not.toContain('non_replicated');
    }
  });

  it.each([
    'DROP TABLE t',
    'CREATE TABLE IF NOT EXISTS t (a UInt8) ENGINE = Memory',
    'CREATE TABLE IF NOT EXISTS t (a UInt8) ENGINE = VersionedCollapsingMergeTree(a, b) ORDER BY a',
    'OPTIMIZE TABLE t',
  ])('is refused where it would make half a cluster: %s', (statement) => {
    expect(() => onProd(statement)).toThrow(/no way to run on a cluster|no engine that can be replicated/);
  });
});

describe('on a cluster', () => {
  let test: TestHistory;
  beforeAll(async () => {
    test = await openTestHistory();
  });
  afterAll(() => test.close());

  it("every statement is one for the engine's parser, and reads back as it was meant", async () => {
    const statements = [...ALL, 'CREATE DATABASE IF NOT EXISTS `tidemark`', 'ALTER TABLE `processes` MODIFY TTL month'];
    for (const cluster of ['prod', '{cluster}']) {
      for (const statement of statements) {
        const text = onCluster(statement, 'tidemark', cluster);
        const [row] = await test.connection.query<{ formatted: string }>(
          'SELECT formatQuerySingleLine({text:String}) AS formatted',
          { text },
        );
        expect(row?.formatted.replace(/[`']/g, '')).toContain(`ON CLUSTER ${cluster}`);
        await test.connection.ask(`EXPLAIN AST ${text}`);
      }
    }
  });

  /** A server that takes everything, has no migrations and keeps what it was told. */
  function recorder(cluster?: string): { told: string[]; connection: Connection } {
    const told: string[] = [];
    const options = { ...test.options, database: 'recorded', ...(cluster !== undefined && { cluster }) };
    const real = createConnection(options);
    const connection: Connection = {
      ...real,
      query: async () => [],
      command: async (sql) => void told.push(sql),
    };
    return { told, connection };
  }

  it('migrating and keeping tell every server, and read what was applied when it is here', async () => {
    const { told, connection } = recorder('prod');
    await migrate(connection, connection, { cluster: 'prod' });
    await applyRetention(connection, DEFAULT_RETENTION, 'prod');
    const elsewhere = told.filter((sql) => !sql.includes(" ON CLUSTER 'prod'"));
    expect([...new Set(elsewhere.map((sql) => sql.split(' (')[0]))]).toEqual([
      'SYSTEM SYNC REPLICA `schema_migrations` LIGHTWEIGHT',
      'INSERT INTO schema_migrations',
    ]);
    expect(told.indexOf('SYSTEM SYNC REPLICA `schema_migrations` LIGHTWEIGHT')).toBe(2);
    expect(told.filter((sql) => sql.includes('MODIFY TTL')).length).toBeGreaterThan(10);
    await connection.close();
  });

  it('one server is told the very text of the migrations', async () => {
    const { told, connection } = recorder();
    await migrate(connection, connection);
    expect(told.filter((sql) => !sql.startsWith('INSERT'))).toEqual([
      'CREATE DATABASE IF NOT EXISTS `recorded`',
      ...ALL,
    ]);
    expect(told.join('\n')).not.toMatch(/ON CLUSTER|Replicated|SYNC/);
    await connection.close();
  });

  it('a writer counts what a batch has brought when its replica has caught up', async () => {
    const connection = createConnection({ ...test.options, cluster: 'prod' });
    // The engine knows the statement; there are no replicas to wait for.
    await expect(connection.sync('process_samples')).rejects.toThrow(/process_samples.* is not replicated/);
    await expect(test.connection.sync('process_samples')).resolves.toBeUndefined();
    await connection.close();
  });
});
