import { eastAsianWidth } from 'get-east-asian-width';

/**
 * What must never reach a terminal from a process name, a command line or a server: control characters (they start
 * escape sequences), bidirectional overrides (they show text in another order than it is), line separators, invisible
 * joiners and variation selectors (terminals disagree about their width), lone surrogates, tags, and what is unassigned
 * or private.
 */
const UNPRINTABLE =
  /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0\ufe00-\ufe0f]/gu;

/** Code points that only change the one before them: at most this many in a row are kept. */
const MAX_MARKS = 2;
const LONG_MARKS = new RegExp(`(\\p{M}{${MAX_MARKS}})\\p{M}+`, 'gu');

const PLAIN_ASCII = /^[\x20-\x7e]*$/;

/**
 * The text with everything unprintable made visible and harmless: C0 controls and DEL as their control pictures
 * (`␛`, `␊`), invisible joiners left out, the rest as `�`. Idempotent; printable text comes back as it is.
 */
export function printable(text: string): string {
  if (PLAIN_ASCII.test(text)) return text;
  return text.replace(UNPRINTABLE, picture).replace(LONG_MARKS, '$1');
}

function picture(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  if (code < 0x20) return String.fromCodePoint(0x2400 + code);
  if (code === 0x7f) return '␡';
  return isInvisible(code) ? '' : '\ufffd';
}

/** Joiners, selectors and fillers that harm nobody but have no agreed width. */
function isInvisible(code: number): boolean {
  return (
    code === 0x00ad ||
    code === 0x034f ||
    (code >= 0x200b && code <= 0x200d) ||
    code === 0x2060 ||
    code === 0xfeff ||
    (code >= 0xfe00 && code <= 0xfe0f)
  );
}

/** As {@link printable}, but safe inside JSON text: what JSON leaves unescaped is written as `\uXXXX`. */
export function printableJson(value: unknown, indent?: number): string {
  const text = JSON.stringify(value, null, indent);
  // Line breaks of the indentation are the only control characters that JSON.stringify itself writes.
  return PLAIN_ASCII.test(text) ? text : text.replace(UNPRINTABLE, (c) => (c === '\n' ? c : escapeUnits(c)));
}

function escapeUnits(character: string): string {
  let escaped = '';
  for (let unit = 0; unit < character.length; unit++) {
    escaped += `\\u${character.charCodeAt(unit).toString(16).padStart(4, '0')}`;
  }
  return escaped;
}

const ZERO_WIDTH = /[\p{Mn}\p{Me}\u1160-\u11ff]/u;

/** Columns that one code point of printable text takes: 0 for a combining mark, 2 for East Asian wide, else 1. */
function widthOf(character: string): number {
  const code = character.codePointAt(0) ?? 0;
  if (code < 0x300) return 1;
  return ZERO_WIDTH.test(character) ? 0 : eastAsianWidth(code);
}

/** Columns that printable text takes on a terminal. */
export function displayWidth(text: string): number {
  if (PLAIN_ASCII.test(text)) return text.length;
  let width = 0;
  for (const character of text) width += widthOf(character);
  return width;
}

/** The longest head of printable text that fits `width` columns, with `…` in its last column when something was cut. */
export function truncate(text: string, width: number): string {
  if (width <= 0) return '';
  if (PLAIN_ASCII.test(text)) return text.length <= width ? text : `${text.slice(0, width - 1)}…`;
  let used = 0;
  let kept = '';
  let head = '';
  for (const character of text) {
    used += widthOf(character);
    if (used > width) return `${head}…`;
    kept += character;
    if (used <= width - 1) head = kept;
  }
  return text;
}

/** Printable text cut or filled to exactly `width` columns. */
export function fit(text: string, width: number, align: 'left' | 'right' = 'left'): string {
  const cut = truncate(text, width);
  const fill = ' '.repeat(Math.max(0, width - displayWidth(cut)));
  return align === 'left' ? cut + fill : fill + cut;
}
