import {
  accept,
  index36,
  keep,
  MAX_STEPS,
  need,
  number,
  peek,
  plain,
  remember,
  Unreadable,
  whole,
  type Cursor,
  type Type,
} from './itanium-cursor.js';
import { BUILTIN_TYPES, LITERAL_SUFFIX, OPERATORS, SPECIAL, STANDARD } from './itanium-words.js';

/**
 * C++ names of the Itanium ABI, chapter 5.1: nested names, templates, constructors, operators, lambdas, thunks,
 * substitutions. Null for the rare forms that are not read (expressions in template arguments, decltype) and for what is
 * no such name; tools that know them all are asked first.
 */
export function demangleItanium(name: string): string | null {
  const start = /^_{1,2}Z/.exec(name)?.[0].length;
  if (start === undefined) return null;
  const cursor: Cursor = {
    text: name,
    at: start,
    steps: 0,
    written: 0,
    substitutions: [],
    parameters: [],
    expanding: null,
  };
  try {
    const text = outermost(cursor);
    const rest = name.slice(cursor.at);
    if (rest === '') return text;
    // Clones that the compiler made of a function: .constprop.0, .isra.1, .cold, .part.2, .llvm.123
    return /^[.@]/.test(rest) ? `${text} [clone ${rest}]` : null;
  } catch (error) {
    if (error instanceof Unreadable || error instanceof RangeError) return null;
    throw error;
  }
}

/** When only the parameters of a function are not read, its name is still worth more than all of the linked name. */
function outermost(c: Cursor): string {
  const begin = c.at;
  try {
    return encoding(c);
  } catch (error) {
    c.at = begin;
    if (!(error instanceof Unreadable) || c.steps > MAX_STEPS || peek(c) === 'T' || peek(c, 2) === 'GV') throw error;
    c.substitutions = [];
    c.expanding = null;
    const { text } = name(c);
    c.at = c.text.length;
    return `${text}(...)`;
  }
}

function encoding(c: Cursor): string {
  if (peek(c) === 'T' || peek(c, 2) === 'GV') return special(c);
  const entity = name(c);
  if (c.at >= c.text.length || /[E.@]/.test(peek(c))) return entity.text;
  const returns = entity.isTemplate && !entity.isSpecial ? type(c) : null;
  const parameters = parameterList(c);
  const text = `${entity.text}(${parameters})${entity.qualifiers}`;
  if (returns === null) return keep(c, text);
  const space = returns.kind === 'declared' && returns.left.endsWith('*') ? '' : ' ';
  return keep(c, `${returns.left}${space}${text}${returns.right}`);
}

function special(c: Cursor): string {
  if (accept(c, 'GV')) return keep(c, `guard variable for ${name(c).text}`);
  const title = SPECIAL[peek(c, 2)];
  if (title !== undefined) {
    c.at += 2;
    return keep(c, title + whole(type(c)));
  }
  if (accept(c, 'TW')) return keep(c, `TLS wrapper function for ${name(c).text}`);
  if (accept(c, 'TH')) return keep(c, `TLS init function for ${name(c).text}`);
  const offset = /^T(?:hn?\d+_|vn?\d+_n?\d+_)/.exec(peek(c, 40))?.[0];
  if (offset === undefined) throw new Unreadable();
  c.at += offset.length;
  return keep(c, `${offset[1] === 'v' ? 'virtual' : 'non-virtual'} thunk to ${encoding(c)}`);
}

function parameterList(c: Cursor): string {
  const all: string[] = [];
  while (c.at < c.text.length && !/[E.@]/.test(peek(c))) {
    if (peek(c, 2) === 'RE' || peek(c, 2) === 'OE') break;
    all.push(whole(type(c)));
  }
  if (all.length === 0) throw new Unreadable();
  return all.length === 1 && all[0] === 'void' ? '' : keep(c, all.filter((one) => one !== '').join(', '));
}

interface Named {
  text: string;
  /** Ends with template arguments, so the type that follows begins with what the function returns. */
  isTemplate: boolean;
  /** Constructor, destructor or conversion: returns nothing that is written. */
  isSpecial: boolean;
  /** Of the object: ` const`, ` &`. */
  qualifiers: string;
}

function name(c: Cursor): Named {
  if (accept(c, 'N')) return nested(c);
  if (accept(c, 'Z')) return local(c);
  let text: string;
  let part: Part = { text: '', isSpecial: false };
  const isSubstitution = peek(c) === 'S' && peek(c, 2) !== 'St';
  if (isSubstitution) text = whole(substitution(c));
  else {
    const prefix = accept(c, 'St') ? 'std::' : '';
    part = unqualified(c, '');
    text = prefix + part.text;
  }
  const isTemplate = peek(c) === 'I';
  if (isTemplate) {
    if (!isSubstitution) remember(c, plain(text));
    text = keep(c, text + templateArguments(c));
  }
  return { text, isTemplate, isSpecial: part.isSpecial, qualifiers: '' };
}

const QUALIFIERS: Record<string, string> = { r: ' restrict', V: ' volatile', K: ' const', R: ' &', O: ' &&' };

function nested(c: Cursor): Named {
  const qualifiers = /^[rVK]*[RO]?/.exec(peek(c, 5))![0];
  c.at += qualifiers.length;
  let text = '';
  let last = '';
  let isTemplate = false;
  let isSpecial = false;
  while (!accept(c, 'E')) {
    if (accept(c, 'I')) {
      c.at -= 1;
      text = keep(c, text + templateArguments(c));
      isTemplate = true;
    } else {
      isTemplate = false;
      const step = nestedPart(c, text, last);
      ({ text, last, isSpecial } = step);
      if (step.isKnown) continue;
    }
    if (peek(c) !== 'E') remember(c, plain(text));
  }
  // The reference comes last, the others are written from the inside out.
  const letters = [...qualifiers.replace(/[RO]/, '')].reverse().join('') + qualifiers.replace(/[rVK]/g, '');
  return { text, isTemplate, isSpecial, qualifiers: [...letters].map((one) => QUALIFIERS[one]!).join('') };
}

function nestedPart(
  c: Cursor,
  text: string,
  last: string,
): { text: string; last: string; isSpecial: boolean; isKnown: boolean } {
  if (text === '' && peek(c) === 'S') {
    const found = whole(substitution(c));
    const plainName = found.replace(/<.*$/s, '');
    const isString = /^std::(string|istream|ostream|iostream)$/.exec(plainName);
    const own = isString === null ? plainName.slice(plainName.lastIndexOf(':') + 1) : `basic_${isString[1]}`;
    return { text: found, last: own, isSpecial: false, isKnown: true };
  }
  if (text === '' && peek(c) === 'T') {
    const found = whole(templateParameter(c));
    return { text: found, last: found, isSpecial: false, isKnown: false };
  }
  const part = unqualified(c, last);
  const joined = keep(c, text === '' ? part.text : `${text}::${part.text}`);
  return { text: joined, last: part.isSpecial ? last : part.text, isSpecial: part.isSpecial, isKnown: false };
}

function local(c: Cursor): Named {
  const kept = c.parameters;
  const outer = encoding(c);
  need(c, 'E');
  if (accept(c, 's')) {
    discriminator(c);
    return { text: keep(c, `${outer}::string literal`), isTemplate: false, isSpecial: false, qualifiers: '' };
  }
  c.parameters = kept;
  if (accept(c, 'd')) index36(c);
  const inner = name(c);
  discriminator(c);
  return { ...inner, text: keep(c, `${outer}::${inner.text}`) };
}

function discriminator(c: Cursor): void {
  const found = /^(?:__\d+_|_\d)/.exec(peek(c, 10))?.[0];
  if (found !== undefined) c.at += found.length;
}

interface Part {
  text: string;
  isSpecial: boolean;
}

/** One part of a name; `last` is the one before, after which constructors are called. */
function unqualified(c: Cursor, last: string): Part {
  if (++c.steps > MAX_STEPS) throw new Unreadable();
  accept(c, 'L');
  const two = peek(c, 2);
  if (/^\d/.test(two)) return { text: tagged(c, sourceName(c)), isSpecial: false };
  if (/^C[1-5]/.test(two) || /^D[0-5]/.test(two)) {
    if (last === '') throw new Unreadable();
    c.at += 2;
    return { text: tagged(c, two.startsWith('C') ? last : `~${last}`), isSpecial: true };
  }
  if (accept(c, 'Ut')) return { text: `{unnamed type#${ordinal(c)}}`, isSpecial: false };
  if (accept(c, 'Ul')) {
    const parameters = parameterList(c);
    need(c, 'E');
    return { text: keep(c, `{lambda(${parameters})#${ordinal(c)}}`), isSpecial: false };
  }
  if (accept(c, 'cv')) return { text: `operator ${whole(type(c))}`, isSpecial: true };
  if (accept(c, 'li')) return { text: `operator"" ${sourceName(c)}`, isSpecial: false };
  const operator = OPERATORS[two];
  if (operator === undefined) throw new Unreadable();
  c.at += 2;
  return { text: tagged(c, `operator${operator}`), isSpecial: false };
}

/** Of lambdas and unnamed types: _ is the first, 0_ the second. */
function ordinal(c: Cursor): number {
  if (accept(c, '_')) return 1;
  const value = number(c) + 2;
  need(c, '_');
  return value;
}

function sourceName(c: Cursor): string {
  const length = number(c);
  const text = peek(c, length);
  if (length === 0 || text.length < length) throw new Unreadable();
  c.at += length;
  return text.startsWith('_GLOBAL__N') ? '(anonymous namespace)' : text;
}

function tagged(c: Cursor, text: string): string {
  let all = text;
  while (accept(c, 'B')) all += `[abi:${sourceName(c)}]`;
  return keep(c, all);
}

function substitution(c: Cursor): Type {
  need(c, 'S');
  const standard = STANDARD[peek(c)];
  if (standard !== undefined) {
    c.at += 1;
    if (standard !== 'std') return plain(standard);
    // St begins a name of its own: std::NAME, which can be named again.
    return plain('std');
  }
  const found = c.substitutions[index36(c)];
  if (found === undefined) throw new Unreadable();
  return found;
}

function templateParameter(c: Cursor): Type {
  need(c, 'T');
  const found = c.parameters[index36(c)];
  if (found === undefined) throw new Unreadable();
  if (found.pack === undefined || c.expanding === null) return found;
  c.expanding.length = found.pack.length;
  return found.pack[c.expanding.index] ?? plain('');
}

/** Dp: its pattern is read once for each type of the pack that it names, and counts once for substitutions. */
function expansion(c: Cursor): Type {
  const begin = c.at;
  const before = c.substitutions.length;
  const kept = c.expanding;
  const expanding = { index: 0, length: 1 };
  const all: string[] = [];
  c.expanding = expanding;
  do {
    c.at = begin;
    c.substitutions.length = before;
    const one = whole(type(c));
    if (expanding.index < expanding.length) all.push(one);
  } while (++expanding.index < expanding.length);
  c.expanding = kept;
  return plain(keep(c, all.join(', ')));
}

function templateArguments(c: Cursor): string {
  need(c, 'I');
  const all: Type[] = [];
  while (!accept(c, 'E')) all.push(templateArgument(c));
  c.parameters = all;
  return keep(
    c,
    `<${all
      .map(whole)
      .filter((one) => one !== '')
      .join(', ')}>`,
  );
}

function templateArgument(c: Cursor): Type {
  const kept = c.parameters;
  let found: Type;
  if (accept(c, 'L')) found = plain(literal(c));
  else if (accept(c, 'J')) {
    const pack: Type[] = [];
    while (!accept(c, 'E')) pack.push(templateArgument(c));
    found = { ...plain(keep(c, pack.map(whole).join(', '))), pack };
  } else if (peek(c) === 'X') throw new Unreadable();
  else found = type(c);
  c.parameters = kept;
  return found;
}

function literal(c: Cursor): string {
  if (accept(c, '_Z')) {
    const text = encoding(c);
    need(c, 'E');
    return `&${text}`;
  }
  const letter = peek(c);
  const of = whole(type(c));
  const value = /^n?\d*/.exec(peek(c, 64))![0];
  c.at += value.length;
  need(c, 'E');
  const shown = value.replace('n', '-');
  if (letter === 'b') return shown === '0' ? 'false' : 'true';
  const suffix = LITERAL_SUFFIX[letter];
  return keep(c, suffix === undefined ? `(${of})${shown}` : shown + suffix);
}

const POINTERS: Record<string, string> = { P: '*', R: '&', O: '&&' };

function type(c: Cursor): Type {
  if (++c.steps > MAX_STEPS) throw new Unreadable();
  const kept = c.parameters;
  const found = anyType(c);
  c.parameters = kept;
  return found;
}

function anyType(c: Cursor): Type {
  const one = peek(c);
  const builtin = BUILTIN_TYPES[one] ?? (one === 'D' ? BUILTIN_TYPES[peek(c, 2)] : undefined);
  if (builtin !== undefined) {
    c.at += BUILTIN_TYPES[one] === undefined ? 2 : 1;
    return plain(builtin);
  }
  const mark = POINTERS[one];
  if (mark !== undefined) {
    c.at += 1;
    return remember(c, pointer(c, type(c), mark));
  }
  const qualifiers = /^[rVK]+/.exec(peek(c, 3))?.[0];
  if (qualifiers !== undefined) return remember(c, qualified(c, qualifiers));
  if (one === 'F') return remember(c, functionType(c));
  if (one === 'A') return remember(c, arrayType(c));
  if (one === 'M') return remember(c, memberPointer(c));
  if (accept(c, 'Dp')) return expansion(c);
  if (accept(c, 'u')) return remember(c, plain(sourceName(c)));
  if (one === 'T') return templateTyped(c, remember(c, templateParameter(c)));
  if (one === 'S' && peek(c, 2) !== 'St') {
    const found = substitution(c);
    return peek(c) === 'I' ? templateTyped(c, found) : found;
  }
  if (one === 'N' || one === 'Z' || one === 'S' || /\d/.test(one)) return remember(c, plain(name(c).text));
  throw new Unreadable();
}

function templateTyped(c: Cursor, found: Type): Type {
  if (peek(c) !== 'I') return found;
  return remember(c, plain(keep(c, whole(found) + templateArguments(c))));
}

function pointer(c: Cursor, to: Type, mark: string): Type {
  // A reference to a reference is one: & wins.
  if (mark !== '*' && to.left.endsWith('&')) {
    return mark === '&' ? { ...to, left: to.left.replace(/&+$/, '&') } : to;
  }
  if (to.right !== '' && to.kind === 'plain') {
    return { left: keep(c, `${to.left} (${mark}`), right: `)${behind(to)}`, kind: 'declared' };
  }
  return { ...to, left: keep(c, to.left + mark) };
}

function behind({ right }: Type): string {
  return right.startsWith(' (') ? right.slice(1) : right;
}

function qualified(c: Cursor, letters: string): Type {
  c.at += letters.length;
  const of = type(c);
  const words = [...letters].reverse().map((one) => QUALIFIERS[one]!);
  const isFunction = of.kind === 'plain' && of.right.startsWith(' (');
  if (isFunction) return { ...of, right: of.right + words.join('') };
  return { ...of, left: keep(c, of.left + words.join('')) };
}

function functionType(c: Cursor): Type {
  need(c, 'F');
  accept(c, 'Y');
  const returns = type(c);
  const parameters = parameterList(c);
  const reference = accept(c, 'R') ? ' &' : accept(c, 'O') ? ' &&' : '';
  need(c, 'E');
  return { left: returns.left, right: keep(c, ` (${parameters})${reference}${returns.right}`), kind: 'plain' };
}

function arrayType(c: Cursor): Type {
  need(c, 'A');
  const size = /^\d*/.exec(peek(c, 20))![0];
  c.at += size.length;
  need(c, '_');
  const of = type(c);
  return { left: of.left, right: keep(c, ` [${size}]${of.right.trimStart()}`), kind: 'plain' };
}

function memberPointer(c: Cursor): Type {
  need(c, 'M');
  const owner = whole(type(c));
  const member = type(c);
  if (member.right === '') return plain(keep(c, `${member.left} ${owner}::*`));
  return { left: keep(c, `${member.left} (${owner}::*`), right: `)${behind(member)}`, kind: 'declared' };
}
