import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEmbeddedServer, type EmbeddedServer } from '@tidemark/history/embedded';
import { HISTORY_ROLES, historyGrants } from '@tidemark/history';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { userStatements } from '../tools/clickhouse/users.mjs';

const run = (tool: string, ...args: string[]): string =>
  execFileSync(process.execPath, [`tools/clickhouse/${tool}.mjs`, ...args], { encoding: 'utf8', stdio: 'pipe' });

/** ClickHouse's numbers of errors: all is well but for the place where users would be kept; there is no such user, no such profile. */
const NO_STORAGE = ['514', '495'];
const NO_USER = ['192', '511'];
const NO_PROFILE = '180';

describe('the users of a ClickHouse server', () => {
  let directory: string;
  let server: EmbeddedServer;
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'tidemark-users-'));
    server = await startEmbeddedServer({ directory: join(directory, 'data'), port: 0 });
  });
  afterAll(async () => {
    await server.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  /** The engine's number of what is wrong with the statement; empty when it ran. */
  async function fault(sql: string): Promise<string> {
    const { username, password } = server.users.admin;
    const authorization = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
    const answer = await fetch(server.url, { method: 'POST', body: sql, headers: { authorization } });
    await answer.text();
    return answer.headers.get('x-clickhouse-exception-code') ?? '';
  }

  const hashes = Object.fromEntries(
    HISTORY_ROLES.map((role) => [role, createHash('sha256').update(role).digest('hex')]),
  );

  it('are made by statements that the engine takes, but for its lack of a place to keep users', async () => {
    const statements = userStatements({ database: 'tidemark', hashes });
    expect(statements.length).toBeGreaterThan(3 * HISTORY_ROLES.length);
    for (const statement of statements) {
      expect([statement, await fault(statement)]).toEqual([
        statement,
        expect.toBeOneOf([...NO_STORAGE, ...NO_USER, NO_PROFILE]),
      ]);
    }
  });

  it('are made on every server of a cluster by statements that the engine can parse', async () => {
    const one = userStatements({ database: 'tidemark', hashes });
    const all = userStatements({ database: 'tidemark', hashes, cluster: '{cluster}' });
    for (const statement of all) {
      expect(statement).toContain(" ON CLUSTER '{cluster}'");
      expect([statement, await fault(`EXPLAIN AST ${statement}`)]).toEqual([statement, '']);
    }
    const bare = all.map((statement) => statement.replace(" ON CLUSTER '{cluster}'", ''));
    expect(bare.filter((statement) => !one.includes(statement))).toEqual([
      'GRANT SYSTEM SYNC REPLICA ON `tidemark`.* TO tidemark_migrator',
      'GRANT CLUSTER ON *.* TO tidemark_migrator',
      'GRANT SYSTEM SYNC REPLICA ON `tidemark`.* TO tidemark_writer',
    ]);
  });

  it('get the rights of their roles and no others', () => {
    const granted = userStatements({ database: 'other' }).filter((statement) => statement.startsWith('GRANT'));
    expect(granted).toEqual(
      HISTORY_ROLES.flatMap((role) =>
        historyGrants(role, 'other', false).map(({ right, on }) => `GRANT ${right} ON ${on} TO tidemark_${role}`),
      ),
    );
  });

  it('have no password until one is given, and the server refuses what stands in its place', async () => {
    const made = run('users')
      .split(';\n')
      .filter((statement) => statement.startsWith('CREATE USER'));
    expect(made).toHaveLength(HISTORY_ROLES.length);
    for (const statement of made) expect([statement, await fault(statement)]).toEqual([statement, '36']);
  });

  it('get the hash of a password in a file, which is told nowhere', () => {
    const file = join(directory, 'password');
    writeFileSync(file, 'not for eyes\n');
    const told = run('users', '--password', `writer=${file}`, '--role', 'writer');
    expect(told).toContain(`sha256_hash BY '${createHash('sha256').update('not for eyes').digest('hex')}'`);
    expect(told).not.toContain('not for eyes');
  });

  it.each([
    [['--role', 'root'], '--role root: must be one of migrator, writer'],
    [['--password', 'writer'], '--password writer: must be ROLE=FILE'],
    [['--password', 'writer=/dev/null'], '/dev/null is empty'],
    [['--database', 'a.b'], 'must be letters, digits'],
    [['--cluster', "a' "], '--cluster a'],
  ])('are refused with what is wrong: %j', (args, message) => {
    expect(() => run('users', ...args)).toThrow(message);
  });

  it('need not be the writer to migrate: a command does it, again and again', () => {
    const { username, password } = server.users.admin;
    const file = join(directory, 'admin');
    writeFileSync(file, password);
    const settings = { url: server.url, username, passwordFile: file, database: 'by_command' };
    const args = Object.entries(settings).flatMap(([key, value]) => ['--set', `history.${key}=${value}`]);
    expect(run('migrate', ...args)).toMatch(
      /^history database by_command has migration \d+: applied process_samples, /,
    );
    expect(run('migrate', ...args)).toMatch(/^history database by_command has migration \d+: nothing to apply\n$/);
    expect(() => run('migrate', ...args, '--set', 'history.url=http://127.0.0.1:1')).toThrow('ECONNREFUSED');
  });
});
