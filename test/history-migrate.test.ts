import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createHistory } from '@tidemark/history';
import { openTestHistory, type TestHistory } from '@tidemark/history/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startFaultyProxy, type FaultyProxy } from './support/faulty-proxy.js';
import { until } from './support/until.js';

/** Migrators that start at the same time, each of which dies at another statement. */
const AT_ONCE = 8;

describe('migrating an empty database', () => {
  let test: TestHistory;
  let proxies: FaultyProxy[];
  /** What one undisturbed run makes, and the requests it takes. */
  let wanted: unknown;
  let statements: number;

  beforeAll(async () => {
    test = await openTestHistory('undisturbed', false);
    proxies = await Promise.all(Array.from({ length: AT_ONCE }, () => startFaultyProxy(test.options.url)));
    proxies[0]!.fault = undefined;
    await migrate('undisturbed', proxies[0]!);
    statements = proxies[0]!.requests();
    wanted = await schema('undisturbed');
  });
  afterAll(async () => {
    await Promise.all(proxies.map((proxy) => proxy.close()));
    await test.close();
  });

  async function migrate(database: string, proxy?: FaultyProxy): Promise<void> {
    const history = createHistory({ ...test.options, database, ...(proxy && { url: proxy.url }) });
    await history.migrate().finally(() => history.close());
  }

  /** Everything that the server knows of the database's tables, without the database's name. */
  async function schema(database: string): Promise<unknown> {
    const read = (sql: string): Promise<object[]> => test.connection.query(sql, { database });
    const tables = await read(
      `SELECT name, engine, replaceAll(engine_full, {database:String}, 'db') AS engine_full, sorting_key, partition_key,
         replaceAll(as_select, {database:String}, 'db') AS as_select
       FROM system.tables WHERE database = {database:String} ORDER BY name`,
    );
    const columns = await read(
      `SELECT table, name, type, position, default_expression, compression_codec FROM system.columns
       WHERE database = {database:String} ORDER BY table, position`,
    );
    const applied = await read(
      `SELECT DISTINCT number, name, checksum FROM \`${database}\`.schema_migrations ORDER BY ALL`,
    );
    return { tables, columns, applied };
  }

  it(
    'ends as one run would, when several do it at once and each is killed at a statement, whichever',
    { timeout: 600_000 },
    async () => {
      expect(statements).toBeGreaterThan(40);
      // One dies before its statement has run, another after: neither is told.
      const deaths = Array.from({ length: statements }, (_, at) => at);
      for (let first = 0; first < deaths.length; first += AT_ONCE) {
        const database = `killed_at_${first}`;
        const runs = deaths.slice(first, first + AT_ONCE).map((at, index) => {
          const proxy = proxies[index]!;
          proxy.passed = at;
          proxy.fault = { kind: at % 2 === 0 ? 'refuse' : 'cut' };
          return migrate(database, proxy);
        });
        const ends = await Promise.allSettled(runs);
        // Those that found less to do than one alone may end before their statement comes.
        expect(ends.some(({ status }) => status === 'rejected')).toBe(true);
        for (const proxy of proxies) proxy.fault = undefined;
        await migrate(database);
        expect(await schema(database)).toEqual(wanted);
        await test.connection.command(`DROP DATABASE \`${database}\``);
      }
    },
  );

  it('ends as one run would, when processes do it at once and one is killed', { timeout: 120_000 }, async () => {
    const database = 'by_processes';
    const start = (url: string): ChildProcess => {
      const { username, password } = test.options;
      const set = Object.entries({ url, database, username }).flatMap(([key, value]) => [
        '--set',
        `history.${key}=${value}`,
      ]);
      return spawn(process.execPath, ['tools/clickhouse/migrate.mjs', ...set], {
        env: { ...process.env, TIDEMARK_HISTORY_PASSWORD: password },
        stdio: 'ignore',
      });
    };
    const proxy = proxies[0]!;
    proxy.fault = undefined;
    const victim = start(proxy.url);
    await until('the victim to be in the middle', () => proxy.requests() >= statements / 2);
    victim.kill('SIGKILL');
    const others = [1, 2, 3].map(() => start(test.options.url));
    const codes = await Promise.all(others.map(async (child) => (await once(child, 'exit'))[0] as number | null));
    expect(codes).toEqual([0, 0, 0]);
    expect(await schema(database)).toEqual(wanted);
  });
});
