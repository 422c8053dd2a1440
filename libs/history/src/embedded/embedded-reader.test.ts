import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startEmbeddedServer, type EmbeddedServer } from './index.js';

let directory = '';
let server: EmbeddedServer;
/** Stands for what a reader must not reach over the network. */
let outside: Server;
let outsideRequests = 0;
let outsideUrl = '';

async function ask(sql: string, parameters: Record<string, string> = {}, as: 'admin' | 'reader' = 'reader') {
  const url = new URL(server.url);
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  const { username, password } = server.users[as];
  const headers = { 'X-ClickHouse-User': username, 'X-ClickHouse-Key': password };
  const response = await fetch(url, { method: 'POST', body: sql, headers });
  return {
    status: response.status,
    code: Number(response.headers.get('x-clickhouse-exception-code') ?? 0),
    body: await response.text(),
  };
}

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'tidemark-reader-'));
  server = await startEmbeddedServer({ directory, port: 0 });
  outside = createServer((_, response) => {
    outsideRequests += 1;
    response.end('1\n');
  });
  await new Promise<void>((resolve) => outside.listen(0, '127.0.0.1', resolve));
  outsideUrl = `http://127.0.0.1:${(outside.address() as AddressInfo).port}/bucket/x.csv`;
  for (const sql of [
    'CREATE DATABASE kept',
    'CREATE TABLE kept.t (a UInt8) ENGINE = MergeTree ORDER BY a',
    'INSERT INTO kept.t VALUES (1)',
    'CREATE TABLE default.hidden (a UInt8) ENGINE = MergeTree ORDER BY a',
  ]) {
    expect(await ask(sql, {}, 'admin')).toMatchObject({ status: 200 });
  }
});
afterAll(async () => {
  outside.close();
  await server.stop();
  rmSync(directory, { recursive: true, force: true });
});

describe('a reader', () => {
  it('reads tables, and asks what there is', async () => {
    expect(await ask('SELECT a FROM kept.t')).toMatchObject({ status: 200, body: '1\n' });
    expect(await ask('SELECT count() FROM t', { database: 'kept' })).toMatchObject({ body: '1\n' });
    expect(await ask("SELECT name FROM system.tables WHERE database = 'kept'")).toMatchObject({ body: 't\n' });
    expect(await ask('DESCRIBE kept.t FORMAT TSV')).toMatchObject({ status: 200 });
    expect(await ask('EXPLAIN SELECT a FROM kept.t')).toMatchObject({ status: 200 });
    expect(await ask('SHOW DATABASES')).toMatchObject({ body: expect.stringContaining('kept') as string });
  });

  it.each([
    'INSERT INTO kept.t VALUES (2)',
    'INSERT INTO kept.t FORMAT TSV\n2\n',
    'INSERT INTO kept.t SELECT 2',
    "INSERT INTO FUNCTION file('OUT', 'CSV', 'a UInt8') VALUES (1)",
    'CREATE TABLE kept.z (a UInt8) ENGINE = Memory',
    'CREATE TEMPORARY TABLE z (a UInt8)',
    'CREATE VIEW kept.v AS SELECT 1',
    'CREATE FUNCTION f AS x -> x',
    "CREATE DATABASE d ENGINE = Filesystem('/etc')",
    'DROP TABLE kept.t',
    'TRUNCATE TABLE kept.t',
    'ALTER TABLE kept.t DELETE WHERE 1',
    'DELETE FROM kept.t WHERE 1',
    'RENAME TABLE kept.t TO kept.u',
    'DETACH TABLE kept.t',
    'OPTIMIZE TABLE kept.t FINAL',
    'SYSTEM SHUTDOWN',
    'SYSTEM STOP MERGES',
    'KILL QUERY WHERE 1',
    'GRANT ALL ON *.* TO default',
    'SET ROLE tidemark_admin',
    'SET readonly = 0',
    'SET max_threads = 1',
    'USE kept',
    "BACKUP TABLE kept.t TO File('/tmp/x')",
    'EXECUTE AS default SELECT 1',
    'SELECT 1 SETTINGS readonly = 0',
    'SELECT 1 SETTINGS max_memory_usage = 0',
    'SELECT 1; DROP TABLE kept.t',
    'SELECT 1 /* ; */; /* -- */ DROP TABLE kept.t',
    'EXPLAIN SELECT 1; DROP TABLE kept.t',
    "SELECT 1 INTO OUTFILE 'OUT'",
    "SELECT 1 INTO/**/OUTFILE 'OUT' TRUNCATE FORMAT CSV",
  ])('changes nothing: %s', async (sql) => {
    const out = join(directory, 'out');
    const { status, code } = await ask(sql.replace('OUT', out));
    expect(status).toBeGreaterThanOrEqual(400);
    expect([62, 164, 358, 497]).toContain(code);
    expect(existsSync(out)).toBe(false);
    expect(await ask('SELECT groupArray(a) FROM kept.t')).toMatchObject({ body: '[1]\n' });
  });

  it.each([
    "SELECT file('/etc/hostname')",
    "SELECT file ( '/etc/hostname' )",
    "SELECT file/**/('/etc/hostname')",
    "SELECT `file`('/etc/hostname')",
    'SELECT "file"(\'/etc/hostname\')',
    "SELECT `\\x66ile`('/etc/hostname')",
    "SELECT arrayMap(file, ['/etc/hostname'])",
    "SELECT * APPLY file FROM (SELECT '/etc/hostname')",
    "SELECT * APPLY(file) FROM (SELECT '/etc/hostname')",
    "WITH file('/etc/hostname') AS x SELECT x",
    "SELECT 1 LIMIT length(file('/etc/hostname'))",
    "EXPLAIN SELECT file('/etc/hostname')",
    "SELECT * FROM view(SELECT file('/etc/hostname'))",
    "SELECT * FROM file('/etc/hostname', 'LineAsString')",
    "DESCRIBE file('/etc/passwd')",
    'SELECT * FROM `/etc/passwd`',
    "SELECT * FROM '/etc/passwd'",
    'SELECT * FROM default.`/etc/passwd`',
    'EXISTS TABLE default.`/etc/passwd`',
    'DESCRIBE TABLE default.`/etc/passwd`',
    "SELECT * FROM filesystem('/etc')",
    "SELECT * FROM executable('cat', 'TSV', 'a String')",
    "SELECT * FROM sqlite('/etc/passwd', 't')",
    "SELECT * FROM merge('default', 'hidden')",
    'SELECT * FROM default.hidden',
    "SELECT * FROM icebergLocal('/etc')",
    "SELECT * FROM fileCluster('default', '/etc/passwd')",
    "SELECT 1 FORMAT Template SETTINGS format_template_resultset = '/etc/passwd'",
    "SELECT catboostEvaluate('/etc/passwd', 1)",
    'SELECT * FROM system.users',
    'SELECT addressToLine(1)',
  ])('sees no file of the host: %s', async (sql) => {
    const { status, body } = await ask(sql);
    expect(status).toBeGreaterThanOrEqual(400);
    expect(body).not.toContain('root:');
    expect(body.split('\n')).toHaveLength(2);
  });

  it('smuggles no name in by a parameter', async () => {
    for (const name of ['file', '`file`', ' "file" ']) {
      expect(await ask("SELECT {f:Identifier}('/etc/hostname')", { param_f: name })).toMatchObject({ code: 497 });
      expect(await ask("SELECT arrayMap({f:Identifier}, ['/etc/hostname'])", { param_f: name })).toMatchObject({
        code: 497,
      });
    }
    expect((await ask('SELECT * FROM {t:Identifier}', { param_t: '/etc/passwd' })).status).toBe(403);
    expect(await ask('SELECT a FROM {d:Identifier}.t', { param_d: 'kept' })).toMatchObject({ body: '1\n' });
  });

  it.each([
    (url: string) => `SELECT * FROM url('${url}', 'CSV', 'a UInt8')`,
    (url: string) => `SELECT * FROM s3('${url}', 'CSV', 'a UInt8')`,
    (url: string) => `SELECT * FROM remote('${new URL(url).host}', system.one)`,
    (url: string) => `SELECT * FROM mysql('${new URL(url).host}', 'a', 'b', 'c', 'd')`,
    (url: string) => `SELECT * FROM deltaLake('${url}')`,
    (url: string) => `SELECT * FROM urlCluster('default', '${url}', 'CSV', 'a UInt8')`,
  ])('reaches nothing over the network (%#)', async (sql) => {
    expect((await ask(sql(outsideUrl))).status).toBeGreaterThanOrEqual(400);
    expect(outsideRequests).toBe(0);
  });

  it('may shape its result but lift no limit', async () => {
    const sql = "SELECT getSetting('max_memory_usage') > 0, getSetting('max_execution_time'), getSetting('readonly')";
    expect((await ask(sql)).body).toBe('1\t60\t1\n');
    expect((await ask(sql, { max_memory_usage: '0', max_execution_time: '0', readonly: '2' })).body).toBe('1\t60\t1\n');
    expect((await ask(sql, { max_memory_usage: '1e30', max_execution_time: '5' })).body).toBe('1\t5\t1\n');
    expect((await ask('SELECT number FROM numbers(10)', { limit: '2', max_block_size: '1' })).body).toBe('0\n1\n');
    for (const name of [
      'readonly',
      'allow_introspection_functions',
      'output_format_schema',
      'format_template_row',
      'max_server_memory_usage',
    ]) {
      expect([name, (await ask('SELECT 1', { [name]: '0' })).code]).toEqual([name, 164]);
    }
    expect((await ask("SELECT getSetting('readonly')", { max_threads: "1', readonly = '0" })).status).toBe(400);
    expect((await ask('SELECT currentRoles()', { role: 'tidemark_admin', session_id: 'x' })).body).toBe(
      "['tidemark_reader']\n",
    );
  });

  it('brings nothing down by what it sends', async () => {
    const texts = [
      `SELECT ${'('.repeat(50_000)}1${')'.repeat(50_000)}`,
      `SELECT ${'['.repeat(100_000)}`,
      `SELECT ${'NOT '.repeat(50_000)}1`,
      `SELECT * FROM ${'(SELECT * FROM '.repeat(5_000)}system.one${')'.repeat(5_000)}`,
      `SELECT CAST(1 AS ${'Array('.repeat(5_000)}UInt8${')'.repeat(5_000)})`,
      '/*'.repeat(100_000),
      `SELECT '${'x'.repeat(3_000_000)}`,
      `SELECT ${'1,'.repeat(5_000_000)}1`,
      'SELECT \0 1',
      "SELECT length(repeat('x', 1000000000000))",
      'SELECT groupArray(number) FROM numbers(100000000000)',
    ];
    for (const sql of texts) {
      expect((await ask(sql)).status).toBeGreaterThanOrEqual(400);
      expect((await ask('SELECT 1')).body).toBe('1\n');
    }
    expect(server.restarts).toBe(0);
  });
});
