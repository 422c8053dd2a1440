import { describe, expect, it } from 'vitest';
import { readHead, readShape } from './statement.js';

describe('the head of a request', () => {
  const rowsOf = (sql: string) => {
    const head = readHead(sql);
    return head.kind === 'insert' ? { format: head.format, rows: sql.slice(head.dataAt) } : null;
  };

  it.each([
    ['INSERT INTO t FORMAT CSV\n1,2', { format: 'CSV', rows: '1,2' }],
    ['insert into t format CSV   1,2', { format: 'CSV', rows: '1,2' }],
    ['INSERT INTO t FORMAT RowBinary\r\n\n\n', { format: 'RowBinary', rows: '\n\n' }],
    [
      "INSERT INTO db.`t x` (a, `b`) SETTINGS x = 'FORMAT y' FORMAT JSONEachRow {}",
      { format: 'JSONEachRow', rows: '{}' },
    ],
    ['INSERT INTO TABLE t VALUES (1)', { format: 'Values', rows: '(1)' }],
    ['INSERT INTO format FORMAT TSV\nx', { format: 'TSV', rows: 'x' }],
    ['/* INSERT */ -- x\n INSERT INTO t (values) VALUES (2)', { format: 'Values', rows: '(2)' }],
    ["INSERT INTO FUNCTION remote('a', b.c) FORMAT TSV\nx", { format: 'TSV', rows: 'x' }],
  ])('finds the rows of %s', (sql, expected) => {
    expect(rowsOf(sql)).toEqual(expected);
  });

  it.each([
    'SELECT 1 FORMAT CSV',
    'INSERT INTO t SELECT 1',
    'INSERT INTO t SELECT a FROM x FORMAT CSV',
    "INSERT INTO t FROM INFILE 'x' FORMAT CSV",
    'INSERT INTO t; SELECT 1 FORMAT CSV',
    'INSERT',
    '',
  ])('sees no rows in %s', (sql) => {
    expect(rowsOf(sql)).toBeNull();
  });

  it('finds input() in an INSERT SELECT, and the rows behind its format', () => {
    const sql = "INSERT INTO t SELECT a + 1 FROM input('a Int8') WHERE a > 0 FORMAT CSV\n1";
    const head = readHead(sql);
    expect(head).toMatchObject({ kind: 'insert', format: 'CSV', dataAt: sql.length - 1 });
    expect(head.kind === 'insert' && head.input !== null && sql.slice(...head.input)).toBe('input');
  });

  it('reads nothing behind the format: rows may look like anything', () => {
    const head = readHead(`INSERT INTO t FORMAT TSV\n'"\`/* ; FORMAT CSV`);
    expect(head).toMatchObject({ kind: 'insert', format: 'TSV' });
  });
});

describe('the shape of a statement', () => {
  const outputIn = (sql: string) => {
    const shape = readShape(sql);
    return `${sql.slice(0, shape.outputAt)}<>${sql.slice(shape.outputAt)}`;
  };

  it('says where a result can be sent elsewhere', () => {
    expect(outputIn('SELECT 1')).toBe('SELECT 1<>');
    expect(outputIn('SELECT 1 ; -- end')).toBe('SELECT 1<> ; -- end');
    expect(outputIn('SELECT 1 FORMAT JSON;')).toBe('SELECT 1 <>FORMAT JSON;');
    expect(outputIn('SELECT format FROM x FORMAT JSON SETTINGS a = 1')).toBe(
      'SELECT format FROM x <>FORMAT JSON SETTINGS a = 1',
    );
    expect(outputIn('SELECT a AS format FROM t')).toBe('SELECT a AS format FROM t<>');
    expect(outputIn("SELECT 'FORMAT JSON'")).toBe("SELECT 'FORMAT JSON'<>");
  });

  it('knows the first word, the format, and a second statement', () => {
    expect(readShape('-- x\nwith 1 as a select a format CSV')).toMatchObject({
      verb: 'WITH',
      format: 'CSV',
      several: false,
    });
    expect(readShape('(SELECT 1)')).toMatchObject({ verb: '(', format: null });
    expect(readShape("SELECT ';' ; ;").several).toBe(false);
    expect(readShape('SELECT 1; SELECT 2').several).toBe(true);
    expect(readShape(' -- nothing').verb).toBe('');
  });

  it('notices files, whatever stands between the words', () => {
    expect(readShape("SELECT 1 INTO /* x */ -- y\n OUTFILE 'a'").usesFiles).toBe(true);
    expect(readShape("INSERT INTO t from infile 'a' FORMAT CSV").usesFiles).toBe(true);
    expect(readShape("SELECT 'INTO OUTFILE' AS outfile").usesFiles).toBe(false);
  });

  it('notices names however they are written', () => {
    expect(readShape('SELECT `\\x66ile`(1)').mentions).toContain('file');
    expect(readShape('SELECT * APPLY "file"').mentions).toContain('file');
    expect(readShape("SELECT 'file', files, t_file").mentions).not.toContain('file');
  });
});
