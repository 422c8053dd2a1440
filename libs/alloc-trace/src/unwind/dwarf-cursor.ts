/** Pointer encodings of .eh_frame (LSB core specification, "DWARF Extensions"). */
const ABSOLUTE = 0x00;
const ULEB128 = 0x01;
const UDATA2 = 0x02;
const UDATA4 = 0x03;
const UDATA8 = 0x04;
const SLEB128 = 0x09;
const SDATA2 = 0x0a;
const SDATA4 = 0x0b;
const SDATA8 = 0x0c;
const RELATIVE_TO_PC = 0x10;
export const OMITTED = 0xff;

/** What a damaged table throws within this folder; callers turn it into "no rule". */
export class DwarfDamage extends Error {}

/** A place in bytes that moves on with each read. No read leaves [at, end): DwarfDamage instead. */
export interface DwarfCursor {
  readonly bytes: Buffer;
  at: number;
  readonly end: number;
}

export function cursorOver(bytes: Buffer, at = 0, end = bytes.length): DwarfCursor {
  if (at < 0 || end > bytes.length || at > end) throw new DwarfDamage(`no bytes from ${at} to ${end}`);
  return { bytes, at, end };
}

/** Moves on by `count` and says where it was. */
export function take(cursor: DwarfCursor, count: number): number {
  const { at } = cursor;
  if (!(count >= 0 && at + count <= cursor.end)) throw new DwarfDamage(`${count} bytes at ${at} leave the table`);
  cursor.at = at + count;
  return at;
}

export const u8 = (cursor: DwarfCursor): number => cursor.bytes[take(cursor, 1)]!;
export const u16 = (cursor: DwarfCursor): number => cursor.bytes.readUInt16LE(take(cursor, 2));
export const u32 = (cursor: DwarfCursor): number => cursor.bytes.readUInt32LE(take(cursor, 4));
export const s16 = (cursor: DwarfCursor): number => cursor.bytes.readInt16LE(take(cursor, 2));
export const s32 = (cursor: DwarfCursor): number => cursor.bytes.readInt32LE(take(cursor, 4));
/** As doubles: exact up to 2^53, which user addresses and offsets keep to. */
export const u64 = (cursor: DwarfCursor): number => Number(cursor.bytes.readBigUInt64LE(take(cursor, 8)));
export const s64 = (cursor: DwarfCursor): number => Number(cursor.bytes.readBigInt64LE(take(cursor, 8)));

export function uleb(cursor: DwarfCursor): number {
  let value = 0;
  for (let scale = 1; ; scale *= 128) {
    const byte = u8(cursor);
    value += (byte & 127) * scale;
    if ((byte & 128) === 0) return value;
    if (scale > 2 ** 63) throw new DwarfDamage('a number has too many digits');
  }
}

export function sleb(cursor: DwarfCursor): number {
  let value = 0;
  for (let scale = 1; ; scale *= 128) {
    const byte = u8(cursor);
    value += (byte & 127) * scale;
    if ((byte & 128) === 0) return (byte & 64) === 0 ? value : value - scale * 128;
    if (scale > 2 ** 63) throw new DwarfDamage('a number has too many digits');
  }
}

function unplaced(cursor: DwarfCursor, format: number): number {
  switch (format) {
    case ABSOLUTE:
    case UDATA8:
      return u64(cursor);
    case ULEB128:
      return uleb(cursor);
    case UDATA2:
      return u16(cursor);
    case UDATA4:
      return u32(cursor);
    case SLEB128:
      return sleb(cursor);
    case SDATA2:
      return s16(cursor);
    case SDATA4:
      return s32(cursor);
    case SDATA8:
      return s64(cursor);
    default:
      throw new DwarfDamage(`unknown pointer encoding ${format}`);
  }
}

/** A pointer as an address of the file. `base` is the address of byte 0 of the table. */
export function encodedPointer(cursor: DwarfCursor, encoding: number, base: number): number {
  const place = base + cursor.at;
  const value = unplaced(cursor, encoding & 0x0f);
  const relation = encoding & 0x70;
  if (relation === 0) return value;
  if (relation === RELATIVE_TO_PC) return place + value;
  throw new DwarfDamage(`pointers relative to ${relation} are not known in .eh_frame`);
}

/** A length: the format of the encoding without its relation. */
export function encodedLength(cursor: DwarfCursor, encoding: number): number {
  return unplaced(cursor, encoding & 0x0f);
}
