import {
  DwarfDamage,
  OMITTED,
  cursorOver,
  encodedLength,
  encodedPointer,
  sleb,
  take,
  u32,
  u64,
  u8,
  uleb,
  type DwarfCursor,
} from './dwarf-cursor.js';
import { rowFor, type FrameCommon, type UnwindRow } from './cfi-program.js';

/** Rules to leave every function of one file. */
export interface FrameTable {
  /** Functions that have rules. */
  readonly count: number;
  /** The rules at an address as the file counts it; null when no function with rules is there, or they are damaged. */
  rowAt(address: number): UnwindRow | null;
}

/** Bound of functions in one file: above it the rest is left out. */
const MAX_FUNCTIONS = 4_194_304;

interface Entries {
  begins: number[];
  ends: number[];
  /** Where the call frame instructions of the function are. */
  programs: number[];
  programEnds: number[];
  commons: FrameCommon[];
}

/**
 * .eh_frame (LSB core specification, 10.6). `address` is that of the section as the file counts addresses. Whatever the
 * bytes are, it never throws: entries from the first damaged one on are left out.
 */
export function parseEhFrame(bytes: Buffer, address: number): FrameTable {
  const entries: Entries = { begins: [], ends: [], programs: [], programEnds: [], commons: [] };
  try {
    readEntries(bytes, address, entries);
  } catch (error) {
    if (!(error instanceof DwarfDamage)) throw error;
  }
  const order = Uint32Array.from(entries.begins.keys());
  if (!sorted(entries.begins)) order.sort((a, b) => entries.begins[a]! - entries.begins[b]! || a - b);
  return { count: order.length, rowAt: (at) => rowIn(bytes, entries, order, at) };
}

function sorted(values: readonly number[]): boolean {
  for (let index = 1; index < values.length; index++) if (values[index]! < values[index - 1]!) return false;
  return true;
}

function rowIn(bytes: Buffer, entries: Entries, order: Uint32Array, address: number): UnwindRow | null {
  let low = 0;
  let high = order.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (entries.begins[order[middle]!]! <= address) low = middle + 1;
    else high = middle;
  }
  const found = low === 0 ? undefined : order[low - 1];
  if (found === undefined || address >= entries.ends[found]!) return null;
  const program = bytes.subarray(entries.programs[found]!, entries.programEnds[found]!);
  try {
    return rowFor(entries.commons[found]!, program, entries.begins[found]!, address);
  } catch (error) {
    if (error instanceof DwarfDamage) return null;
    throw error;
  }
}

function readEntries(bytes: Buffer, base: number, entries: Entries): void {
  const commons = new Map<number, FrameCommon>();
  const all = cursorOver(bytes);
  while (all.end - all.at >= 4) {
    let length = u32(all);
    if (length === 0) continue; // a terminator; the linker may leave some in the middle
    if (length === 0xffffffff) length = u64(all);
    const start = take(all, length);
    const cursor = cursorOver(bytes, start, start + length);
    const back = u32(cursor);
    if (back === 0) continue; // a CIE: read when an FDE names it
    const at = start - back;
    let common = commons.get(at);
    if (common === undefined) commons.set(at, (common = readCommon(bytes, at, base)));
    readFunction(cursor, common, base, entries);
    if (entries.begins.length >= MAX_FUNCTIONS) return;
  }
}

function readFunction(cursor: DwarfCursor, common: FrameCommon, base: number, entries: Entries): void {
  const begin = encodedPointer(cursor, common.pointerEncoding, base);
  const size = encodedLength(cursor, common.pointerEncoding);
  if (common.hasAugmentation) {
    const bytes = uleb(cursor);
    take(cursor, bytes);
  }
  if (!(begin > 0 && size > 0)) return; // code that the linker dropped
  entries.begins.push(begin);
  entries.ends.push(begin + size);
  entries.programs.push(cursor.at);
  entries.programEnds.push(cursor.end);
  entries.commons.push(common);
}

function readCommon(bytes: Buffer, at: number, base: number): FrameCommon {
  const all = cursorOver(bytes, at);
  let length = u32(all);
  if (length === 0xffffffff) length = u64(all);
  const start = take(all, length);
  const cursor = cursorOver(bytes, start, start + length);
  if (u32(cursor) !== 0) throw new DwarfDamage('a function names something that is no CIE');
  const version = u8(cursor);
  if (version !== 1 && version !== 3) throw new DwarfDamage(`CIE of unknown version ${version}`);
  let augmentation = '';
  for (let character = u8(cursor); character !== 0; character = u8(cursor)) {
    augmentation += String.fromCharCode(character);
  }
  const common: FrameCommon = {
    codeAlignment: uleb(cursor),
    dataAlignment: sleb(cursor),
    returnRegister: version === 1 ? u8(cursor) : uleb(cursor),
    pointerEncoding: 0,
    signalFrame: augmentation.includes('S'),
    hasAugmentation: augmentation.startsWith('z'),
    program: Buffer.alloc(0),
  };
  if (common.hasAugmentation) readAugmentation(cursor, augmentation, common, base);
  else if (augmentation !== '') throw new DwarfDamage(`CIE with the unknown augmentation ${augmentation}`);
  common.program = bytes.subarray(cursor.at, cursor.end);
  return common;
}

function readAugmentation(cursor: DwarfCursor, augmentation: string, common: FrameCommon, base: number): void {
  const size = uleb(cursor);
  const end = take(cursor, size) + size;
  const inner = cursorOver(cursor.bytes, end - size, end);
  for (const letter of augmentation.slice(1)) {
    if (letter === 'R') common.pointerEncoding = u8(inner);
    else if (letter === 'L') u8(inner);
    else if (letter === 'P') {
      const encoding = u8(inner);
      if (encoding !== OMITTED) encodedPointer(inner, encoding & 0x1f, base);
    } else if (letter !== 'S' && letter !== 'B') return; // what follows cannot be read, and is not needed
  }
}
