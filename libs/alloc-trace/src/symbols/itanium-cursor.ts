export class Unreadable extends Error {}

/** Hostile names double with each substitution: the bounds stop them early. */
export const MAX_STEPS = 20_000;
const MAX_PART = 65_536;
const MAX_WRITTEN = 4 * 1024 * 1024;

/** What stands before and behind a name that is declared to be of the type; `kind` says what a pointer to it looks like. */
export interface Type {
  left: string;
  right: string;
  kind: 'plain' | 'declared';
  /** A parameter pack: these one after the other. */
  pack?: Type[];
}

export interface Cursor {
  readonly text: string;
  at: number;
  steps: number;
  written: number;
  substitutions: Type[];
  /** Arguments of the template that is named last: what T_, T0_, … stand for. */
  parameters: Type[];
  /** While a pack is expanded: which of its types a parameter stands for, and how many there are once that is known. */
  expanding: { index: number; length: number } | null;
}

export function plain(left: string): Type {
  return { left, right: '', kind: 'plain' };
}

export function whole({ left, right }: Type): string {
  return left + right;
}

export function peek(c: Cursor, length = 1): string {
  return c.text.slice(c.at, c.at + length);
}

export function accept(c: Cursor, wanted: string): boolean {
  if (++c.steps > MAX_STEPS) throw new Unreadable();
  if (!c.text.startsWith(wanted, c.at)) return false;
  c.at += wanted.length;
  return true;
}

export function need(c: Cursor, wanted: string): void {
  if (!accept(c, wanted)) throw new Unreadable();
}

export function keep(c: Cursor, text: string): string {
  c.written += text.length;
  if (text.length > MAX_PART || c.written > MAX_WRITTEN) throw new Unreadable();
  return text;
}

export function remember(c: Cursor, type: Type): Type {
  c.substitutions.push(type);
  return type;
}

export function number(c: Cursor): number {
  const digits = /^\d{1,6}/.exec(peek(c, 6))?.[0];
  if (digits === undefined) throw new Unreadable();
  c.at += digits.length;
  return Number(digits);
}

/** _ is 0, 0_ is 1, in base 36. */
export function index36(c: Cursor): number {
  const digits = /^[0-9A-Z]{0,4}_/.exec(peek(c, 5))?.[0];
  if (digits === undefined) throw new Unreadable();
  c.at += digits.length;
  return digits === '_' ? 0 : parseInt(digits.slice(0, -1), 36) + 1;
}
