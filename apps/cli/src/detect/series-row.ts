/** One row of the input, read. */
export interface SeriesRow {
  series: string;
  /** Epoch milliseconds. */
  at: number;
  /** Times are written back the way they came: as epoch milliseconds or as ISO 8601. */
  timeFormat: 'epoch' | 'iso';
  bytes: number;
  service: string | undefined;
  limit: number | null;
}

/** Which field of a row cannot be used, its value and what it should be. */
export class RowError extends Error {
  override readonly name = 'RowError';

  constructor(field: string, value: string, wanted: string) {
    super(`${field} must be ${wanted}, found ${JSON.stringify(value.slice(0, 60))}`);
  }
}

export const REQUIRED_COLUMNS = ['series', 'ts', 'bytes'] as const;

// Date.parse alone also takes "1" and "May"; a time must be unmistakable.
const ISO_8601 = /^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)?$/;
const WHOLE = /^\d{1,16}$/;
const DECIMAL = /^\d+(?:\.\d+)?(?:[eE][+-]?\d{1,3})?$/;

/** Reads one row; throws RowError. A time without a zone is UTC. */
export function readSeriesRow(row: Readonly<Record<string, string>>): SeriesRow {
  const series = row['series'] ?? '';
  if (series === '') throw new RowError('series', series, 'a name');
  const limit = row['limit'] ?? '';
  const service = row['service'] ?? '';
  return {
    series,
    ...readTime(row['ts'] ?? ''),
    bytes: readBytes('bytes', row['bytes'] ?? ''),
    service: service === '' ? undefined : service,
    limit: limit === '' ? null : readBytes('limit', limit),
  };
}

function readTime(text: string): { at: number; timeFormat: 'epoch' | 'iso' } {
  if (WHOLE.test(text)) return { at: Number(text), timeFormat: 'epoch' };
  if (ISO_8601.test(text)) {
    const zoned = /(?:Z|[+-]\d\d:?\d\d)$/.test(text) || text.length <= 10 ? text : `${text}Z`;
    const at = Date.parse(zoned.replace(' ', 'T'));
    if (!Number.isNaN(at)) return { at, timeFormat: 'iso' };
  }
  throw new RowError('ts', text, 'epoch milliseconds or an ISO 8601 time');
}

function readBytes(field: string, text: string): number {
  const bytes = DECIMAL.test(text) ? Number(text) : NaN;
  if (!(bytes <= Number.MAX_SAFE_INTEGER)) throw new RowError(field, text, `a number of bytes from 0 to 2^53`);
  return bytes;
}
