import { EngineException } from './exception.js';

/** What of the Native format's bytes one column type takes. */
export type NativeType =
  | { kind: 'fixed'; bytes: number }
  | { kind: 'string' }
  | { kind: 'nullable'; of: NativeType }
  | { kind: 'array'; of: NativeType }
  | { kind: 'tuple'; of: readonly NativeType[] }
  | { kind: 'dictionary'; of: NativeType };

const widths: Record<string, number> = {
  Bool: 1,
  Nothing: 1,
  Enum8: 1,
  Enum16: 2,
  BFloat16: 2,
  Float32: 4,
  Float64: 8,
  Date: 2,
  Date32: 4,
  DateTime: 4,
  DateTime32: 4,
  DateTime64: 8,
  Time: 4,
  Time64: 8,
  IPv4: 4,
  IPv6: 16,
  UUID: 16,
  Decimal32: 4,
  Decimal64: 8,
  Decimal128: 16,
  Decimal256: 32,
};

const aliases: Record<string, string> = {
  Point: 'Tuple(Float64, Float64)',
  Ring: 'Array(Point)',
  LineString: 'Array(Point)',
  Polygon: 'Array(Ring)',
  MultiLineString: 'Array(LineString)',
  MultiPolygon: 'Array(Polygon)',
};

/** @throws EngineException NOT_IMPLEMENTED for types whose bytes cannot be told apart without knowing their values. */
export function parseNativeType(text: string): NativeType {
  const open = text.indexOf('(');
  const name = open < 0 ? text : text.slice(0, open);
  const args = open < 0 ? [] : splitArguments(text.slice(open + 1, text.lastIndexOf(')')));
  const bytes = widths[name] ?? integerWidth(name) ?? (name.startsWith('Interval') ? 8 : undefined);
  if (bytes !== undefined) return { kind: 'fixed', bytes };
  if (name === 'String') return { kind: 'string' };
  if (name === 'FixedString') return { kind: 'fixed', bytes: Number(args[0]) };
  if (name === 'Decimal') return { kind: 'fixed', bytes: decimalWidth(Number(args[0])) };
  if (name === 'Nullable') return { kind: 'nullable', of: parseNativeType(args[0]!) };
  if (name === 'Array') return { kind: 'array', of: parseNativeType(args[0]!) };
  if (name === 'Map') return { kind: 'array', of: tuple(args) };
  if (name === 'Nested') return { kind: 'array', of: tuple(args) };
  if (name === 'Tuple') return tuple(args);
  if (name === 'SimpleAggregateFunction') return parseNativeType(args[1]!);
  if (name === 'LowCardinality') {
    const of = parseNativeType(args[0]!);
    // Null is a key of the dictionary, not a flag beside it.
    return { kind: 'dictionary', of: of.kind === 'nullable' ? of.of : of };
  }
  const alias = aliases[name];
  if (alias !== undefined) return parseNativeType(alias);
  const sentence = `A result of type ${text} cannot be sent in format Native with client_protocol_version: cast it, or use another format`;
  throw new EngineException(48, 'NOT_IMPLEMENTED', sentence);
}

function tuple(elements: readonly string[]): NativeType {
  return { kind: 'tuple', of: elements.map((element) => parseNativeType(withoutName(element))) };
}

function integerWidth(name: string): number | undefined {
  const bits = /^U?Int(8|16|32|64|128|256)$/.exec(name)?.[1];
  return bits === undefined ? undefined : Number(bits) / 8;
}

function decimalWidth(precision: number): number {
  return precision <= 9 ? 4 : precision <= 18 ? 8 : precision <= 38 ? 16 : 32;
}

/** Cuts at the commas that stand in no bracket and no quotes. */
function splitArguments(text: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at]!;
    if (char === "'" || char === '`') at = quoteEnd(text, at);
    else if (char === '(') depth += 1;
    else if (char === ')') depth -= 1;
    else if (char === ',' && depth === 0) {
      parts.push(text.slice(start, at).trim());
      start = at + 1;
    }
  }
  const last = text.slice(start).trim();
  return last === '' ? parts : [...parts, last];
}

/** The type in `name Type` and in `Type`. */
function withoutName(element: string): string {
  const nameEnd = element.startsWith('`') ? quoteEnd(element, 0) + 1 : element.search(/[\s(]/);
  return element[nameEnd] === ' ' ? element.slice(nameEnd + 1).trim() : element;
}

function quoteEnd(text: string, start: number): number {
  let at = start + 1;
  while (at < text.length && text[at] !== text[start]) at += text[at] === '\\' ? 2 : 1;
  return at;
}
