import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brotliDecompressSync, gunzipSync, gzipSync, inflateSync } from 'node:zlib';
import { createClient, ClickHouseError } from '@clickhouse/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeBlock } from './compressed-blocks.js';
import { startEmbeddedServer, type EmbeddedServer } from './index.js';

let directory = '';
let server: EmbeddedServer;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'tidemark-http-'));
  server = await startEmbeddedServer({
    directory,
    port: 0,
    memoryBytes: 2 * 2 ** 30,
    concurrency: { running: 2, waiting: 4 },
  });
});
afterAll(async () => {
  await server.stop();
  rmSync(directory, { recursive: true, force: true });
});

type Parameters = Record<string, string>;

async function ask(
  sql: string | Buffer,
  parameters: Parameters = {},
  headers: Record<string, string> = {},
  method = 'POST',
) {
  const url = new URL(server.url);
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  const { username, password } = server.users.admin;
  const all = { 'X-ClickHouse-User': username, 'X-ClickHouse-Key': password, ...headers };
  const body = typeof sql === 'string' ? sql : new Uint8Array(sql);
  const response = await fetch(url, { method, headers: all, ...(method === 'POST' ? { body } : {}) });
  return { status: response.status, headers: response.headers, body: await response.text() };
}

/** The body of an answer that must be a success. */
async function query(
  sql: string | Buffer,
  parameters: Parameters = {},
  headers: Record<string, string> = {},
): Promise<string> {
  const { status, body } = await ask(sql, parameters, headers);
  if (status !== 200) throw new Error(body);
  return body;
}

/** Bytes of each file that rows of inserts were in. */
function scratchSizes(): number[] {
  const run = join(directory, 'run');
  return readdirSync(run).flatMap((name) => (name.startsWith('in-') ? [statSync(join(run, name)).size] : []));
}

/** As fetch() unpacks by itself. */
function rawBody(
  parameters: Parameters,
  headers: Record<string, string>,
): Promise<{ body: Buffer; encoding: string | undefined }> {
  const { username, password } = server.users.admin;
  return new Promise((resolve, reject) => {
    const path = `/?${new URLSearchParams(parameters).toString()}`;
    const options = {
      host: '127.0.0.1',
      port: server.port,
      path,
      headers: { 'X-ClickHouse-User': username, 'X-ClickHouse-Key': password, ...headers },
    };
    httpRequest(options, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('end', () => resolve({ body: Buffer.concat(parts), encoding: response.headers['content-encoding'] }));
    })
      .on('error', reject)
      .end();
  });
}

async function eventually(condition: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error('The condition did not come true');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

describe('queries', () => {
  it('come in the URL, the body, or both, and answer in TabSeparated', async () => {
    expect((await ask('', { query: 'SELECT 1, 2' }, {}, 'GET')).body).toBe('1\t2\n');
    expect(await query('SELECT 3')).toBe('3\n');
    expect(await query('1 + 4', { query: 'SELECT' })).toBe('5\n');
  });

  it('answer with the headers of the server', async () => {
    const { headers } = await ask('SELECT 1', { query_id: 'mine', default_format: 'JSON' });
    expect(headers.get('x-clickhouse-query-id')).toBe('mine');
    expect(headers.get('x-clickhouse-format')).toBe('JSON');
    expect(headers.get('x-clickhouse-timezone')).toBe('UTC');
    expect(headers.get('x-clickhouse-server-display-name')).toBe('tidemark');
    expect(headers.get('content-type')).toBe('application/json; charset=UTF-8');
    expect(JSON.parse(headers.get('x-clickhouse-summary') ?? '')).toMatchObject({
      result_rows: '1',
      written_rows: '0',
    });
    expect((await ask('SELECT 1 FORMAT CSVWithNames', { default_format: 'JSON' })).headers.get('content-type')).toBe(
      'text/csv; charset=UTF-8; header=present',
    );
  });

  it('answer in every format as one document, however many blocks it has', async () => {
    const sql = 'SELECT number FROM numbers(200000) SETTINGS max_block_size = 1000';
    const json = JSON.parse(await query(`${sql} FORMAT JSON`)) as { rows: number; data: unknown[] };
    expect([json.rows, json.data.length]).toEqual([200000, 200000]);
    expect((await query(`${sql} FORMAT CSVWithNames`)).split('\n').filter((line) => line === '"number"')).toHaveLength(
      1,
    );
  });

  it('take parameters of any content', async () => {
    const values = ["o'h\\x", 'tab\there', 'line\nend', "'; DROP TABLE x; --", 'é😀', ''];
    for (const value of values) {
      const escaped = value.replaceAll('\\', '\\\\').replaceAll('\t', '\\t').replaceAll('\n', '\\n');
      const answer = await query('SELECT {v:String} AS v FORMAT JSONEachRow', { param_v: escaped });
      expect(JSON.parse(answer)).toEqual({ v: value });
    }
    expect(
      await query('SELECT sum(arrayJoin({a:Array(UInt8)})) FROM {d:Identifier}.{t:Identifier}', {
        param_a: '[1,2,3]',
        param_d: 'system',
        param_t: 'one',
      }),
    ).toBe('6\n');
  });

  it('do not mix up their parameters when they run at once', async () => {
    const numbers = Array.from({ length: 6 }, (_, index) => index);
    const rounds = Array.from({ length: 10 }, () => numbers).flat();
    let next = 0;
    await Promise.all(
      [1, 2, 3].map(async () => {
        while (next < rounds.length) {
          const number = rounds[next++]!;
          expect(await query('SELECT {n:UInt8} * 2', { param_n: String(number) })).toBe(`${number * 2}\n`);
        }
      }),
    );
    expect((await ask('SELECT {n:UInt8}')).body).toContain('Code: 456.');
  });

  it('take settings that hold for them alone', async () => {
    const sql = "SELECT getSetting('max_block_size')";
    const before = await query(sql);
    expect(await query(sql, { max_block_size: '77' })).toBe('77\n');
    expect(await query(sql)).toBe(before);
    expect(await query(`${sql} SETTINGS max_block_size = 78`)).toBe('78\n');
    await query('SET max_block_size = 79');
    await query('USE system');
    expect(await query(`${sql}, currentDatabase()`)).toBe(`${before.trim()}\tdefault\n`);
    expect(await ask('SELECT 1', { no_such_setting: '1' })).toMatchObject({
      status: 404,
      body: expect.stringContaining('Code: 115.') as string,
    });
    expect(await ask('SELECT 1', { "max_threads' = 1; DROP": '1' })).toMatchObject({ status: 404 });
  });

  it('run in the database of the URL', async () => {
    expect(await query('SELECT currentDatabase()', { database: 'system' })).toBe('system\n');
    expect(await ask('SELECT 1', { database: 'no`pe' })).toMatchObject({
      status: 404,
      body: expect.stringContaining('Code: 81.') as string,
    });
  });

  it('are one at a time', async () => {
    for (const sql of ['SELECT 1; SELECT 2', 'SELECT 1;DROP DATABASE system']) {
      expect(await ask(sql)).toMatchObject({
        status: 400,
        body: expect.stringContaining('Multi-statements are not allowed') as string,
      });
    }
    expect(await query("SELECT 'a;b';")).toBe('a;b\n');
  });

  it('change nothing with GET', async () => {
    const answer = await ask('', { query: 'CREATE TABLE by_get (a UInt8) ENGINE = Memory' }, {}, 'GET');
    expect(answer).toMatchObject({ status: 500, body: expect.stringContaining('Code: 164.') as string });
  });

  it('cannot name files of the host as their output or input', async () => {
    for (const sql of [
      "SELECT 1 INTO OUTFILE '/tmp/x'",
      "INSERT INTO t FROM INFILE '/etc/passwd' FORMAT LineAsString",
    ]) {
      expect((await ask(sql)).body).toContain('Code: 358.');
    }
  });
});

describe('errors', () => {
  it('have status, header and text of the server', async () => {
    const unknown = await ask('SELECT * FROM nothing_here');
    expect(unknown.status).toBe(404);
    expect(unknown.headers.get('x-clickhouse-exception-code')).toBe('60');
    expect(unknown.body).toMatch(
      /^Code: 60\. DB::Exception: .*nothing_here.*\. \(UNKNOWN_TABLE\) \(version 26\.7\.[\d.]+\)\n$/s,
    );
    const wrong = await ask('SELECT 1 FRM x y');
    expect([wrong.status, /out-\d/.test(wrong.body)]).toEqual([400, false]);
    expect(await ask(' -- nothing')).toMatchObject({
      status: 400,
      body: expect.stringContaining('Empty query') as string,
    });
    expect((await ask('SELECT sleep(3)', { max_execution_time: '0.1', query_id: 'slow' })).status).toBe(408);
  });

  it('of the client are read by the official client', async () => {
    const { username, password } = server.users.admin;
    const client = createClient({ url: server.url, username, password, log: { level: 127 } });
    const error = await client.query({ query: 'SELECT nothing_here' }).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ClickHouseError);
    expect(error).toMatchObject({ code: '47', type: 'UNKNOWN_IDENTIFIER' });
    await client.close();
  });

  it('behind a result that has begun are framed, and the body has no proper end', async () => {
    const sql = 'SELECT number, throwIf(number = 900000) FROM numbers(1000000) FORMAT TSV';
    const text = await new Promise<string>((resolve) => {
      const { username, password } = server.users.admin;
      const socket = connect(server.port, '127.0.0.1', () => {
        socket.write(
          `POST /?user=${username}&password=${password} HTTP/1.1\r\nHost: x\r\nContent-Length: ${sql.length}\r\n\r\n${sql}`,
        );
      });
      let all = '';
      socket.on('data', (part) => (all += part.toString('latin1')));
      socket.on('close', () => resolve(all));
    });
    const tag = /X-ClickHouse-Exception-Tag: (\w{16})/.exec(text)?.[1] ?? 'none';
    const frame = new RegExp(
      `\\r\\n__exception__\\r\\n${tag}\\r\\n(Code: 395\\..*\\n)(\\d+) ${tag}\\r\\n__exception__\\r\\n`,
      's',
    ).exec(text);
    expect(frame?.[2]).toBe(String(frame?.[1]?.length));
    expect(text.endsWith('\r\n0\r\n\r\n')).toBe(false);
    const whole = await ask(sql, { wait_end_of_query: '1' });
    expect([whole.status, whole.body.startsWith('Code: 395.')]).toEqual([500, true]);
  });

  it('of authentication do not tell whether the user exists', async () => {
    const messages = [];
    for (const user of ['default', 'nobody']) {
      const { status, body } = await ask('SELECT 1', {}, { 'X-ClickHouse-User': user, 'X-ClickHouse-Key': 'wrong' });
      messages.push([status, body.replace(user, 'USER')]);
    }
    expect(messages[0]).toEqual(messages[1]);
    expect(messages[0]?.[0]).toBe(403);
  });
});

describe('credentials', () => {
  it('come as headers, as Basic or in the URL, but in one way only', async () => {
    const { username, password } = server.users.reader;
    const basic = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
    const url = `${server.url}/?query=SELECT+1`;
    expect((await fetch(url, { headers: { Authorization: basic } })).status).toBe(200);
    expect((await fetch(`${url}&user=${username}&password=${password}`)).status).toBe(200);
    expect(
      (await fetch(url, { headers: { 'X-ClickHouse-User': username, 'X-ClickHouse-Key': password } })).status,
    ).toBe(200);
    expect((await fetch(`${url}&user=${username}`, { headers: { Authorization: basic } })).status).toBe(403);
    expect((await fetch(url, { headers: { Authorization: 'Bearer x' } })).status).toBe(403);
    expect((await fetch(url)).status).toBe(403);
  });

  it('are not needed to see that the server lives', async () => {
    for (const path of ['/ping', '/replicas_status', '/']) {
      expect(await (await fetch(`${server.url}${path}`)).text()).toBe('Ok.\n');
    }
    expect((await fetch(`${server.url}/nope`)).status).toBe(404);
  });
});

describe('compression', () => {
  it('of results is as asked for', async () => {
    const unpack: Record<string, (data: Buffer) => Buffer> = {
      gzip: gunzipSync,
      deflate: inflateSync,
      br: brotliDecompressSync,
    };
    for (const [encoding, decode] of Object.entries(unpack)) {
      const answer = await rawBody(
        { query: 'SELECT number FROM numbers(300000)', enable_http_compression: '1' },
        { 'Accept-Encoding': encoding },
      );
      expect(answer.encoding).toBe(encoding);
      expect(decode(answer.body).toString().split('\n')).toHaveLength(300001);
    }
    expect((await rawBody({ query: 'SELECT 1' }, { 'Accept-Encoding': 'gzip' })).encoding).toBeUndefined();
    const error = await rawBody({ query: 'SELECT 1 +', enable_http_compression: '1' }, { 'Accept-Encoding': 'gzip' });
    expect(gunzipSync(error.body).toString()).toContain('Code: 62.');
  });

  it('of requests is undone, and a broken one inserts nothing', async () => {
    await query('CREATE TABLE packed (a UInt32) ENGINE = MergeTree ORDER BY a');
    const insert = 'INSERT INTO packed FORMAT TSV';
    await query(gzipSync('1\n2\n'), { query: insert }, { 'Content-Encoding': 'gzip' });
    await query(encodeBlock(Buffer.from('3\n')), { query: insert, decompress: '1' });
    const cut = gzipSync('4\n5\n').subarray(0, -6);
    expect(await ask(cut, { query: insert }, { 'Content-Encoding': 'gzip' })).toMatchObject({
      body: expect.stringContaining('Code: 271.') as string,
    });
    expect((await ask('6\n', { query: insert }, { 'Content-Encoding': 'snappy' })).body).toContain('Code: 89.');
    expect(await query('SELECT groupArray(a) FROM packed')).toBe('[1,2,3]\n');
  });
});

describe('inserts', () => {
  it('take rows in any format, binary ones byte for byte', async () => {
    await query('CREATE TABLE formats (a UInt32, s String) ENGINE = MergeTree ORDER BY a');
    const everyByte = Buffer.from(Array.from({ length: 256 }, (_, index) => index));
    const binary = Buffer.concat([Buffer.from([1, 0, 0, 0, 0x80, 2]), everyByte]);
    await query(binary, { query: 'INSERT INTO formats FORMAT RowBinary' });
    await query('INSERT INTO formats FORMAT JSONColumns\n{"a":[2,3],"s":["é","x;y\\n"]}');
    await query('INSERT INTO formats (s, a) SETTINGS input_format_tsv_crlf_end_of_line = 1 FORMAT TSV\r\nz\t4\r\n');
    await query("INSERT INTO formats VALUES (5, 'FORMAT CSV'), ({n:UInt32} + 1, '')", { param_n: '5' });
    const rows = await query('SELECT a, hex(s) FROM formats ORDER BY a');
    const hex = (text: string) => Buffer.from(text).toString('hex').toUpperCase();
    expect(rows).toBe(
      [everyByte.toString('hex').toUpperCase(), hex('é'), hex('x;y\n'), hex('z'), hex('FORMAT CSV'), '']
        .map((value, index) => `${index + 1}\t${value}\n`)
        .join(''),
    );
  });

  it('go through a SELECT with input()', async () => {
    await query('CREATE TABLE through (a UInt32) ENGINE = MergeTree ORDER BY a');
    const sql = "INSERT INTO through SELECT a * 10 FROM input('a UInt32') WHERE a > 1 FORMAT CSV";
    await query('1\n2\n3\n', { query: sql });
    expect(await query('SELECT groupArray(a) FROM through')).toBe('[20,30]\n');
  });

  it('of which a row is bad insert none, and name the row', async () => {
    await query('CREATE TABLE strict (a UInt32) ENGINE = MergeTree ORDER BY a');
    const { status, body } = await ask('1\n2\nx\n', { query: 'INSERT INTO strict FORMAT TSV' });
    expect(status).toBe(400);
    expect(body).toContain('(at row 3)');
    expect(body).not.toContain(directory);
    expect(await query('SELECT count() FROM strict')).toBe('0\n');
  });

  it('that are cut off insert nothing and leave nothing behind', async () => {
    await query('CREATE TABLE cut (a UInt32) ENGINE = MergeTree ORDER BY a');
    const { username, password } = server.users.admin;
    await new Promise<void>((resolve) => {
      const socket = connect(server.port, '127.0.0.1', () => {
        const path = `/?user=${username}&password=${password}&query=INSERT+INTO+cut+FORMAT+TSV`;
        socket.write(
          `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000\r\n\r\n${'1\n'.repeat(500_000)}`,
          () => {
            setTimeout(() => socket.destroy(), 50);
          },
        );
      });
      socket.on('close', () => resolve());
    });
    await eventually(async () => scratchSizes().every((size) => size === 0));
    expect(await query('SELECT count() FROM cut')).toBe('0\n');
  });

  it('leave files that are empty and few, however many inserts there were', async () => {
    await query('CREATE TABLE reused (a UInt32) ENGINE = MergeTree ORDER BY a');
    const insert = (rows: string) => query(rows, { query: 'INSERT INTO reused FORMAT TSV' });
    // A long one before a short one: nothing of it may be read again.
    for (let round = 0; round < 20; round++) await insert(round % 2 === 0 ? '1\n'.repeat(50_000) : '2\n');
    await Promise.all(Array.from({ length: 4 }, () => insert('3\n')));
    expect(await insert('no number\n').catch(String)).toContain('CANNOT_PARSE_INPUT_ASSERTION_FAILED');
    await insert('4\n');
    expect(await query('SELECT a, count() FROM reused GROUP BY a ORDER BY a')).toBe('1\t500000\n2\t10\n3\t4\n4\t1\n');
    await eventually(async () => scratchSizes().every((size) => size === 0));
    expect(scratchSizes().length).toBeLessThanOrEqual(5);
  });

  it('of a batch that comes again are counted once, in views too', async () => {
    const window = 'SETTINGS non_replicated_deduplication_window = 100';
    await query(`CREATE TABLE once (a UInt32) ENGINE = MergeTree ORDER BY a ${window}`);
    await query(
      `CREATE TABLE once_sum (k UInt8, n SimpleAggregateFunction(sum, UInt64)) ENGINE = AggregatingMergeTree ORDER BY k ${window}`,
    );
    await query('CREATE MATERIALIZED VIEW once_view TO once_sum AS SELECT 1 AS k, count() AS n FROM once');
    const settings = { insert_deduplication_token: 'batch 1', deduplicate_blocks_in_dependent_materialized_views: '1' };
    for (let round = 0; round < 3; round += 1)
      await query('1\n2\n3\n', { query: 'INSERT INTO once FORMAT TSV', ...settings });
    await query('1\n2\n3\n', {
      query: 'INSERT INTO once FORMAT TSV',
      ...settings,
      insert_deduplication_token: 'batch 2',
    });
    expect(await query('SELECT count() FROM once')).toBe('6\n');
    expect(await query('SELECT sum(n) FROM once_sum')).toBe('6\n');
  });
});

describe('sessions', () => {
  it('keep temporary tables and SET, but not the settings of one request', async () => {
    const session = { session_id: 'one' };
    await query('CREATE TEMPORARY TABLE kept (a UInt8)', session);
    await query('INSERT INTO kept VALUES (1)', session);
    await query('2\n', { ...session, query: 'INSERT INTO kept FORMAT TSV' });
    await query('SET max_block_size = 99', session);
    expect(await query("SELECT getSetting('max_block_size')", { ...session, max_block_size: '5' })).toBe('5\n');
    expect(await query("SELECT sum(a), any(getSetting('max_block_size')) FROM kept", session)).toBe('3\t99\n');
    expect((await ask('SELECT * FROM kept')).status).toBe(404);
    expect((await ask('SELECT * FROM kept', { session_id: 'two' })).status).toBe(404);
  });

  it('run one query at a time, and can be asked for', async () => {
    const slow = query('SELECT sleep(0.5)', { session_id: 'busy' });
    await eventually(async () => (await ask('SELECT 1', { session_id: 'busy' })).body.includes('Code: 373.'));
    await slow;
    expect((await ask('SELECT 1', { session_id: 'unheard', session_check: '1' })).body).toContain('Code: 372.');
    expect((await ask('SELECT 1', { session_id: 'x', session_timeout: '999999' })).body).toContain('Code: 374.');
  });
});

describe('load', () => {
  it('beyond lanes and queue is refused so that clients try again', async () => {
    const answers = await Promise.all(Array.from({ length: 12 }, () => ask('SELECT sleep(0.3)')));
    const refused = answers.filter(({ status }) => status === 503);
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(12 - refused.length);
    expect(refused.length).toBeGreaterThan(0);
    expect(refused.every(({ body }) => body.startsWith('Code: 202.'))).toBe(true);
  });

  it('of a large result does not fill the memory of the server', async () => {
    const peak = () => Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8'))?.[1]) * 1024;
    await query('SELECT 1');
    const before = peak();
    const { username, password } = server.users.admin;
    const response = await fetch(`${server.url}/?user=${username}&password=${password}`, {
      method: 'POST',
      body: "SELECT repeat('x', 1000) FROM numbers(400000) FORMAT TSV",
    });
    let bytes = 0;
    for await (const part of response.body as unknown as AsyncIterable<Uint8Array>) bytes += part.length;
    expect(bytes).toBe(400_000 * 1001);
    expect(peak() - before).toBeLessThan(200 * 2 ** 20);
  });

  it('of a client that goes away is dropped', async () => {
    const controller = new AbortController();
    const { username, password } = server.users.admin;
    const headers = { 'X-ClickHouse-User': username, 'X-ClickHouse-Key': password };
    const mark = 'a client that goes away';
    const endless = fetch(server.url, {
      method: 'POST',
      headers,
      body: `SELECT count(), '${mark}' FROM system.numbers WHERE cityHash64(number) = 7`,
      signal: controller.signal,
    });
    const isRunning = async () =>
      (await query(
        `SELECT count() FROM system.processes WHERE query LIKE '%${mark}%' AND query NOT LIKE '%processes%'`,
      )) === '1\n';
    await eventually(isRunning);
    controller.abort();
    await expect(endless).rejects.toThrow();
    await eventually(async () => !(await isRunning()));
  });
});
