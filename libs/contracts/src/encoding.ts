import { gunzipSync, gzipSync } from 'node:zlib';
import * as zlib from 'node:zlib';
import { ContractError } from './errors.js';

/** Name of the record header that says how the value is compressed. */
export const ENCODING_HEADER = 'encoding';

export type Encoding = 'identity' | 'gzip' | 'zstd';

/** A decompressed record above this is refused; no collector writes one near it. */
export const MAX_RECORD_BYTES = 16 * 1024 * 1024;

/**
 * Compressing a smaller record costs more of each reader's time than it saves of the disks: unpacking takes some 50 µs to
 * begin with, and the chunk of a host of 500 processes would be a fifth shorter.
 */
const WORTH_COMPRESSING = 4_096;

// zstd came to Node's zlib in 22.15; the types of the Node release that we build with do not know it.
const zstd = zlib as unknown as {
  zstdCompressSync?: (data: Uint8Array) => Buffer;
  zstdDecompressSync?: (data: Uint8Array, options: { maxOutputLength: number }) => Buffer;
};

/** The best encoding that this Node can write. */
export function preferredEncoding(): Encoding {
  return zstd.zstdCompressSync ? 'zstd' : 'gzip';
}

export function compress(
  plain: Uint8Array,
  encoding: Encoding = preferredEncoding(),
): { value: Uint8Array; encoding: Encoding } {
  if (plain.byteLength < WORTH_COMPRESSING) return { value: plain, encoding: 'identity' };
  if (encoding === 'zstd' && zstd.zstdCompressSync) return { value: zstd.zstdCompressSync(plain), encoding };
  if (encoding === 'gzip') return { value: gzipSync(plain, { level: 1 }), encoding };
  return { value: plain, encoding: 'identity' };
}

/** Deflate cannot make more of a byte. */
const MOST_SWOLLEN = 1_032;

/** Bytes to unpack gzip into: its last four say how many it holds, which a liar can only stretch to what fits in it. */
function roomFor(gzip: Uint8Array): number {
  const { byteLength } = gzip;
  const told = byteLength < 4 ? 0 : new DataView(gzip.buffer, gzip.byteOffset + byteLength - 4).getUint32(0, true);
  return Math.max(64, Math.min(told, byteLength * MOST_SWOLLEN, MAX_RECORD_BYTES) + 1);
}

/** Throws ContractError when the encoding is unknown, the bytes are damaged, or the result passes MAX_RECORD_BYTES. */
export function decompress(value: Uint8Array, encoding: string = 'identity'): Uint8Array {
  try {
    switch (encoding) {
      case 'identity':
        if (value.byteLength > MAX_RECORD_BYTES) break;
        return value;
      case 'gzip':
        return gunzipSync(value, { maxOutputLength: MAX_RECORD_BYTES, chunkSize: roomFor(value) });
      case 'zstd':
        if (zstd.zstdDecompressSync) return zstd.zstdDecompressSync(value, { maxOutputLength: MAX_RECORD_BYTES });
        throw new ContractError(
          'CONTRACT_ENCODING',
          'record is zstd, which this Node cannot read: use Node 22.15 or newer',
        );
      default:
        throw new ContractError(
          'CONTRACT_ENCODING',
          `record encoding ${JSON.stringify(encoding.slice(0, 40))} is unknown`,
        );
    }
  } catch (error) {
    if (error instanceof ContractError) throw error;
    if ((error as NodeJS.ErrnoException).code !== 'ERR_BUFFER_TOO_LARGE') {
      throw new ContractError('CONTRACT_ENCODING', `record is not valid ${encoding}: ${(error as Error).message}`, {
        cause: error,
      });
    }
  }
  throw new ContractError('CONTRACT_TOO_LARGE', `record is larger than ${MAX_RECORD_BYTES} bytes when decompressed`);
}

/** No record of many brackets nests deeper: to parse what does takes seconds and hundreds of megabytes. */
const MAX_DEPTH = 32;

/** What so many brackets can nest costs nothing to parse, and nothing walks deeper into a record than its own fields. */
const HARMLESS = 8_192;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPENING = [0x5b, 0x7b];
const CLOSING = [0x5d, 0x7d];

/** Whether JSON text of many brackets nests deeper than MAX_DEPTH. Cheap for any other. */
function isTooDeep(json: Buffer): boolean {
  if (json.length <= HARMLESS) return false;
  let opened = 0;
  for (const bracket of OPENING) {
    for (let at = json.indexOf(bracket); at >= 0 && opened <= HARMLESS; at = json.indexOf(bracket, at + 1)) opened++;
  }
  return opened > HARMLESS && nestsTooDeep(json);
}

function nestsTooDeep(json: Buffer): boolean {
  let depth = 0;
  for (let at = 0; at < json.length; at++) {
    const byte = json[at]!;
    if (byte === QUOTE) at = endOfString(json, at);
    else if (byte === OPENING[0] || byte === OPENING[1]) {
      if (++depth > MAX_DEPTH) return true;
    } else if (byte === CLOSING[0] || byte === CLOSING[1]) depth--;
  }
  return false;
}

/** Position of the quote that ends the string which begins at `start`, or behind the text. */
function endOfString(json: Buffer, start: number): number {
  let at = start + 1;
  while (at < json.length && json[at] !== QUOTE) at += json[at] === BACKSLASH ? 2 : 1;
  return at;
}

/** Parses a record's JSON; throws ContractError with the first bytes of what was not JSON. */
export function parseRecordJson(value: Uint8Array, encoding?: string): unknown {
  return parsePlainJson(decompress(value, encoding));
}

/** The same of what is unpacked already. */
export function parsePlainJson(plain: Uint8Array): unknown {
  const bytes = Buffer.from(plain.buffer, plain.byteOffset, plain.byteLength);
  if (isTooDeep(bytes)) {
    throw new ContractError(
      'CONTRACT_SHAPE',
      `record of ${plain.byteLength} bytes nests deeper than ${MAX_DEPTH} levels; none of ours does`,
    );
  }
  const text = bytes.toString('utf8');
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ContractError(
      'CONTRACT_NOT_JSON',
      `record of ${plain.byteLength} bytes is not JSON; it starts with ${JSON.stringify(text.slice(0, 40))}`,
      { cause: error },
    );
  }
}
