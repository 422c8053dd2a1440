/** Bytes as the API sends them: text when a number would not be exact. */
export type Bytes = number | string;

/** What is not known. */
export const UNKNOWN = '–';

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];

export function toNumber(value: Bytes | null | undefined): number | null {
  if (value === null || value === undefined || value === '') return null;
  const number = Number(value);
  return Number.isFinite(number) ? number : null;
}

/** Power of 1024 in which a number of bytes is told, so that rounding never shows 1024.0. */
export function unitOf(bytes: number): { unit: string; size: number } {
  let size = 1;
  let at = 0;
  while (at < UNITS.length - 1 && Math.abs(bytes) / size >= (at === 0 ? 1024 : 1023.95)) {
    size *= 1024;
    at++;
  }
  return { unit: UNITS[at]!, size };
}

/** `1.5 GiB`; whole below 1 KiB. */
export function bytes(value: Bytes | null | undefined): string {
  const number = toNumber(value);
  if (number === null) return UNKNOWN;
  const { unit, size } = unitOf(number);
  return `${size === 1 ? Math.round(number) : (number / size).toFixed(1)} ${unit}`;
}

/** `+3.5 GiB/h`. */
export function rate(bytesPerHour: number | null | undefined): string {
  if (bytesPerHour === null || bytesPerHour === undefined) return UNKNOWN;
  const told = bytes(Math.abs(bytesPerHour));
  if (told === '0 B') return '0 B/h';
  return `${bytesPerHour < 0 ? '−' : '+'}${told}/h`;
}

export function percent(value: number | null | undefined): string {
  return value === null || value === undefined ? UNKNOWN : `${value.toFixed(1)} %`;
}

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0, useGrouping: true });

export function count(value: number | null | undefined): string {
  return value === null || value === undefined ? UNKNOWN : whole.format(value).replaceAll(',', '\u202f');
}

/** `1 node`, `20 nodes`. */
export function counted(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** Two units at most: `45 s`, `12 min`, `6 h 24 min`, `3 d 4 h`, `more than a year`. */
export function duration(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined) return UNKNOWN;
  const s = Math.max(0, Math.floor(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86_400) return two(Math.floor(s / 3600), 'h', Math.floor((s % 3600) / 60), 'min');
  if (s < 366 * 86_400) return two(Math.floor(s / 86_400), 'd', Math.floor((s % 86_400) / 3600), 'h');
  return 'more than a year';
}

function two(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 || large >= 100 ? `${large} ${largeUnit}` : `${large} ${largeUnit} ${small} ${smallUnit}`;
}

/** `12 s ago`, `in 3 h`; both times are epoch milliseconds. */
export function relative(at: number, now: number): string {
  const seconds = Math.round((now - at) / 1000);
  if (Math.abs(seconds) < 2) return 'now';
  const told = duration(Math.abs(seconds)).replace(/^(\d+ (?:h|d)) .*/, '$1');
  return seconds > 0 ? `${told} ago` : `in ${told}`;
}

/** Local time to the second, with its offset from UTC: for titles. */
export function absolute(at: number): string {
  const date = new Date(at);
  const offset = -date.getTimezoneOffset();
  const zone = `${offset < 0 ? '−' : '+'}${pad(Math.trunc(Math.abs(offset) / 60))}:${pad(Math.abs(offset) % 60)}`;
  return `${day(date)} ${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())} UTC${zone}`;
}

export function day(date: Date): string {
  return `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
}

export function pad(value: number): string {
  return String(value).padStart(2, '0');
}

/** What would move, hide or turn round the text beside it, as its code point instead. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}]/gu;

/** Names and command lines are whatever a program chose: each character that cannot be seen is shown. */
export function visible(text: string): string {
  return text.replace(UNSEEN, (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`);
}
