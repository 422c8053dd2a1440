import type { LogRecord, OutgoingRecord } from './event-log.js';

/** What one record costs in memory beside its key, headers and value; an estimate. */
const OVERHEAD = 128;

/** Bytes of a record for windows and bounds: value, key and headers, with a fixed overhead. */
export function recordBytes(record: Pick<LogRecord | OutgoingRecord, 'key' | 'value' | 'headers'>): number {
  let bytes = OVERHEAD + record.key.length + (record.value?.byteLength ?? 0);
  for (const name in record.headers) bytes += name.length + record.headers[name]!.length;
  return bytes;
}
