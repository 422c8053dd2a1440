import { nativeBlock, type NativeColumn } from './native-columns.js';

export const DAY_MS = 86_400_000;

/** The latest moment that every column type can hold: the end of 2261. */
export const LAST_MOMENT = 9_214_646_399_999;

/**
 * Rows of one table and one UTC day. A day is one partition, so a block becomes one part: it is in the table whole or
 * not at all.
 */
export interface Block {
  table: string;
  /** Days since 1970. */
  day: number;
  rows: number;
  columns: string[];
  /** The rows in Native format. */
  body: Uint8Array[];
  /**
   * How to find the block's rows again; null for tables in which a second copy changes nothing, because rows of one
   * key fold into one.
   */
  trace: BlockTrace | null;
}

export interface BlockTrace {
  batches: number[];
  /** Null where the table is small and not ordered by node. */
  nodes: string[] | null;
  /** Least and greatest `at`, epoch milliseconds. */
  from: number;
  to: number;
}

export function block(
  table: string,
  day: number,
  rows: number,
  columns: readonly NativeColumn[],
  trace: BlockTrace | null,
): Block {
  return { table, day, rows, columns: columns.map(({ name }) => name), body: nativeBlock(rows, columns), trace };
}

/** Groups by UTC day of `at`, days ascending, the order within a day kept. */
export function byDay<T extends { at: number }>(records: readonly T[]): [day: number, records: T[]][] {
  const days = new Map<number, T[]>();
  for (const record of records) {
    const day = Math.floor(record.at / DAY_MS);
    const list = days.get(day);
    if (list) list.push(record);
    else days.set(day, [record]);
  }
  return [...days].sort(([a], [b]) => a - b);
}

/** The batch whose rows those of the record are; batches of several partitions may share a block. */
export type BatchOf<T> = (record: T) => number;

export function traceOf<T extends { at: number; node: string }>(
  batchOf: BatchOf<T>,
  records: readonly T[],
): BlockTrace {
  let from = Infinity;
  let to = -Infinity;
  const batches = new Set<number>();
  const nodes = new Set<string>();
  for (const record of records) {
    from = Math.min(from, record.at);
    to = Math.max(to, record.at);
    batches.add(batchOf(record));
    nodes.add(record.node);
  }
  return { batches: [...batches].sort((a, b) => a - b), nodes: [...nodes].sort(), from, to };
}

/** `rssAnon` is column `rss_anon`. */
export function columnName(field: string): string {
  return field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** What a UInt64 column can hold exactly of a figure that should be a count; null when it is none. */
export function wholeNumber(value: number | null | undefined): number | null {
  if (value === null || value === undefined) return null;
  const rounded = Math.round(value);
  return Number.isSafeInteger(rounded) && rounded >= 0 ? rounded : null;
}
