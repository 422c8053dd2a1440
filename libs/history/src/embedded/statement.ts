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

/** The parts of a whole statement that matter for where its result goes and for who may run it. */
export interface StatementShape {
  /** First word in upper case, or "(". */
  verb: string;
  /** Format named in the text. */
  format: string | null;
  /** Offset where `INTO OUTFILE …` has to go. */
  outputAt: number;
  /** Another statement follows a semicolon. */
  several: boolean;
  /** The text has INTO OUTFILE or FROM INFILE. */
  usesFiles: boolean;
  /** Words and quoted identifiers of the text that are in `watchedNames`, in lower case. */
  mentions: ReadonlySet<string>;
}

/** Names whose mere presence in a statement matters (see access.ts). */
export const watchedNames: ReadonlySet<string> = new Set(['select', 'identifier', 'file', 'catboostevaluate']);

/** Reads a statement without inline rows, in one pass that keeps nothing of it. */
export function readShape(text: string): StatementShape {
  const mentions = new Set<string>();
  let first: Token | null = null;
  let previous: Token | null = null;
  let ended = false;
  let several = false;
  let usesFiles = false;
  let end = text.length;
  /** The last FORMAT clause, as long as what follows its name can stand there. */
  let clause: { start: number; name: string } | null = null;
  let afterName = false;
  for (const token of lexSql(text)) {
    if (token.kind === 'word' || token.kind === 'quoted') {
      const name = token.text.toLowerCase();
      if (watchedNames.has(name)) mentions.add(name);
    }
    if (isSymbol(token, ';')) {
      ended = true;
      continue;
    }
    several ||= ended;
    usesFiles ||= isWord(token, 'OUTFILE') && isWord(previous, 'INTO');
    usesFiles ||= isWord(token, 'INFILE') && isWord(previous, 'FROM');
    first ??= token;
    if (isWord(previous, 'FORMAT') && token.kind === 'word') {
      clause = { start: previous!.start, name: token.text };
      afterName = true;
    } else if (afterName) {
      if (!isWord(token, 'SETTINGS')) clause = null;
      afterName = false;
    }
    end = token.end;
    previous = token;
  }
  return {
    verb: (first?.text ?? '').toUpperCase(),
    format: clause?.name ?? null,
    outputAt: clause?.start ?? end,
    several,
    usesFiles,
    mentions,
  };
}

function isSymbol(token: Token, text: string): boolean {
  return token.kind === 'symbol' && token.text === text;
}
