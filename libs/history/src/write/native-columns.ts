/**
 * Columns in ClickHouse's Native format: what the server reads without parsing.
 *
 * A block is the number of columns and rows, then per column its name, its type and its values as the server holds them
 * in memory: integers little-endian, nullable columns with a byte per row before the values (1 is null), strings with
 * their length before them. https://clickhouse.com/docs/interfaces/formats/Native
 */
export interface NativeColumn {
  name: string;
  type: string;
  parts: Uint8Array[];
}

export type Cells = readonly (number | null | undefined)[];

const TWO_32 = 4_294_967_296;

/** A block of the columns, all of `rows` rows. */
export function nativeBlock(rows: number, columns: readonly NativeColumn[]): Uint8Array[] {
  const out: Uint8Array[] = [Buffer.concat([variable(columns.length), variable(rows)])];
  for (const { name, type, parts } of columns) {
    const names = [name, type].flatMap((text) => [variable(Buffer.byteLength(text)), Buffer.from(text)]);
    out.push(Buffer.concat(names), ...parts);
  }
  return out;
}

/** LEB128. */
function variable(value: number): Buffer {
  const bytes: number[] = [];
  while (value >= 128) {
    bytes.push((value % 128) + 128);
    value = Math.floor(value / 128);
  }
  bytes.push(value);
  return Buffer.from(bytes);
}

/** Whole numbers from 0 to 2^53 as pairs of 32-bit words. */
export class Words64 {
  readonly words: Uint32Array;

  constructor(rows: number) {
    this.words = new Uint32Array(rows * 2);
  }

  set(row: number, value: number): void {
    this.words[row * 2] = value >>> 0;
    if (value >= TWO_32) this.words[row * 2 + 1] = value / TWO_32;
  }

  fill(from: number, to: number, value: number): void {
    for (let row = from; row < to; row++) this.set(row, value);
  }

  column(name: string, type = 'UInt64'): NativeColumn {
    return { name, type, parts: [bytesOf(this.words)] };
  }
}

/** Nullable whole numbers from 0 to 2^53; every row is null until it is set. */
export class NullableWords64 {
  readonly #nulls: Uint8Array;
  readonly #values: Words64;
  #known = 0;

  constructor(rows: number) {
    this.#nulls = new Uint8Array(rows).fill(1);
    this.#values = new Words64(rows);
  }

  /** Rows that are not null. */
  get known(): number {
    return this.#known;
  }

  set(row: number, value: number | null | undefined): void {
    if (value === null || value === undefined) return;
    this.#nulls[row] = 0;
    this.#values.set(row, value);
    this.#known++;
  }

  setAll(from: number, cells: Cells): void {
    const nulls = this.#nulls;
    const words = this.#values.words;
    let known = 0;
    for (let index = 0, row = from; index < cells.length; index++, row++) {
      const value = cells[index];
      if (value === null || value === undefined) continue;
      nulls[row] = 0;
      words[row * 2] = value >>> 0;
      if (value >= TWO_32) words[row * 2 + 1] = value / TWO_32;
      known++;
    }
    this.#known += known;
  }

  /** Each cell at its own row. */
  setAt(rows: Uint32Array, cells: Cells): void {
    const nulls = this.#nulls;
    const words = this.#values.words;
    let known = 0;
    for (let index = 0; index < cells.length; index++) {
      const value = cells[index];
      if (value === null || value === undefined) continue;
      const row = rows[index]!;
      nulls[row] = 0;
      words[row * 2] = value >>> 0;
      if (value >= TWO_32) words[row * 2 + 1] = value / TWO_32;
      known++;
    }
    this.#known += known;
  }

  column(name: string, type = 'UInt64'): NativeColumn {
    return { name, type: `Nullable(${type})`, parts: [this.#nulls, ...this.#values.column(name).parts] };
  }
}

export function words32Column(name: string, values: Uint32Array): NativeColumn {
  return { name, type: 'UInt32', parts: [bytesOf(values)] };
}

/** Epoch milliseconds. */
export function timeColumn(name: string, values: readonly number[]): NativeColumn {
  const words = new Words64(values.length);
  values.forEach((value, row) => words.set(row, value));
  return words.column(name, "DateTime64(3, 'UTC')");
}

/** Epoch microseconds. */
export function microTimeColumn(name: string, values: readonly number[]): NativeColumn {
  const words = new Words64(values.length);
  values.forEach((value, row) => words.set(row, value));
  return words.column(name, "DateTime64(6, 'UTC')");
}

export function nullableTimeColumn(name: string, values: Cells): NativeColumn {
  const words = new NullableWords64(values.length);
  words.setAll(0, values);
  return words.column(name, "DateTime64(3, 'UTC')");
}

export function countColumn(name: string, values: readonly number[]): NativeColumn {
  const words = new Words64(values.length);
  values.forEach((value, row) => words.set(row, value));
  return words.column(name);
}

export function nullableCountColumn(name: string, values: Cells): NativeColumn {
  const words = new NullableWords64(values.length);
  words.setAll(0, values);
  return words.column(name);
}

export function floatColumn(name: string, values: readonly number[]): NativeColumn {
  return { name, type: 'Float64', parts: [bytesOf(Float64Array.from(values))] };
}

export function nullableFloatColumn(name: string, values: Cells): NativeColumn {
  const nulls = Uint8Array.from(values, (value) => (value === null || value === undefined ? 1 : 0));
  const floats = Float64Array.from(values, (value) => value ?? 0);
  return { name, type: 'Nullable(Float64)', parts: [nulls, bytesOf(floats)] };
}

export function boolColumn(name: string, values: readonly boolean[]): NativeColumn {
  return { name, type: 'Bool', parts: [Uint8Array.from(values, (value) => (value ? 1 : 0))] };
}

/** Days since 1970. */
export function dateColumn(name: string, days: readonly number[]): NativeColumn {
  return { name, type: 'Date', parts: [bytesOf(Uint16Array.from(days))] };
}

export function textColumn(name: string, values: readonly string[]): NativeColumn {
  return { name, type: 'String', parts: [texts(values)] };
}

export function nullableTextColumn(name: string, values: readonly (string | null | undefined)[]): NativeColumn {
  const nulls = new Uint8Array(values.length);
  for (let row = 0; row < values.length; row++) if ((values[row] ?? null) === null) nulls[row] = 1;
  return { name, type: 'Nullable(String)', parts: [nulls, texts(values)] };
}

export function textListColumn(name: string, values: readonly (readonly string[])[]): NativeColumn {
  const ends = new Words64(values.length);
  let end = 0;
  values.forEach((list, row) => ends.set(row, (end += list.length)));
  return { name, type: 'Array(String)', parts: [bytesOf(ends.words), texts(values.flat())] };
}

export function countListColumn(name: string, values: readonly (readonly number[])[]): NativeColumn {
  const ends = new Words64(values.length);
  let end = 0;
  values.forEach((list, row) => ends.set(row, (end += list.length)));
  const { parts } = countColumn(name, values.flat());
  return { name, type: 'Array(UInt64)', parts: [bytesOf(ends.words), ...parts] };
}

/** Runs of one text each, as a dictionary and an index per row. */
export function dictionaryColumn(name: string, runs: readonly { text: string; rows: number }[]): NativeColumn {
  const keys = new Map<string, number>();
  const rows = runs.reduce((sum, run) => sum + run.rows, 0);
  const keyOfRow = new Uint32Array(rows);
  let row = 0;
  for (const run of runs) {
    let key = keys.get(run.text);
    if (key === undefined) keys.set(run.text, (key = keys.size));
    for (const end = row + run.rows; row < end; row++) keyOfRow[row] = key;
  }
  const indexes = keys.size <= 0xff ? new Uint8Array(keyOfRow) : keyOfRow;
  // Version 1; then the width of an index (0 is 8 bits, 2 is 32) with the flags "has its own keys" and "keys are new".
  const head = new Words64(3);
  head.set(0, 1);
  head.set(1, (keys.size <= 0xff ? 0 : 2) + 0x200 + 0x400);
  head.set(2, keys.size);
  const count = new Words64(1);
  count.set(0, rows);
  return {
    name,
    type: 'LowCardinality(String)',
    parts: [bytesOf(head.words), texts([...keys.keys()]), bytesOf(count.words), bytesOf(indexes)],
  };
}

/** What is null has no characters. */
function texts(values: readonly (string | null | undefined)[]): Buffer {
  let size = 0;
  for (const value of values) size += value ? 9 + value.length * 3 : 1;
  const out = Buffer.allocUnsafe(size);
  let at = 0;
  for (const value of values) {
    if (!value) {
      out[at++] = 0;
      continue;
    }
    const length = Buffer.byteLength(value);
    let rest = length;
    while (rest >= 128) {
      out[at++] = (rest % 128) + 128;
      rest = Math.floor(rest / 128);
    }
    out[at++] = rest;
    at += out.write(value, at);
  }
  return out.subarray(0, at);
}

function bytesOf(array: Uint8Array | Uint16Array | Uint32Array | Float64Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}
