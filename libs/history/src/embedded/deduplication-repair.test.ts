import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { forgetLostBlocks } from './deduplication-repair.js';
import { startEmbeddedServer, type EmbeddedServer } from './index.js';

let root = '';
beforeEach(() => (root = mkdtempSync(join(tmpdir(), 'tidemark-repair-'))));
afterEach(() => rmSync(root, { recursive: true, force: true }));

function makeTable(parts: string[], logs: Record<string, string>): string {
  const table = join(root, 'store', 'abc', 'abcdef');
  for (const part of ['deduplication_logs', 'detached', ...parts]) mkdirSync(join(table, part), { recursive: true });
  for (const [name, text] of Object.entries(logs)) writeFileSync(join(table, 'deduplication_logs', name), text);
  return table;
}

const log = (table: string, number: number) =>
  readFileSync(join(table, 'deduplication_logs', `deduplication_log_${number}.txt`), 'utf8');

describe('notes of blocks', () => {
  it('stay when their part is there, by itself or merged with others', () => {
    const text = '1\t20261120_1_1_0\tb1\n1\t20261120_2_2_0\tb2\n1\t20261121_3_3_0\tb3\n1\tall_4_4_0\tb4\n';
    const table = makeTable(['20261120_1_2_1', '20261121_3_3_0_7', 'all_4_4_0'], { 'deduplication_log_1.txt': text });
    expect(forgetLostBlocks(root)).toBe(0);
    expect(log(table, 1)).toBe(text);
  });

  it('are dropped when their part never came to be', () => {
    const table = makeTable(['all_1_1_0', 'tmp_insert_all_2_2_0', 'other_2_2_0'], {
      'deduplication_log_2.txt': '1\tall_1_1_0\tb1\n',
      'deduplication_log_10.txt': '1\tall_2_2_0\tb2\n1\tall_9_9_0\tb3\n2\tall_9_9_0\tb3\n',
    });
    expect(forgetLostBlocks(root)).toBe(1);
    expect(log(table, 10)).toContain('2\tall_2_2_0\tb2\n');
    expect(log(table, 2)).toBe('1\tall_1_1_0\tb1\n');
    expect(forgetLostBlocks(root)).toBe(0);
  });

  it('lose a last line that is cut off, so that the next one can be read', () => {
    const table = makeTable(['all_1_1_0'], { 'deduplication_log_1.txt': '1\tall_1_1_0\tb1\n1\tall_2_' });
    expect(forgetLostBlocks(root)).toBe(0);
    expect(log(table, 1)).toBe('1\tall_1_1_0\tb1\n');
  });

  it('are not looked for where there are none', () => {
    expect(forgetLostBlocks(join(root, 'nothing'))).toBe(0);
    makeTable(['all_1_1_0'], { 'something else': 'x' });
    expect(forgetLostBlocks(root)).toBe(0);
  });
});

describe('a batch whose part was lost between note and commit', () => {
  it('is inserted when it comes again', async () => {
    const start = () => startEmbeddedServer({ directory: root, port: 0 });
    const ask = async (server: EmbeddedServer, sql: string, parameters: Record<string, string> = {}) => {
      const { username, password } = server.users.admin;
      const headers = { 'X-ClickHouse-User': username, 'X-ClickHouse-Key': password };
      const response = await fetch(`${server.url}/?${new URLSearchParams(parameters)}`, {
        method: 'POST',
        body: sql,
        headers,
      });
      return response.text();
    };
    const batch = (number: number) => ({
      query: 'INSERT INTO t FORMAT TSV',
      insert_deduplication_token: `batch ${number}`,
    });
    const first = await start();
    await ask(
      first,
      'CREATE TABLE t (a UInt8) ENGINE = MergeTree ORDER BY a SETTINGS non_replicated_deduplication_window = 10',
    );
    await ask(first, '1\n', batch(1));
    await ask(first, '2\n', batch(2));
    const path = (await ask(first, "SELECT path FROM system.parts WHERE table = 't' AND name = 'all_2_2_0'")).trim();
    await first.stop();
    // What a kill between the two steps leaves: the note is written, the part is not.
    expect(existsSync(path)).toBe(true);
    rmSync(path, { recursive: true });
    const second = await start();
    try {
      expect(await ask(second, 'SELECT groupArray(a) FROM t')).toBe('[1]\n');
      for (const number of [1, 2, 2]) await ask(second, `${number}\n`, batch(number));
      expect(await ask(second, 'SELECT groupArray(a) FROM (SELECT a FROM t ORDER BY a)')).toBe('[1,2]\n');
    } finally {
      await second.stop();
    }
    expect(readdirSync(root)).toContain('VERSION');
  });
});
