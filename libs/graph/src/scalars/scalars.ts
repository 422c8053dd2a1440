import { GraphQLError, GraphQLScalarType, Kind, type ValueNode } from 'graphql';

const DAY_MS = 86_400_000;
const UNIT_MS = { s: 1000, m: 60_000, h: 3_600_000, d: DAY_MS, w: 7 * DAY_MS } as const;

/** 9999-12-31: what RFC 3339 can write. */
const LAST_TIME = 253_402_300_799_999;

function bad(type: string, wanted: string, found: unknown): never {
  const text = typeof found === 'string' ? JSON.stringify(found.slice(0, 60)) : String(found).slice(0, 60);
  throw new GraphQLError(`${type} must be ${wanted}, found ${text}`, { extensions: { code: 'BAD_USER_INPUT' } });
}

/** A number, or its digits once a JSON number would not be exact. */
function serializeBytes(value: unknown): number | string {
  const bytes = typeof value === 'bigint' ? Number(value) : value;
  if (typeof bytes !== 'number' || !Number.isFinite(bytes)) return bad('Bytes', 'a number', value);
  if (Math.abs(bytes) <= Number.MAX_SAFE_INTEGER) return Math.round(bytes);
  return typeof value === 'bigint' ? value.toString() : BigInt(Math.round(bytes)).toString();
}

function parseBytes(value: unknown): number {
  const bytes = typeof value === 'string' && /^\d{1,20}$/.test(value) ? Number(value) : value;
  if (typeof bytes === 'number' && Number.isInteger(bytes) && bytes >= 0 && bytes < 2 ** 64) return bytes;
  return bad('Bytes', 'a whole number from 0 to 2^64 - 1, as a number or a string of digits', value);
}

function serializeTime(value: unknown): string {
  const time = value instanceof Date ? value.getTime() : value;
  if (typeof time !== 'number' || Number.isNaN(time)) return bad('DateTime', 'epoch milliseconds', value);
  return new Date(Math.min(Math.max(0, time), LAST_TIME)).toISOString();
}

const RFC3339 = /^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})$/;

function parseTime(value: unknown): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= LAST_TIME) return value;
  if (typeof value === 'string' && RFC3339.test(value)) {
    const time = Date.parse(value.replace(' ', 'T'));
    if (!Number.isNaN(time)) return time;
  }
  return bad('DateTime', 'a time such as 2026-01-31T12:00:00Z, or epoch milliseconds', value);
}

/** Milliseconds. */
function parseDuration(value: unknown): number {
  const match = typeof value === 'string' ? /^(\d{1,9})([smhdw])$/.exec(value) : null;
  const ms = match
    ? Number(match[1]) * UNIT_MS[match[2] as keyof typeof UNIT_MS]
    : typeof value === 'number' && Number.isInteger(value)
      ? value * 1000
      : NaN;
  if (ms > 0 && ms <= LAST_TIME) return ms;
  return bad('Duration', 'a whole number above 0 and one of s, m, h, d, w, such as 15m, or seconds', value);
}

function ofLiteral<T>(parse: (value: unknown) => T): (node: ValueNode) => T {
  return (node) => {
    if (node.kind === Kind.INT) return parse(Number(node.value));
    if (node.kind === Kind.STRING) return parse(node.value);
    return parse(node.kind === Kind.FLOAT ? node.value : undefined);
  };
}

function scalar<T, S>(name: string, serialize: (value: unknown) => S, parse: (value: unknown) => T) {
  return new GraphQLScalarType<T, S>({ name, serialize, parseValue: parse, parseLiteral: ofLiteral(parse) });
}

/** Inside: bytes as a number, times as epoch milliseconds, durations as milliseconds. */
export const scalars = {
  Bytes: scalar('Bytes', serializeBytes, parseBytes),
  DateTime: scalar('DateTime', serializeTime, parseTime),
  Duration: scalar('Duration', (value) => `${Math.round(Number(value) / 1000)}s`, parseDuration),
};
