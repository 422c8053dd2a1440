/** What a piece of SQL is, as far as cutting a statement into parts needs it. */
export type TokenKind = 'word' | 'quoted' | 'string' | 'number' | 'symbol';

export interface Token {
  kind: TokenKind;
  /** Offsets into the text; the token is [start, end). */
  start: number;
  end: number;
  /** As written; for a quoted identifier its name with escapes undone. */
  text: string;
}

const space = /[\s\0]/;
const wordStart = /[A-Za-z_$]/;
const wordPart = /[A-Za-z0-9_$]/;
const digit = /[0-9]/;

/**
 * Cuts SQL into its significant tokens, by the rules of ClickHouse's own lexer: comments in all four styles (block
 * comments nest), backslash and doubled-quote escapes, heredocs. Lazy, because rows may follow an INSERT in the same
 * text and must not be read as SQL. Text that never closes a quote or comment ends the stream.
 */
export function* lexSql(text: string, from = 0): Generator<Token> {
  let at = from;
  while (at < text.length) {
    const skipped = skipBlank(text, at);
    if (skipped !== at) {
      at = skipped;
      continue;
    }
    const token = readToken(text, at);
    if (token === null) return;
    yield token;
    at = token.end;
  }
}

/** Past one run of white space or one comment; the same offset when neither stands there. */
function skipBlank(text: string, at: number): number {
  const char = text[at]!;
  if (space.test(char)) return at + 1;
  const two = text.slice(at, at + 2);
  if (two === '--' || two === '//' || two === '# ' || two === '#!') {
    const lineEnd = text.indexOf('\n', at);
    return lineEnd < 0 ? text.length : lineEnd;
  }
  return two === '/*' ? skipBlockComment(text, at) : at;
}

function skipBlockComment(text: string, start: number): number {
  let depth = 1;
  let at = start + 2;
  while (at < text.length) {
    const two = text.slice(at, at + 2);
    if (two === '/*') depth += 1;
    else if (two === '*/') depth -= 1;
    else {
      at += 1;
      continue;
    }
    at += 2;
    if (depth === 0) return at;
  }
  return text.length;
}

function readToken(text: string, start: number): Token | null {
  const char = text[start]!;
  if (char === "'" || char === '"' || char === '`') return readQuoted(text, start, char);
  if (char === '$') {
    const heredoc = readHeredoc(text, start);
    if (heredoc !== null) return heredoc;
  }
  if (wordStart.test(char)) {
    const end = endOf(text, start, wordPart);
    return { kind: 'word', start, end, text: text.slice(start, end) };
  }
  if (digit.test(char)) {
    const end = endOf(text, start, wordPart);
    const slice = text.slice(start, end);
    return { kind: /^\d+$/.test(slice) || /^0[xb]/i.test(slice) ? 'number' : 'word', start, end, text: slice };
  }
  return { kind: 'symbol', start, end: start + 1, text: char };
}

function endOf(text: string, start: number, part: RegExp): number {
  let end = start + 1;
  while (end < text.length && part.test(text[end]!)) end += 1;
  return end;
}

function readQuoted(text: string, start: number, quote: string): Token | null {
  const kind = quote === "'" ? 'string' : 'quoted';
  let at = start + 1;
  while (at < text.length) {
    const char = text[at];
    if (char === '\\') at += 2;
    else if (char !== quote) at += 1;
    else if (text[at + 1] === quote) at += 2;
    else return { kind, start, end: at + 1, text: unquote(text.slice(start + 1, at), quote) };
  }
  return null;
}

function readHeredoc(text: string, start: number): Token | null {
  const nameEnd = text.indexOf('$', start + 1);
  if (nameEnd < 0) return null;
  const mark = text.slice(start, nameEnd + 1);
  const closing = text.indexOf(mark, nameEnd + 1);
  if (closing < 0) return null;
  return { kind: 'string', start, end: closing + mark.length, text: text.slice(nameEnd + 1, closing) };
}

const escapes: Record<string, string> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', 0: '\0', a: '\x07', v: '\v' };

function unquote(inner: string, quote: string): string {
  if (!inner.includes('\\') && !inner.includes(quote)) return inner;
  return inner
    .replaceAll(quote + quote, quote)
    .replace(/\\(x[0-9A-Fa-f]{2}|.)/gs, (_, escape: string) =>
      escape.length === 3 ? String.fromCharCode(parseInt(escape.slice(1), 16)) : (escapes[escape] ?? escape),
    );
}
