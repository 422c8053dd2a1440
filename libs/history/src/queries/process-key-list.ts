import { parseProcessKey, processKey, type NodeId, type ProcessKey } from '@tidemark/contracts';
import { TupleParam } from '@clickhouse/client';
import { HistoryError } from '../errors.js';

/** Columns that name a process. */
export const KEY_COLUMNS = 'node, boot, pid, start';

export const KEY_LIST = `(${KEY_COLUMNS}) IN {keys:Array(Tuple(String, String, UInt32, UInt64))}`;

/** Keys that fit into one request. */
export const MAX_KEYS = 200;

export interface KeyRow {
  node: string;
  boot: string;
  pid: number | string;
  start: number | string;
}

/** The value of the parameter in KEY_LIST; what is not a key matches nothing and is left out. */
export function keyList(keys: readonly ProcessKey[]): TupleParam[] {
  if (keys.length > MAX_KEYS) {
    throw new HistoryError('HISTORY_RANGE', `${keys.length} processes asked for at once, at most ${MAX_KEYS}`, false);
  }
  return keys.flatMap((key) => {
    const parts = parseProcessKey(key);
    return parts ? [new TupleParam([parts.node, parts.boot, parts.pid, parts.start])] : [];
  });
}

export function keyOf(row: KeyRow): ProcessKey {
  return processKey(row.node as NodeId, row.boot, Number(row.pid), Number(row.start));
}

/** ClickHouse writes 64-bit integers as text or as digits, as its settings say. */
export function toNumber(value: number | string | null | undefined): number | null {
  return value === null || value === undefined ? null : Number(value);
}
