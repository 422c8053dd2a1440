import { gunzipSync } from 'node:zlib';

/** A record as it lies in a partition. */
export interface FetchedRecord {
  offset: number;
  timestamp: number;
  key: string;
  value: Uint8Array | null;
  headers: Readonly<Record<string, string>>;
}

/** What a row of record batches holds. */
export interface FetchedBatches {
  records: FetchedRecord[];
  /** The offset behind the last whole batch; undefined when there was none. */
  next: number | undefined;
  /** Records that cannot be read: their batch is compressed in a way that is not known here, or damaged. */
  unreadable: number;
  /** Why, of the last one. */
  why: string | undefined;
}

const HEADER = 61;
const MAGIC = 2;
const CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'];
/** A compressed batch may grow to this; more is a trap. */
const MAX_UNPACKED = 128 * 1024 * 1024;
const CONTROL = 0x20;
const LOG_APPEND_TIME = 0x08;

/**
 * Reads record batches of format 2, those from before `from` left out. The last batch may be cut off and is ignored then.
 * Never throws: what cannot be read is counted. Source: kafka.apache.org/documentation, "Record Batch".
 */
export function readBatches(bytes: Buffer, from: number): FetchedBatches {
  const found: FetchedBatches = { records: [], next: undefined, unreadable: 0, why: undefined };
  const headersBefore: HeadersBefore = { bytes: undefined, headers: NOTHING };
  for (let at = 0; at + HEADER <= bytes.length;) {
    const length = bytes.readInt32BE(at + 8);
    const end = at + 12 + length;
    if (length < HEADER - 12 || end > bytes.length) break;
    readBatch(bytes.subarray(at, end), from, found, headersBefore);
    at = end;
  }
  return found;
}

function readBatch(batch: Buffer, from: number, found: FetchedBatches, headersBefore: HeadersBefore): void {
  const base = Number(batch.readBigInt64BE(0));
  const magic = batch.readInt8(16);
  const next = base + batch.readInt32BE(23) + 1;
  const count = batch.readInt32BE(57);
  const skip = (why: string): void => {
    found.unreadable += Math.max(0, Math.min(count, next - from));
    found.why = why;
  };
  if (!Number.isSafeInteger(next) || next <= base || base < (found.next ?? 0)) {
    // Nothing in it can be relied on, not even where it ends.
    found.unreadable++;
    found.why = 'damaged';
    found.next = (found.next ?? from) + 1;
    return;
  }
  try {
    if (magic !== MAGIC) return skip(`record format ${magic}`);
    const attributes = batch.readInt16BE(21);
    if ((attributes & CONTROL) !== 0) return;
    const codec = attributes & 7;
    if (codec > 1) return skip(`compression ${CODECS[codec] ?? codec}`);
    const body =
      codec === 1 ? gunzipSync(batch.subarray(HEADER), { maxOutputLength: MAX_UNPACKED }) : batch.subarray(HEADER);
    const first = Number(batch.readBigInt64BE(27));
    const appended = (attributes & LOG_APPEND_TIME) !== 0 ? Number(batch.readBigInt64BE(35)) : undefined;
    const records: FetchedRecord[] = [];
    const reader = new Reader(body, headersBefore);
    for (let index = 0, last = base - 1; index < count; index++) {
      const record = reader.record(base, first, appended);
      if (!(record.offset > last && record.offset < next)) throw new RangeError('its offsets do not grow');
      last = record.offset;
      if (record.offset >= from) records.push(record);
    }
    for (const record of records) found.records.push(record);
  } catch (error) {
    skip((error as Error).message);
  } finally {
    found.next = Math.max(next, from);
  }
}

type Headers = Readonly<Record<string, string>>;

/** Records of a topic have the same headers, mostly: those of the record before, and their bytes. */
interface HeadersBefore {
  bytes: Buffer | undefined;
  headers: Headers;
}

const NOTHING: Headers = Object.freeze({});

class Reader {
  #at = 0;
  readonly #bytes: Buffer;
  readonly #headersBefore: HeadersBefore;

  constructor(bytes: Buffer, headersBefore: HeadersBefore) {
    this.#bytes = bytes;
    this.#headersBefore = headersBefore;
  }

  record(base: number, first: number, appended: number | undefined): FetchedRecord {
    const length = this.#varint();
    const end = this.#at + length;
    if (length < 0 || end > this.#bytes.length) throw new RangeError('a record is longer than its batch');
    this.#at++;
    const timestamp = appended ?? first + this.#varint();
    const offset = base + this.#varint();
    const key = this.#slice()?.toString('utf8') ?? '';
    const value = this.#slice();
    const headers = this.#headersTo(end);
    // Copied, so that one record that is kept does not keep the whole answer of the broker.
    return { offset, timestamp, key, value: value && Buffer.from(value), headers };
  }

  /** Headers are the last that a record has. */
  #headersTo(end: number): Headers {
    const before = this.#headersBefore;
    const bytes = this.#bytes.subarray(this.#at, end);
    if (!before.bytes?.equals(bytes)) Object.assign(before, { bytes, headers: this.#headers() });
    this.#at = end;
    return before.headers;
  }

  #headers(): Headers {
    const count = this.#varint();
    if (count === 0) return NOTHING;
    const entries: [string, string][] = [];
    for (let index = 0; index < count; index++) {
      entries.push([this.#slice()?.toString('utf8') ?? '', this.#slice()?.toString('utf8') ?? '']);
    }
    return Object.freeze(Object.fromEntries(entries));
  }

  #slice(): Buffer | null {
    const length = this.#varint();
    if (length < 0) return null;
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new RangeError('a record is cut off');
    const slice = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return slice;
  }

  /** Zigzag, up to 64 bits; whole numbers beyond 2^53 do not occur in offsets and times. */
  #varint(): number {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined || factor > 2 ** 63) throw new RangeError('a number is cut off');
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) break;
    }
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }
}
