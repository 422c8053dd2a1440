import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startEmbeddedServer, type EmbeddedOptions, type EmbeddedServer } from './index.js';

let root = '';
let servers: EmbeddedServer[] = [];
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'tidemark-life-'));
  servers = [];
});
afterEach(async () => {
  await Promise.all(servers.map((server) => server.stop()));
  rmSync(root, { recursive: true, force: true });
});

async function start(options: Partial<EmbeddedOptions> = {}): Promise<EmbeddedServer> {
  const server = await startEmbeddedServer({ directory: join(root, 'd'), port: 0, lockWaitMs: 0, ...options });
  servers.push(server);
  return server;
}

async function query(server: EmbeddedServer, sql: string, parameters: Record<string, string> = {}): Promise<string> {
  const { username, password } = server.users.admin;
  const url = `${server.url}/?${new URLSearchParams(parameters).toString()}`;
  const headers = { 'X-ClickHouse-User': username, 'X-ClickHouse-Key': password };
  const response = await fetch(url, { method: 'POST', body: sql, headers });
  const body = await response.text();
  if (!response.ok) throw new Error(body);
  return body;
}

async function eventually<T>(attempt: () => Promise<T> | T): Promise<T> {
  const deadline = Date.now() + 25_000;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  }
}

const isAlive = (pid: number) => existsSync(`/proc/${pid}`) && !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));

describe('starting', () => {
  it('keeps data, passwords and deduplication over a restart', async () => {
    const first = await start();
    await query(
      first,
      'CREATE TABLE t (a UInt8) ENGINE = MergeTree ORDER BY a SETTINGS non_replicated_deduplication_window = 10',
    );
    const batch = { query: 'INSERT INTO t FORMAT TSV', insert_deduplication_token: 'one' };
    await query(first, '1\n', batch);
    await first.stop();
    const second = await start();
    expect(second.users).toEqual(first.users);
    await query(second, '1\n', batch);
    expect(await query(second, 'SELECT count() FROM t')).toBe('1\n');
  });

  it('says in one line that the port is taken', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const { port } = other.address() as AddressInfo;
    const error = await start({ port }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'PORT_IN_USE' });
    expect(String(error)).toMatch(new RegExp(`Port ${port} on 127\\.0\\.0\\.1 is in use by another program[^\\n]*$`));
    other.close();
  });

  it('says in one line who holds the directory, and waits for one that is stopping', async () => {
    const holder = await start();
    await expect(start()).rejects.toMatchObject({
      code: 'DIRECTORY_IN_USE',
      message: expect.stringContaining(`process ${holder.pid}`) as string,
    });
    const next = start({ lockWaitMs: 20_000 });
    await holder.stop();
    expect(await query(await next, 'SELECT 1')).toBe('1\n');
  });

  it('limits the memory of the engine to what it is given', async () => {
    const server = await start({ memoryBytes: 600_000_000 });
    expect(await query(server, "SELECT value FROM system.server_settings WHERE name = 'max_server_memory_usage'")).toBe(
      '600000000\n',
    );
    await expect(query(server, 'SELECT length(groupArray(number)) FROM numbers(200000000)')).rejects.toThrow(
      'Code: 241.',
    );
  });

  it('keeps no log tables', async () => {
    const server = await start();
    await query(server, 'SYSTEM FLUSH LOGS');
    expect(
      await query(server, "SELECT count() FROM system.tables WHERE database = 'system' AND engine LIKE '%MergeTree'"),
    ).toBe('0\n');
  });
});

describe('stopping', () => {
  it('lets running statements end and takes no new ones', async () => {
    const server = await start();
    const running = query(server, 'SELECT sleep(1), 7');
    await eventually(async () =>
      expect(await query(server, "SELECT count() FROM system.processes WHERE query LIKE '%sleep%'")).toBe('2\n'),
    );
    const stopped = server.stop();
    expect(await running).toBe('0\t7\n');
    await stopped;
    await expect(query(server, 'SELECT 1')).rejects.toThrow();
    await expect(server.stop()).resolves.toBeUndefined();
  });

  it('does not wait longer than it is told', async () => {
    const server = await start();
    const endless = query(server, 'SELECT count() FROM system.numbers WHERE cityHash64(number) = 7').catch(
      (error: unknown) => error,
    );
    await eventually(async () =>
      expect(await query(server, "SELECT count() FROM system.processes WHERE query LIKE '%cityHash64%'")).toBe('2\n'),
    );
    const { pid } = server;
    await server.stop(200);
    expect(isAlive(pid)).toBe(false);
    expect(await endless).toBeInstanceOf(Error);
  });
});

describe('a child that dies', () => {
  it('is started again on the same port with the same data', async () => {
    const warnings: string[] = [];
    const logger = {
      info: () => undefined,
      warn: (_: object, message: string) => void warnings.push(message),
      error: () => undefined,
    };
    const server = await start({ logger });
    await query(server, 'CREATE TABLE t (a UInt8) ENGINE = MergeTree ORDER BY a');
    await query(server, 'INSERT INTO t VALUES (1)');
    const { pid, port } = server;
    process.kill(pid, 'SIGKILL');
    expect(await eventually(() => query(server, 'SELECT count() FROM t'))).toBe('1\n');
    expect([server.pid === pid, server.port, server.restarts]).toEqual([false, port, 1]);
    expect(warnings.some((line) => line.includes('ended unexpectedly (SIGKILL); starting it again'))).toBe(true);
  });

  it('again and again is given up, with an error that says so', async () => {
    const server = await start();
    const killer = setInterval(() => {
      if (isAlive(server.pid)) process.kill(server.pid, 'SIGKILL');
    }, 50);
    try {
      await expect(server.failed).rejects.toMatchObject({ code: 'KEEPS_CRASHING' });
    } finally {
      clearInterval(killer);
    }
  });

  const parentOf = () => {
    const entry = fileURLToPath(new URL('../../dist/embedded/index.js', import.meta.url));
    const script = `
      const { startEmbeddedServer } = await import(${JSON.stringify(entry)});
      const server = await startEmbeddedServer({ directory: ${JSON.stringify(join(root, 'd'))}, port: 0 });
      console.log(server.pid);
      setInterval(() => undefined, 1000);`;
    return spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  };

  it('dies with its parent, however that ends', async () => {
    const parent = parentOf();
    const line = await new Promise<string>((resolve) =>
      createInterface({ input: parent.stdout }).once('line', resolve),
    );
    const pid = Number(line);
    expect(isAlive(pid)).toBe(true);
    parent.kill('SIGKILL');
    await eventually(() => expect(isAlive(pid)).toBe(false));
    expect(await query(await start({ lockWaitMs: 5_000 }), 'SELECT 1')).toBe('1\n');
  });

  it('dies with its parent while it is starting, too', async () => {
    for (const delayMs of [0, 30, 100, 200]) {
      const parent = parentOf();
      const children = () => readFileSync(`/proc/${parent.pid}/task/${parent.pid}/children`, 'utf8').trim();
      const pid = await eventually(() => {
        const found = children();
        if (found === '') throw new Error('no child yet');
        return Number(found.split(' ')[0]);
      });
      await new Promise((resolve) => setTimeout(resolve, delayMs));
      parent.kill('SIGKILL');
      await eventually(() => expect(isAlive(pid)).toBe(false));
    }
    expect(await query(await start({ lockWaitMs: 5_000 }), 'SELECT 1')).toBe('1\n');
  });
});

describe('kill -9 in the middle of inserts', () => {
  it('loses nothing that was acknowledged and doubles nothing that was sent again', async () => {
    const server = await start();
    const window = 'SETTINGS non_replicated_deduplication_window = 1000';
    await query(server, `CREATE TABLE t (batch UInt32, row UInt32) ENGINE = MergeTree ORDER BY (batch, row) ${window}`);
    await query(
      server,
      `CREATE TABLE sums (batch UInt32, n SimpleAggregateFunction(sum, UInt64)) ENGINE = AggregatingMergeTree ORDER BY batch ${window}`,
    );
    await query(server, 'CREATE MATERIALIZED VIEW v TO sums AS SELECT batch, count() AS n FROM t GROUP BY batch');
    const rowsInBatch = 20_000;
    let batch = 0;
    let kills = 0;
    let lastPid = 0;
    const killer = setInterval(() => {
      if (kills >= 5 || server.pid === lastPid || Math.random() < 0.7) return;
      lastPid = server.pid;
      kills += 1;
      if (isAlive(lastPid)) process.kill(lastPid, 'SIGKILL');
    }, 40);
    const settings = { deduplicate_blocks_in_dependent_materialized_views: '1' };
    while (kills < 5 || batch < 10) {
      const rows = Array.from({ length: rowsInBatch }, (_, row) => `${batch}\t${row}\n`).join('');
      const insert = { query: 'INSERT INTO t FORMAT TSV', insert_deduplication_token: `batch ${batch}`, ...settings };
      await eventually(() => query(server, rows, insert));
      batch += 1;
    }
    clearInterval(killer);
    const wanted = `${batch}\t${batch * rowsInBatch}\t${batch * rowsInBatch}\n`;
    expect(
      await eventually(() => query(server, 'SELECT uniqExact(batch), count(), uniqExact(batch, row) FROM t')),
    ).toBe(wanted);
    expect(
      await query(
        server,
        'SELECT uniqExact(batch), sum(n), min(n) * any(1) FROM (SELECT batch, sum(n) AS n FROM sums GROUP BY batch)',
      ),
    ).toBe(`${batch}\t${batch * rowsInBatch}\t${rowsInBatch}\n`);
    expect(await query(server, "SELECT count() FROM system.detached_parts WHERE reason LIKE '%broken%'")).toBe('0\n');
  }, 90_000);
});
