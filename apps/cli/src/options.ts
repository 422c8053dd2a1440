import { InvalidArgumentError } from 'commander';
import { CliError, Exit } from './exit-codes.js';
import { DEFAULT_URL, type CliEnvironment } from './config.js';
import type { ApiAddress } from './api/client.js';

/** Options that every command takes. */
export interface CommonOptions {
  json?: boolean;
  url?: string;
  token?: string;
}

/** A parser of whole numbers from `least` to `most` for an option. */
export function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const number = Number(text);
    if (/^\d{1,15}$/.test(text) && number >= least && number <= most) return number;
    throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`);
  };
}

const SUFFIXES = ['', 'k', 'm', 'g', 't', 'p'];

/** Bytes of `123`, `64K`, `1.5G`, `200MiB`: powers of 1024. */
export function parseBytes(text: string): number {
  const match = /^(\d{1,15}(?:\.\d{1,6})?)\s?(?:([kmgtp])(?:i?b)?|b)?$/i.exec(text);
  const power = SUFFIXES.indexOf((match?.[2] ?? '').toLowerCase());
  const bytes = match ? Math.round(Number(match[1]) * 1024 ** power) : NaN;
  if (Number.isSafeInteger(bytes)) return bytes;
  throw new InvalidArgumentError(
    `It must be a size from 0 to 8P: a number, with K, M, G, T or P (powers of 1024) if you like.`,
  );
}

/** A parser for one of a closed list, in either case; gives the name as listed. */
export function oneOf<Name extends string>(names: readonly Name[]): (text: string) => Name {
  return (text) => {
    const found = names.find((name) => name.toLowerCase() === text.toLowerCase());
    if (found !== undefined) return found;
    throw new InvalidArgumentError(`${suggestion(text, names)}It must be one of ${names.join(', ')}.`);
  };
}

/** A parser for some of a closed list, apart by commas; an option given twice adds up. */
export function someOf<Name extends string>(
  names: readonly Name[],
): (text: string, before: Name[] | undefined) => Name[] {
  const parse = oneOf(names);
  return (text, before = []) => [...before, ...text.split(',').map((part) => parse(part.trim()))];
}

/** Collects an option that may be given more than once. */
export function repeated(text: string, before: string[] | undefined): string[] {
  if (text === '') throw new InvalidArgumentError('It must not be empty.');
  return [...(before ?? []), text];
}

export function nonEmpty(text: string): string {
  if (text === '') throw new InvalidArgumentError('It must not be empty.');
  return text;
}

function suggestion(text: string, names: readonly string[]): string {
  const near = nearest(text, names);
  return near === undefined ? '' : `Did you mean ${near}? `;
}

/** The name most like `text`, when one is like it at all: a third of its letters may differ. */
export function nearest(text: string, names: readonly string[]): string | undefined {
  const wanted = text.toLowerCase();
  let best: string | undefined;
  let least = Math.max(1, Math.floor(wanted.length / 3)) + 1;
  for (const name of names) {
    const distance = editDistance(wanted, name.toLowerCase(), least);
    if (distance < least) [best, least] = [name, distance];
  }
  return best;
}

/** Letters to insert, delete or replace to make `b` of `a` (Levenshtein); gives up at `bound`. */
function editDistance(a: string, b: string, bound: number): number {
  if (Math.abs(a.length - b.length) >= bound || a.length > 256) return bound;
  let row = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replace = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replace, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return Math.min(bound, row[b.length] ?? bound);
}

/** Names in a sentence: the first few, then how many more there are. */
export function listNames(names: readonly string[], most = 10): string {
  const shown = names.slice(0, most).join(', ');
  return names.length > most ? `${shown} and ${names.length - most} more` : shown;
}

/** Where to ask: the option, else the environment, else this host. Throws CliError for what is no http address. */
export function resolveAddress(options: CommonOptions, environment: CliEnvironment): ApiAddress {
  const [text, from] =
    options.url !== undefined
      ? [options.url, '--url']
      : environment.url !== undefined
        ? [environment.url, 'TIDEMARK_URL']
        : [DEFAULT_URL, 'default'];
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new CliError(
      Exit.Usage,
      `${from} "${text.slice(0, 200)}" must be an http or https address such as ${DEFAULT_URL}`,
    );
  }
  if (url.username !== '' || url.password !== '') {
    throw new CliError(Exit.Usage, `${from} must not hold a user or password: the API takes a token, by --token`);
  }
  if (url.pathname === '/') url.pathname = '/graphql';
  const token = options.token ?? environment.token;
  if (token !== undefined && !/^[\x21-\x7e]+$/.test(token)) {
    throw new CliError(Exit.Usage, 'the token must be of printable ASCII characters without spaces');
  }
  return { url: url.href, token };
}
