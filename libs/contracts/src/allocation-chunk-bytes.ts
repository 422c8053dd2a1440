import { ContractError } from './errors.js';

const LOW = 0x80;
const MAX_VARINT_BYTES = 8;

/** Bytes that grow as they are written. All numbers little endian, varints seven bits a byte, low ones first. */
export interface ByteWriter {
  readonly length: number;
  byte(value: number): void;
  /** A whole number from 0 to 2^53 − 1. Throws RangeError for anything else. */
  varint(value: number): void;
  /**
   * Any finite number. Whole ones from 0 to 2^52 − 1 as a varint of twice the value, the others as the varint 1 and the
   * eight bytes of the double.
   */
  number(value: number): void;
  text(value: string): void;
  /** The bytes so far; a view that the next write may change. */
  bytes(): Buffer;
}

export function createByteWriter(capacity = 4096): ByteWriter {
  let buffer = Buffer.allocUnsafe(capacity);
  let length = 0;
  const room = (bytes: number): void => {
    if (length + bytes <= buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(buffer.length * 2, length + bytes));
    buffer.copy(larger, 0, 0, length);
    buffer = larger;
  };
  const varint = (value: number): void => {
    if (!Number.isSafeInteger(value) || value < 0)
      throw new RangeError(`${value} is no whole number from 0 to 2^53 − 1`);
    room(MAX_VARINT_BYTES);
    while (value >= LOW) {
      buffer[length++] = (value % LOW) + LOW;
      value = Math.floor(value / LOW);
    }
    buffer[length++] = value;
  };
  return {
    get length() {
      return length;
    },
    byte(value) {
      room(1);
      buffer[length++] = value;
    },
    varint,
    number(value) {
      if (!Number.isFinite(value)) throw new RangeError(`${value} is no finite number`);
      if (isPlain(value)) return varint(value * 2);
      varint(1);
      room(8);
      length = buffer.writeDoubleLE(value, length);
    },
    text(value) {
      const bytes = Buffer.from(value, 'utf8');
      varint(bytes.length);
      room(bytes.length);
      length += bytes.copy(buffer, length);
    },
    bytes: () => buffer.subarray(0, length),
  };
}

/** Reads what a ByteWriter wrote. Every call names the field that it reads, for the error. */
export interface ByteReader {
  readonly position: number;
  readonly left: number;
  byte(field: string, max?: number): number;
  varint(field: string, max?: number): number;
  number(field: string): number;
  text(field: string, maxCharacters: number): string;
  /** A varint that counts things of at least `bytesEach`: more than can still follow is refused before any is read. */
  count(field: string, bytesEach: number, max?: number): number;
  fail(field: string, problem: string): never;
}

interface Cursor {
  buffer: Buffer;
  position: number;
}

export function createByteReader(bytes: Uint8Array): ByteReader {
  const cursor = { buffer: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), position: 0 };
  return {
    get position() {
      return cursor.position;
    },
    get left() {
      return leftOf(cursor);
    },
    byte(field, max = 255) {
      const value = readByte(cursor, field);
      return value > max ? fail(cursor, field, `is ${value}; the most is ${max}`) : value;
    },
    varint: (field, max) => readVarint(cursor, field, max),
    number: (field) => readNumber(cursor, field),
    text: (field, maxCharacters) => readText(cursor, field, maxCharacters),
    count(field, bytesEach, max) {
      const value = readVarint(cursor, field, max);
      const left = leftOf(cursor);
      return value * bytesEach > left ? fail(cursor, field, `is ${value}, more than ${left} bytes hold`) : value;
    },
    fail: (field, problem) => fail(cursor, field, problem),
  };
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function leftOf({ buffer, position }: Cursor): number {
  return buffer.length - position;
}

function fail({ position }: Cursor, field: string, problem: string): never {
  throw new ContractError('CONTRACT_SHAPE', `allocation chunk: ${field} at byte ${position} ${problem}`);
}

function need(cursor: Cursor, field: string, count: number): void {
  const left = leftOf(cursor);
  if (left < count) fail(cursor, field, `is cut off: ${left} of ${count} bytes`);
}

function readByte(cursor: Cursor, field: string): number {
  need(cursor, field, 1);
  return cursor.buffer[cursor.position++]!;
}

function readVarint(cursor: Cursor, field: string, max = Number.MAX_SAFE_INTEGER): number {
  let value = 0;
  let scale = 1;
  for (let index = 0; ; index++) {
    const byte = readByte(cursor, field);
    value += (byte % LOW) * scale;
    if (byte < LOW) {
      if (byte === 0 && index > 0) fail(cursor, field, 'is a number written longer than it is');
      break;
    }
    if (index === MAX_VARINT_BYTES - 1) fail(cursor, field, 'is a number without end');
    scale *= LOW;
  }
  return value > max ? fail(cursor, field, `is ${value}; the most is ${max}`) : value;
}

function readNumber(cursor: Cursor, field: string): number {
  const tagged = readVarint(cursor, field);
  if (tagged % 2 === 0) return tagged / 2;
  if (tagged !== 1) fail(cursor, field, `has the unknown tag ${tagged}`);
  need(cursor, field, 8);
  const value = cursor.buffer.readDoubleLE(cursor.position);
  cursor.position += 8;
  if (!Number.isFinite(value)) fail(cursor, field, 'is no finite number');
  return isPlain(value) ? fail(cursor, field, 'is a number written longer than it is') : value;
}

function readText(cursor: Cursor, field: string, maxCharacters: number): string {
  const length = readVarint(cursor, field, maxCharacters * 3);
  need(cursor, field, length);
  let text: string;
  try {
    text = decoder.decode(cursor.buffer.subarray(cursor.position, cursor.position + length));
  } catch {
    return fail(cursor, field, 'is not UTF-8');
  }
  if (text.length > maxCharacters) {
    fail(cursor, field, `has ${text.length} characters; the most are ${maxCharacters}`);
  }
  cursor.position += length;
  return text;
}

/** Whether a number is written as a varint. */
function isPlain(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value < 2 ** 52;
}
