import { crc32 } from 'node:zlib';

/*
 * A frame is one record in a segment file, little endian:
 *
 *   u32 crc32 of everything after it · u32 length of the body · body
 *   body: u8 flags (1: tombstone) · f64 offset · f64 timestamp · u32 key bytes · u32 header bytes · key · headers · value
 *
 * Headers are a JSON object; none are no bytes.
 */

export const FRAME_PREFIX = 8;
const BODY_PREFIX = 25;
const TOMBSTONE = 1;

export interface FrameContent {
  offset: number;
  timestamp: number;
  key: string;
  headers: Readonly<Record<string, string>>;
  value: Uint8Array | null;
}

export interface DecodedFrame extends FrameContent {
  /** A view into the bytes that were decoded. */
  value: Buffer | null;
  /** Bytes of the whole frame. */
  size: number;
}

const NO_HEADERS = Object.freeze({});

/** All records in one buffer, one frame after another, with the size of each. */
export function encodeFrames(records: readonly FrameContent[]): { bytes: Buffer; sizes: number[] } {
  const parts = records.map(({ key, headers }) => ({
    keyBytes: Buffer.byteLength(key),
    headers: Object.keys(headers).length === 0 ? '' : JSON.stringify(headers),
  }));
  const sizes = records.map(({ value }, index) => {
    const { keyBytes, headers } = parts[index]!;
    return FRAME_PREFIX + BODY_PREFIX + keyBytes + Buffer.byteLength(headers) + (value?.byteLength ?? 0);
  });
  const bytes = Buffer.allocUnsafeSlow(sizes.reduce((sum, size) => sum + size, 0));
  let at = 0;
  records.forEach((record, index) => {
    const { keyBytes, headers } = parts[index]!;
    const size = sizes[index]!;
    bytes.writeUInt32LE(size - FRAME_PREFIX, at + 4);
    bytes.writeUInt8(record.value === null ? TOMBSTONE : 0, at + 8);
    bytes.writeDoubleLE(record.offset, at + 9);
    bytes.writeDoubleLE(record.timestamp, at + 17);
    bytes.writeUInt32LE(keyBytes, at + 25);
    const headerBytes = bytes.write(headers, at + 33 + keyBytes);
    bytes.writeUInt32LE(headerBytes, at + 29);
    bytes.write(record.key, at + 33);
    if (record.value) bytes.set(record.value, at + 33 + keyBytes + headerBytes);
    bytes.writeUInt32LE(crc32(bytes.subarray(at + 4, at + size)), at);
    at += size;
  });
  return { bytes, sizes };
}

/** Size of the frame that begins at `at`, as its prefix says; undefined when the prefix is not whole or cannot be one. */
export function frameSize(bytes: Buffer, at: number): number | undefined {
  if (at + FRAME_PREFIX > bytes.length) return undefined;
  const body = bytes.readUInt32LE(at + 4);
  return body < BODY_PREFIX ? undefined : FRAME_PREFIX + body;
}

/** The frame at `at`; undefined when it is not whole, or damaged. */
export function decodeFrame(bytes: Buffer, at: number): DecodedFrame | undefined {
  const size = frameSize(bytes, at);
  if (size === undefined || at + size > bytes.length) return undefined;
  if (crc32(bytes.subarray(at + 4, at + size)) !== bytes.readUInt32LE(at)) return undefined;
  const keyAt = at + FRAME_PREFIX + BODY_PREFIX;
  const headersAt = keyAt + bytes.readUInt32LE(at + 25);
  const valueAt = headersAt + bytes.readUInt32LE(at + 29);
  if (valueAt > at + size) return undefined;
  return {
    offset: bytes.readDoubleLE(at + 9),
    timestamp: bytes.readDoubleLE(at + 17),
    key: bytes.toString('utf8', keyAt, headersAt),
    headers: headersAt === valueAt ? NO_HEADERS : parseHeaders(bytes.toString('utf8', headersAt, valueAt)),
    value: (bytes[at + 8]! & TOMBSTONE) === 0 ? bytes.subarray(valueAt, at + size) : null,
    size,
  };
}

function parseHeaders(json: string): Readonly<Record<string, string>> {
  return Object.freeze(JSON.parse(json) as Record<string, string>);
}

/** Offset and timestamp of the frame at `at`, unchecked, of at least `FRAME_HEAD` bytes there. */
export function peekFrame(bytes: Buffer, at: number): { offset: number; timestamp: number } {
  return { offset: bytes.readDoubleLE(at + 9), timestamp: bytes.readDoubleLE(at + 17) };
}

export const FRAME_HEAD = FRAME_PREFIX + BODY_PREFIX;
