import { ContractError } from './errors.js';

/**
 * Columns of whole numbers as bytes. JSON takes a reader four times as long to parse, and half as long again to check:
 * what is read of these bytes is a number from 0 to 2^53−1, or null, and nothing else.
 *
 * A column is a byte of flags; with FLAG_NULLS a bit for each row that has a value, lowest bit first; then the values, as
 * varints: seven bits a byte, lowest first, the highest bit set in all but the last. With FLAG_PAGES a value is counted in
 * pages of 4 KiB. With FLAG_STEPS it is what has to be added to the value before (0 before the first), as zigzag: 0, −1, 1,
 * −2, … are 0, 1, 2, 3, ….
 */
export type PackedCells = (number | null)[];

const FLAG_NULLS = 0x01;
const FLAG_PAGES = 0x02;
const FLAG_STEPS = 0x04;
const KNOWN_FLAGS = FLAG_NULLS | FLAG_PAGES | FLAG_STEPS;
const PAGE = 4096;

/** Bytes that a column of so many rows takes at most: flags, a bit a row, and 8 bytes for 53 bits and a sign. */
export function packedColumnBound(rows: number): number {
  return 1 + Math.ceil(rows / 8) + rows * 8;
}

/** A step between two larger values, as zigzag, would be beyond the whole numbers that JavaScript knows. */
const MAX_STEPPING = 2 ** 51;

/**
 * Writes one column; gives the offset behind it, or undefined when a cell is neither null nor a whole number from 0 on.
 * `steps` suits ids, which ascend.
 */
export function packColumn(
  cells: readonly (number | null)[],
  steps: boolean,
  out: Uint8Array,
  at: number,
): number | undefined {
  let flags = steps ? FLAG_STEPS : FLAG_PAGES;
  for (const cell of cells) {
    if (cell === null) flags |= FLAG_NULLS;
    else if (!Number.isSafeInteger(cell) || cell < 0) return undefined;
    else if (cell % PAGE !== 0) flags &= ~FLAG_PAGES;
    if (cell !== null && cell > MAX_STEPPING) flags &= ~FLAG_STEPS;
  }
  out[at++] = flags;
  if (flags & FLAG_NULLS) at = packPresence(cells, out, at);
  const unit = flags & FLAG_PAGES ? PAGE : 1;
  let before = 0;
  for (const cell of cells) {
    if (cell === null) continue;
    at = packVarint(flags & FLAG_STEPS ? zigzag(cell - before) : cell / unit, out, at);
    before = cell;
  }
  return at;
}

function packPresence(cells: readonly (number | null)[], out: Uint8Array, at: number): number {
  for (let row = 0; row < cells.length; row += 8) {
    let bits = 0;
    for (let bit = 0; bit < 8 && row + bit < cells.length; bit++) if (cells[row + bit] !== null) bits |= 1 << bit;
    out[at++] = bits;
  }
  return at;
}

function zigzag(step: number): number {
  return step < 0 ? -2 * step - 1 : 2 * step;
}

/** Writes a whole number from 0 on; gives the offset behind it. */
export function packVarint(value: number, out: Uint8Array | number[], at: number): number {
  for (; value >= 128; value = Math.floor(value / 128)) out[at++] = (value % 128) | 128;
  out[at++] = value;
  return at;
}

/** Reads one thing after another; what is not there, or is out of bounds, throws ContractError with its name. */
export class PackedReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** True when nothing is left. */
  get done(): boolean {
    return this.#at === this.#bytes.length;
  }

  /** Where the next byte is. */
  get at(): number {
    return this.#at;
  }

  skipTo(at: number): void {
    this.#at = at;
  }

  /** Where something ends that has its length before it. */
  endOf(name: string): number {
    const end = this.count(name) + this.#at;
    if (end > this.#bytes.length) throw damaged(name, 'it is cut off');
    return end;
  }

  /** A whole number from 0 to `max`. */
  count(name: string, max: number = Number.MAX_SAFE_INTEGER): number {
    const value = this.#varint(name);
    if (value > max) throw damaged(name, `it is ${value}, the most is ${max}`);
    return value;
  }

  /** Bytes with their number before them. */
  bytes(name: string): Buffer {
    const end = this.endOf(name);
    const bytes = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return bytes;
  }

  /** Text of ASCII with its length before it. */
  text(name: string): string {
    return this.bytes(name).toString('latin1');
  }

  /** Text of UTF-8 with its bytes' number before it: some, and `most` at most. */
  utf8(name: string, most: number): string {
    const text = this.bytes(name).toString('utf8');
    if (text.length === 0 || text.length > most) throw damaged(name, `a label has ${text.length} characters`);
    return text;
  }

  /** `max` is the largest value that may be there. */
  column(name: string, rows: number, nullable: boolean, max: number = Number.MAX_SAFE_INTEGER): PackedCells {
    const flags = this.#byte(name);
    if (flags & ~KNOWN_FLAGS || (flags & FLAG_NULLS && !nullable)) throw damaged(name, `its flags are ${flags}`);
    const presence = this.#at;
    if (flags & FLAG_NULLS) this.#at += Math.ceil(rows / 8);
    // Each value has a byte at least: what is not there is not made room for.
    const values = flags & FLAG_NULLS ? this.#present(name, presence, rows) : rows;
    if (values > this.#bytes.length - this.#at) throw damaged(name, 'it is cut off');
    const unit = flags & FLAG_PAGES ? PAGE : 1;
    const cells = new Array<number | null>(rows);
    let before = 0;
    for (let row = 0; row < rows; row++) {
      if (flags & FLAG_NULLS && !((this.#bytes[presence + (row >> 3)]! >> (row & 7)) & 1)) {
        cells[row] = null;
        continue;
      }
      const read = this.#varint(name);
      const value = flags & FLAG_STEPS ? before + (read % 2 === 0 ? read / 2 : -(read + 1) / 2) : read * unit;
      if (!(value >= 0 && value <= max)) throw damaged(name, `row ${row} is ${value}`);
      cells[row] = before = value;
    }
    return cells;
  }

  #present(name: string, from: number, rows: number): number {
    if (this.#at > this.#bytes.length) throw damaged(name, 'it is cut off');
    let count = 0;
    for (let row = 0; row < rows; row++) count += (this.#bytes[from + (row >> 3)]! >> (row & 7)) & 1;
    return count;
  }

  #byte(name: string): number {
    const byte = this.#bytes[this.#at++];
    if (byte === undefined) throw damaged(name, 'it is cut off');
    return byte;
  }

  #varint(name: string): number {
    let byte = this.#byte(name);
    if (byte < 128) return byte;
    let value = byte & 127;
    for (let factor = 128; byte >= 128; factor *= 128) {
      if (factor > 2 ** 49) throw damaged(name, 'a number is beyond 2^56');
      byte = this.#byte(name);
      value += (byte & 127) * factor;
    }
    return value;
  }
}

export function damaged(name: string, why: string): ContractError {
  return new ContractError('CONTRACT_SHAPE', `packed ${name} cannot be read: ${why}`);
}
