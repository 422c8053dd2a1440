import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { lexSql } from './sql-lexer.js';

const texts = (sql: string) => [...lexSql(sql)].map(({ text }) => text);

describe('the lexer', () => {
  it('skips the four kinds of comments, block comments within each other included', () => {
    expect(texts('a -- b ; c\n d # e\n#! f\n// g\n /* h /* i */ j */ k')).toEqual(['a', 'd', 'k']);
    expect(texts('#nocomment')).toEqual(['#', 'nocomment']);
    expect(texts('a /* never closed ; b')).toEqual(['a']);
  });

  it('takes quotes with escapes and doubled quotes as one token', () => {
    expect(texts(`'it''s' 'a\\'b;' "x""y" \`q\\x66\\\`r\``)).toEqual(["it's", "a'b;", 'x"y', 'qf`r']);
  });

  it('takes a heredoc as one token, and a lone dollar as a part of a word', () => {
    expect(texts('$tag$ ; drop $tag$ x$y')).toEqual([' ; drop ', 'x$y']);
    expect(texts('$$a;b$$ c')).toEqual(['a;b', 'c']);
  });

  it('stops at a quote that is never closed', () => {
    expect(texts("a 'b ; c")).toEqual(['a']);
  });

  it('gives tokens that are in order, apart, and exactly where they say', () => {
    const piece = fc.constantFrom(
      "'",
      '"',
      '`',
      '--',
      '/*',
      '*/',
      '\n',
      ';',
      '\\',
      '$',
      'a',
      'FORMAT ',
      '(',
      '#',
      ' ',
      'é',
      '1.5e3',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
        const sql = pieces.join('');
        let end = 0;
        for (const token of lexSql(sql)) {
          expect(token.start).toBeGreaterThanOrEqual(end);
          expect(token.end).toBeGreaterThan(token.start);
          if (token.kind === 'word') expect(sql.slice(token.start, token.end)).toBe(token.text);
          end = token.end;
        }
        expect(end).toBeLessThanOrEqual(sql.length);
      }),
    );
  });
});
