const ESCAPES: Record<string, string> = {
  SP: '@',
  BP: '*',
  RF: '&',
  LT: '<',
  GT: '>',
  LP: '(',
  RP: ')',
  C: ',',
};

/** Old scheme: C++ names whose last part is a hash. Null for what is no Rust name. */
export function demangleRust(name: string): string | null {
  if (/^_R[A-Z]/.test(name)) return demangleV0(name.slice(2));
  const old = /^_ZN(.*)17h([0-9a-f]{16})E(?:\.\S*)?$/.exec(name);
  if (old === null) return null;
  const parts: string[] = [];
  let rest = old[1]!;
  while (rest !== '') {
    const length = /^\d+/.exec(rest)?.[0];
    if (length === undefined) return null;
    parts.push(rest.slice(length.length, length.length + Number(length)));
    rest = rest.slice(length.length + Number(length));
  }
  return parts.map(unescaped).join('::');
}

/** `a::b::h0123456789abcdef` without the hash, its escapes undone; null when the name is no such one. */
export function plainRustPath(name: string): string | null {
  const match = /^(.*)::h[0-9a-f]{16}$/.exec(name);
  return match === null ? null : unescaped(match[1]!);
}

/** rustc's legacy mangling: $LT$ and the like, $u7e$ for any character, .. for ::, _ before a leading $. */
function unescaped(text: string): string {
  return text
    .replace(/(^|::)_\$/g, '$1$$')
    .replace(/\$([A-Z]{1,2}|u[0-9a-f]{1,6})\$/g, (whole, code: string) => {
      if (!code.startsWith('u')) return ESCAPES[code] ?? whole;
      const point = parseInt(code.slice(1), 16);
      return point >= 0x20 && point <= 0x10ffff ? String.fromCodePoint(point) : whole;
    })
    .replace(/\.\./g, '::');
}

/** Steps after which a name is hostile: back references can make short names grow without end. */
const MAX_STEPS = 10_000;
const MAX_TEXT = 65_536;

class Unreadable extends Error {}

const BASIC: Record<string, string> = {
  a: 'i8', b: 'bool', c: 'char', d: 'f64', e: 'str', f: 'f32', h: 'u8', i: 'isize', j: 'usize', l: 'i32', m: 'u32',
  n: 'i128', o: 'u128', p: '_', s: 'i16', t: 'u16', u: '()', v: '...', x: 'i64', y: 'u64', z: '!',
}; // prettier-ignore

/** RFC 2603. Lifetimes are left out, as are the hashes of crates. Null when it does not follow the scheme. */
function demangleV0(text: string): string | null {
  try {
    return path({ text, at: 0, steps: 0, written: 0 }, true);
  } catch (error) {
    if (error instanceof Unreadable || error instanceof RangeError) return null;
    throw error;
  }
}

interface Cursor {
  readonly text: string;
  at: number;
  steps: number;
  written: number;
}

function peek(c: Cursor): string {
  return c.text[c.at] ?? '';
}
function next(c: Cursor): string {
  if (c.at >= c.text.length || ++c.steps > MAX_STEPS) throw new Unreadable();
  return c.text[c.at++]!;
}

function accept(c: Cursor, wanted: string): boolean {
  if (peek(c) !== wanted) return false;
  c.at += 1;
  return true;
}

function keep(c: Cursor, part: string): string {
  c.written += part.length;
  if (c.written > MAX_TEXT * 16 || part.length > MAX_TEXT) throw new Unreadable();
  return part;
}

/** _ is 0, 0_ is 1, in base 62. */
function base62(c: Cursor): number {
  if (accept(c, '_')) return 0;
  let value = 0;
  for (let digit = next(c); digit !== '_'; digit = next(c)) {
    const index = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'.indexOf(digit);
    if (index < 0) throw new Unreadable();
    value = value * 62 + index;
  }
  return value + 1;
}

function disambiguator(c: Cursor): number {
  return accept(c, 's') ? base62(c) + 1 : 0;
}
function identifier(c: Cursor): string {
  const encoded = accept(c, 'u');
  const digits = /^\d+/.exec(c.text.slice(c.at, c.at + 6))?.[0];
  if (digits === undefined) throw new Unreadable();
  c.at += digits.length;
  accept(c, '_');
  const length = Number(digits);
  if (c.at + length > c.text.length) throw new Unreadable();
  const name = c.text.slice(c.at, c.at + length);
  c.at += length;
  return encoded ? `punycode{${name}}` : name;
}

function back<T>(c: Cursor, read: () => T): T {
  const from = c.at - 1;
  const target = base62(c);
  if (target >= from) throw new Unreadable();
  const kept = c.at;
  c.at = target;
  const value = read();
  c.at = kept;
  return value;
}

function until(c: Cursor, read: () => string): string[] {
  const all: string[] = [];
  while (!accept(c, 'E')) all.push(read());
  return all;
}

function genericArgument(c: Cursor): string {
  if (accept(c, 'L')) {
    base62(c);
    return "'_";
  }
  return accept(c, 'K') ? constant(c) : type(c);
}

function path(c: Cursor, value: boolean): string {
  const tag = next(c);
  if (tag === 'C') {
    disambiguator(c);
    return identifier(c);
  }
  if (tag === 'M' || tag === 'X') {
    disambiguator(c);
    path(c, false);
    const self = type(c);
    return keep(c, tag === 'M' ? `<${self}>` : `<${self} as ${path(c, false)}>`);
  }
  if (tag === 'Y') return keep(c, `<${type(c)} as ${path(c, false)}>`);
  if (tag === 'N') {
    const space = next(c);
    const outer = path(c, value);
    const number = disambiguator(c);
    const name = identifier(c);
    if (space === 'C' || space === 'S') {
      const kind = space === 'C' ? 'closure' : 'shim';
      return keep(c, `${outer}::{${kind}${name === '' ? '' : `:${name}`}#${number}}`);
    }
    return keep(c, name === '' ? outer : `${outer}::${name}`);
  }
  if (tag === 'I') {
    const outer = path(c, value);
    const list = until(c, () => genericArgument(c)).filter((one) => one !== "'_");
    return keep(c, list.length === 0 ? outer : `${outer}${value ? '::' : ''}<${list.join(', ')}>`);
  }
  if (tag === 'B') return back(c, () => path(c, value));
  throw new Unreadable();
}

function constant(c: Cursor): string {
  const tag = next(c);
  if (tag === 'p') return '_';
  if (tag === 'B') return back(c, () => constant(c));
  const sign = accept(c, 'n') ? '-' : '';
  let digits = '';
  for (let digit = next(c); digit !== '_'; digit = next(c)) digits += digit;
  if (!/^[0-9a-f]*$/.test(digits)) throw new Unreadable();
  if (tag === 'b') return digits === '1' ? 'true' : 'false';
  if (tag === 'c') return `'\\u{${digits || '0'}}'`;
  return sign + BigInt(`0x${digits || '0'}`).toString();
}

function functionType(c: Cursor): string {
  const hasBinder = accept(c, 'G');
  if (hasBinder) base62(c);
  const unsafe = accept(c, 'U') ? 'unsafe ' : '';
  const abi = accept(c, 'K') ? `extern "${accept(c, 'C') ? 'C' : identifier(c).replaceAll('_', '-')}" ` : '';
  const parameters = until(c, () => type(c)).join(', ');
  const result = type(c);
  return keep(c, `${unsafe}${abi}fn(${parameters})${result === '()' ? '' : ` -> ${result}`}`);
}

function dynamicType(c: Cursor): string {
  if (accept(c, 'G')) base62(c);
  const traits = until(c, () => {
    let trait = path(c, false);
    while (accept(c, 'p')) trait = keep(c, `${trait} with ${identifier(c)} = ${type(c)}`);
    return trait;
  });
  if (accept(c, 'L')) base62(c);
  return keep(c, `dyn ${traits.join(' + ')}`);
}

function type(c: Cursor): string {
  const tag = next(c);
  const basic = BASIC[tag];
  if (basic !== undefined) return basic;
  if (tag === 'A') return keep(c, `[${type(c)}; ${constant(c)}]`);
  if (tag === 'S') return keep(c, `[${type(c)}]`);
  if (tag === 'T') {
    const parts = until(c, () => type(c));
    return keep(c, `(${parts.join(', ')}${parts.length === 1 ? ',' : ''})`);
  }
  if (tag === 'R' || tag === 'Q') {
    if (accept(c, 'L')) base62(c);
    return keep(c, `&${tag === 'Q' ? 'mut ' : ''}${type(c)}`);
  }
  if (tag === 'P') return keep(c, `*const ${type(c)}`);
  if (tag === 'O') return keep(c, `*mut ${type(c)}`);
  if (tag === 'F') return functionType(c);
  if (tag === 'D') return dynamicType(c);
  if (tag === 'B') return back(c, () => type(c));
  c.at -= 1;
  return path(c, false);
}
