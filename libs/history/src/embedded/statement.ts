import { lexSql, type Token } from './sql-lexer.js';

/** An INSERT whose rows follow it: the statement up to where its data comes from, and what the data is. */
export interface InsertHead {
  kind: 'insert';
  /** Offset where `FROM INFILE …` has to go; everything before it stays. */
  sourceAt: number;
  /** [start, end) of the SETTINGS clause, empty when there is none. */
  settings: readonly [number, number];
  /** As written; "Values" for VALUES. */
  format: string;
  /** Offset of the first byte of the rows. */
  dataAt: number;
  /** [start, end) of the word `input` in `SELECT … FROM input('…')`, when the rows go through a SELECT. */
  input: readonly [number, number] | null;
  /** Offset of the last clause's end (before FORMAT or VALUES). */
  headEnd: number;
}

export interface PlainText {
  kind: 'plain';
}

/**
 * Looks at the start of a request's text and tells whether it is an INSERT with rows to follow. `text` has one char a
 * byte, so that offsets are byte offsets; nothing behind the format's name is read as SQL.
 */
export function readHead(text: string): InsertHead | PlainText {
  const tokens = lexSql(text);
  if (!isWord(next(tokens), 'INSERT') || !isWord(next(tokens), 'INTO')) return { kind: 'plain' };
  let token = skipTarget(tokens);
  let depth = 0;
  let settingsAt = -1;
  let selected = false;
  let input: readonly [number, number] | null = null;
  let previous: Token | null = null;
  for (; token !== null; previous = token, token = next(tokens)) {
    if (token.kind === 'symbol') {
      if (token.text === '(' && previous !== null && selected && isWord(previous, 'INPUT')) {
        input = [previous.start, previous.end];
      }
      depth += token.text === '(' ? 1 : token.text === ')' ? -1 : 0;
      if (token.text === ';' && depth === 0) return { kind: 'plain' };
    }
    if (depth !== 0 || token.kind !== 'word') continue;
    if (isWord(token, 'SELECT') || isWord(token, 'WITH')) selected = true;
    if (isWord(token, 'INFILE')) return { kind: 'plain' };
    if (isWord(token, 'SETTINGS') && settingsAt < 0 && !selected) settingsAt = token.start;
    if (isWord(token, 'VALUES') && !selected) return insertHead(text, token, token.end, 'Values', settingsAt, null);
    if (isWord(token, 'FORMAT') && (!selected || input !== null)) {
      const name = next(tokens);
      if (name?.kind !== 'word') return { kind: 'plain' };
      return insertHead(text, token, name.end, name.text, settingsAt, input);
    }
  }
  return { kind: 'plain' };
}

/** Past `[TABLE] [FUNCTION] name[.name]…`, so that a table named "format" is not taken for the clause. */
function skipTarget(tokens: Iterator<Token>): Token | null {
  let token = next(tokens);
  if (isWord(token, 'TABLE')) token = next(tokens);
  if (isWord(token, 'FUNCTION')) token = next(tokens);
  let after = next(tokens);
  while (after?.text === '.' && after.kind === 'symbol') {
    next(tokens);
    after = next(tokens);
  }
  return after;
}

function insertHead(
  text: string,
  clause: Token,
  nameEnd: number,
  format: string,
  settingsAt: number,
  input: readonly [number, number] | null,
): InsertHead {
  const headEnd = clause.start;
  const settings = settingsAt < 0 ? ([headEnd, headEnd] as const) : ([settingsAt, headEnd] as const);
  // As the engine has it: the rows start after the first line end, or after all blanks when there is none.
  let dataAt = nameEnd;
  while (dataAt < text.length && ' \t\f'.includes(text[dataAt]!)) dataAt += 1;
  if (text[dataAt] === '\r') dataAt += 1;
  if (text[dataAt] === '\n') dataAt += 1;
  return { kind: 'insert', sourceAt: settings[0], settings, format, dataAt, input, headEnd };
}

function next(tokens: Iterator<Token>): Token | null {
  const step = tokens.next();
  return step.done === true ? null : step.value;
}

function isWord(token: Token | null, word: string): boolean {
  return token?.kind === 'word' && token.text.toUpperCase() === word;
}

/** The parts of a whole statement that matter for where its result goes. */
export interface StatementShape {
  /** First word in upper case, or "(". */
  verb: string;
  /** Format named in the text. */
  format: string | null;
  /** Offset where `INTO OUTFILE …` has to go. */
  outputAt: number;
  /** Another statement follows a semicolon. */
  several: boolean;
  /** The text has an INTO OUTFILE or FROM INFILE of its own. */
  usesFiles: boolean;
  tokens: readonly Token[];
}

/** Reads a statement without inline rows. */
export function readShape(text: string): StatementShape {
  const tokens = [...lexSql(text)];
  let last = tokens.length;
  while (last > 0 && isSymbol(tokens[last - 1], ';')) last -= 1;
  const body = tokens.slice(0, last);
  const end = body.at(-1)?.end ?? text.length;
  const formatIndex = body.findLastIndex((token) => isWord(token, 'FORMAT'));
  const name = formatIndex >= 0 ? body[formatIndex + 1] : undefined;
  const named = name?.kind === 'word' && endsStatement(body, formatIndex + 2);
  return {
    verb: (tokens[0]?.text ?? '').toUpperCase(),
    format: named ? name.text : null,
    outputAt: named ? body[formatIndex]!.start : end,
    several: body.some((token) => isSymbol(token, ';')),
    usesFiles: tokens.some((token) => isWord(token, 'OUTFILE') || isWord(token, 'INFILE')),
    tokens,
  };
}

/** After `FORMAT name` comes nothing, or SETTINGS. */
function endsStatement(body: readonly Token[], index: number): boolean {
  return index >= body.length || isWord(body[index]!, 'SETTINGS');
}

function isSymbol(token: Token | undefined, text: string): boolean {
  return token?.kind === 'symbol' && token.text === text;
}
