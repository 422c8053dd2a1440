import { crc32 } from 'node:zlib';
import type { OutgoingRecord } from '@tidemark/event-log';

/**
 * A segment is records one after another, each a frame: `TMSP`, bytes of the head (u32), bytes of the value (u32), CRC-32
 * of both (u32), all little-endian; then the head (JSON: topic, key, headers, timestamp) and the value as it goes out.
 */
const MAGIC = 0x50534d54;
const FRAME_HEAD = 16;
/** More is damage: the log takes no record near it. */
const MAX_VALUE = 64 * 1024 * 1024;
const MAX_HEAD = 1024 * 1024;

export interface DecodedSegment {
  records: OutgoingRecord[];
  /** Bytes at the end that are no whole, undamaged frame. */
  damagedBytes: number;
}

/** Bytes a record takes in a segment, about: what the bounds of the spool count. */
export function recordBytes(record: OutgoingRecord): number {
  return (record.value?.byteLength ?? 0) + FRAME_HEAD + 128;
}

export function encodeSegment(records: readonly OutgoingRecord[]): Buffer {
  const pieces: Buffer[] = [];
  for (const { topic, key, value, headers, timestamp } of records) {
    const head = Buffer.from(JSON.stringify({ topic, key, headers, timestamp }));
    const body = Buffer.from(value ?? new Uint8Array(0));
    const frame = Buffer.allocUnsafe(FRAME_HEAD);
    frame.writeUInt32LE(MAGIC, 0);
    frame.writeUInt32LE(head.length, 4);
    frame.writeUInt32LE(body.length, 8);
    frame.writeUInt32LE(crc32(body, crc32(head)), 12);
    pieces.push(frame, head, body);
  }
  return Buffer.concat(pieces);
}

/** Everything up to the first frame that is cut off or damaged. Never throws. */
export function decodeSegment(bytes: Buffer): DecodedSegment {
  const records: OutgoingRecord[] = [];
  let at = 0;
  while (at < bytes.length) {
    const frame = frameAt(bytes, at);
    if (!frame) break;
    records.push(frame.record);
    at = frame.end;
  }
  return { records, damagedBytes: bytes.length - at };
}

function frameAt(bytes: Buffer, at: number): { record: OutgoingRecord; end: number } | undefined {
  if (at + FRAME_HEAD > bytes.length || bytes.readUInt32LE(at) !== MAGIC) return undefined;
  const headLength = bytes.readUInt32LE(at + 4);
  const valueLength = bytes.readUInt32LE(at + 8);
  const valueAt = at + FRAME_HEAD + headLength;
  const end = valueAt + valueLength;
  if (headLength > MAX_HEAD || valueLength > MAX_VALUE || end > bytes.length) return undefined;
  const head = bytes.subarray(at + FRAME_HEAD, valueAt);
  const value = bytes.subarray(valueAt, end);
  if (crc32(value, crc32(head)) !== bytes.readUInt32LE(at + 12)) return undefined;
  return { record: { ...(JSON.parse(head.toString()) as Omit<OutgoingRecord, 'value'>), value }, end };
}
