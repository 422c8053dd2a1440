/** Shown where a value is unknown: never 0. */
export const UNKNOWN = '–';

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'] as const;

/**
 * Bytes for a person, in powers of 1024 with three or four significant digits: `0 B`, `1023 B`, `1.00 KiB`, `12.5 MiB`,
 * `1023 GiB`. A negative number keeps its sign.
 */
export function formatBytes(bytes: number | null | undefined): string {
  if (bytes === null || bytes === undefined || !Number.isFinite(bytes)) return UNKNOWN;
  const { text, unit } = scale(bytes);
  return `${text} ${UNITS[unit]}`;
}

/** As {@link formatBytes} for table cells: `0`, `512K`, `12.5M`, `1023G`. At most five columns below 1 EiB, six with a sign. */
export function formatBytesShort(bytes: number | null | undefined): string {
  if (bytes === null || bytes === undefined || !Number.isFinite(bytes)) return UNKNOWN;
  const { text, unit } = scale(bytes);
  if (unit === 0) return text === '0' ? '0' : `${text}B`;
  return `${text}${(UNITS[unit] ?? '').charAt(0)}`;
}

function scale(bytes: number): { text: string; unit: number } {
  let value = Math.abs(bytes);
  let unit = 0;
  // A value that would round to 1024 moves on to the next unit.
  while (unit < UNITS.length - 1 && Number(digits(value, unit)) >= 1024) {
    value /= 1024;
    unit++;
  }
  const text = digits(value, unit);
  return { text: bytes < 0 && Number(text) !== 0 ? `-${text}` : text, unit };
}

function digits(value: number, unit: number): string {
  if (unit === 0) return Math.round(value).toFixed(0);
  const rounded = value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return value.toFixed(rounded);
}

/** Growth, signed, per hour: `+12.5M`; `0` below a KiB an hour, where it is noise. */
export function formatGrowth(bytesPerHour: number | null | undefined): string {
  if (bytesPerHour === null || bytesPerHour === undefined || !Number.isFinite(bytesPerHour)) return UNKNOWN;
  if (Math.abs(bytesPerHour) < 1024) return '0';
  return `${bytesPerHour > 0 ? '+' : ''}${formatBytesShort(bytesPerHour)}`;
}

const STEPS: readonly (readonly [seconds: number, unit: string])[] = [
  [86_400, 'd'],
  [3_600, 'h'],
  [60, 'min'],
  [1, 's'],
];

/** A length of time for a person, its two largest units: `45 s`, `3 min 20 s`, `2 h`, `12 d 4 h`; `< 1 s` below that. */
export function formatSeconds(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return UNKNOWN;
  if (seconds < 1) return '< 1 s';
  if (seconds >= 1_000 * 86_400) return '> 1000 d';
  let rest = Math.floor(seconds);
  const parts: string[] = [];
  for (const [step, unit] of STEPS) {
    const count = Math.floor(rest / step);
    rest -= count * step;
    if (count > 0) parts.push(`${count} ${unit}`);
    // A unit of 0 in the middle ends it: "2 d", not "2 d 3 min".
    else if (parts.length > 0) break;
    if (parts.length === 2) break;
  }
  return parts.join(' ');
}

/** `2026-01-31 14:03:22` in the local time zone; UNKNOWN for what is no date. */
export function formatTime(time: string | number | null | undefined): string {
  if (time === null || time === undefined) return UNKNOWN;
  const date = new Date(time);
  if (Number.isNaN(date.getTime())) return UNKNOWN;
  const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join('-');
  return `${day} ${formatClock(date)}`;
}

/** `14:03:22` in the local time zone. */
export function formatClock(date: Date): string {
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':');
}

function two(number: number): string {
  return String(number).padStart(2, '0');
}

/** `part` of `whole` in percent with one digit below 10: `4.2 %`, `57 %`. */
export function formatShare(part: number | null | undefined, whole: number | null | undefined): string {
  if (part === null || part === undefined || whole === null || whole === undefined || !(whole > 0)) return UNKNOWN;
  const percent = (100 * part) / whole;
  return `${percent.toFixed(percent < 9.95 ? 1 : 0)} %`;
}

/** A count with thousands apart: `1 234`. */
export function formatCount(count: number | null | undefined): string {
  if (count === null || count === undefined || !Number.isFinite(count)) return UNKNOWN;
  return Math.round(count)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, ' ');
}
