import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { authenticate, permit } from './access.js';
import { loadEngine, StatementClass, type Connection } from './engine.js';
import { readShape } from './statement.js';

const users = { admin: { username: 'default', password: 'a' }, reader: { username: 'reader', password: 'r' } };

describe('authentication', () => {
  it('knows the two users by name and password', () => {
    expect(authenticate(users, users.admin)).toBe('admin');
    expect(authenticate(users, users.reader)).toBe('reader');
    for (const given of [
      { username: 'default', password: 'r' },
      { username: 'default', password: '' },
      { username: 'Default', password: 'a' },
      { username: 'nobody', password: 'a' },
    ]) {
      expect(() => authenticate(users, given)).toThrow(/Authentication failed/);
    }
  });
});

describe('our reading of a text', () => {
  let directory = '';
  let connection: Connection;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'tidemark-access-'));
    connection = loadEngine(join(directory, 'data'), []).connect();
  });
  afterAll(() => {
    connection.close();
    rmSync(directory, { recursive: true, force: true });
  });

  const pieces = fc.constantFrom(
    'SELECT 1', ' ', '\n', ';', ';', '--', '#', '# ', '#!', '//', '/*', '*/', "'", '"', '`', '\\', '$$', '$a$', "''", "x'", 'é', ' ',
    'DROP TABLE t', ', 2', ' AS a', "'a;b'", '(', ')', '{', '}', '\t', '\0', 'INTO OUTFILE', "INTO OUTFILE 'x'", ' FORMAT TSV',
  ); // prettier-ignore
  const texts = fc.array(pieces, { maxLength: 14 }).map((parts) => `SELECT 1${parts.join('')}`);

  it('never takes several statements for one that the engine would run as several', async () => {
    await fc.assert(
      fc.asyncProperty(texts, async (sql) => {
        if (sql.includes('\0')) return;
        const { statementCount, queryClass } = await connection.classify(sql);
        if (queryClass === StatementClass.unknown || statementCount <= 1) return;
        expect([sql, readShape(sql).several]).toEqual([sql, true]);
      }),
      { numRuns: 3000 },
    );
  });

  it('never misses an output file that the engine would write', async () => {
    await fc.assert(
      fc.asyncProperty(texts, async (sql) => {
        if (sql.includes('\0') || !/OUTFILE/.test(sql)) return;
        const { statementCount, queryClass } = await connection.classify(sql);
        if (statementCount !== 1 || queryClass !== StatementClass.control) return;
        expect([sql, readShape(sql).usesFiles]).toEqual([sql, true]);
      }),
      { numRuns: 3000 },
    );
  });

  it('lets a reader run only what the engine calls reading', async () => {
    const statements = [
      'SELECT 1',
      'SHOW TABLES',
      'EXPLAIN SELECT 1',
      'SET a = 1',
      'DROP TABLE t',
      'CREATE USER x',
      'WITH 1 AS a SELECT a',
    ];
    const allowed = [];
    for (const sql of statements) {
      const classification = await connection.classify(sql);
      try {
        permit({ role: 'reader', readOnly: false, shape: readShape(sql), classification, parameters: [] });
        allowed.push(sql);
      } catch (error) {
        expect(error).toMatchObject({ code: 164 });
      }
    }
    expect(allowed).toEqual(['SELECT 1', 'SHOW TABLES', 'EXPLAIN SELECT 1', 'WITH 1 AS a SELECT a']);
  });
});
