const TAB = 9;
const NEWLINE = 10;
const SPACE = 32;
const MINUS = 45;
const POINT = 46;
const ZERO = 48;
const NINE = 57;
const COLON = 58;

/** Fifteen digits always fit a double exactly; a sixteenth may not. */
const EXACT_DIGITS = 15;
/** 2^64 − 1 has twenty digits: a longer run is no kernel number. */
const MAX_DIGITS = 20;

/**
 * Reads whole numbers and line starts out of a block of kernel text in place: no strings, no regular expressions, no
 * allocation (except for numbers of more than 15 digits).
 *
 * Every method stays within `end`, takes the cursor `at` only forward, and gives NaN instead of throwing when what it
 * looks for is not there: NaN is "unknown" all through the hot path, and never becomes 0.
 *
 * Numbers above 2^53 are rounded to the nearest double, as `Number(text)` rounds. Rounding is monotonic, so a growing
 * counter never seems to go back, but it moves in steps of 2 (then 4 …) and differences below a step are lost.
 */
export class ByteScanner {
  bytes: Uint8Array;
  at = 0;
  end: number;

  constructor(bytes: Uint8Array = new Uint8Array(0), length = bytes.length) {
    this.bytes = bytes;
    this.end = Math.min(length, bytes.length);
  }

  /** Looks at another block, from its start. A `length` above the block's own is cut to it. */
  reset(bytes: Uint8Array, length: number, from = 0): this {
    this.bytes = bytes;
    this.end = length > bytes.length ? bytes.length : length;
    this.at = from;
    return this;
  }

  get done(): boolean {
    return this.at >= this.end;
  }

  /** The byte at the cursor, or −1 at the end. */
  peek(): number {
    return this.at < this.end ? this.bytes[this.at]! : -1;
  }

  /** Passes blanks and tabs, not newlines. */
  skipBlanks(): void {
    const { bytes, end } = this;
    let at = this.at;
    while (at < end) {
      const byte = bytes[at]!;
      if (byte !== SPACE && byte !== TAB) break;
      at++;
    }
    this.at = at;
  }

  /** Passes blanks, then reads an unsigned number; NaN (cursor at what was found instead) when there is none. */
  number(): number {
    this.skipBlanks();
    const { bytes, end } = this;
    const from = this.at;
    let at = from;
    let value = 0;
    while (at < end) {
      const digit = bytes[at]! - ZERO;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
      at++;
    }
    this.at = at;
    if (at === from) return Number.NaN;
    return at - from <= EXACT_DIGITS ? value : longNumber(bytes, from, at);
  }

  /** As `number`, with an optional minus sign. */
  signed(): number {
    this.skipBlanks();
    if (this.peek() !== MINUS) return this.number();
    this.at++;
    const digit = this.peek();
    return digit >= ZERO && digit <= NINE ? -this.number() : Number.NaN;
  }

  /** A number with an optional fraction after a point, as loadavg, uptime and pressure files write them. */
  decimal(): number {
    const whole = this.number();
    if (this.peek() !== POINT) return whole;
    this.at++;
    const from = this.at;
    const fraction = this.peek() >= ZERO && this.peek() <= NINE ? this.number() : Number.NaN;
    // The quotient of the whole decimal text rounds as Number(text) does; adding a rounded fraction would not.
    const scale = 10 ** (this.at - from);
    return (whole * scale + fraction) / scale;
  }

  /** Passes blanks, then the word after them: everything up to a blank or the end of the line. */
  skipWord(): void {
    this.skipBlanks();
    const { bytes, end } = this;
    let at = this.at;
    while (at < end) {
      const byte = bytes[at]!;
      if (byte === SPACE || byte === TAB || byte === NEWLINE) break;
      at++;
    }
    this.at = at;
  }

  skipWords(count: number): void {
    for (let word = 0; word < count; word++) this.skipWord();
  }

  /** To the start of the next line; false when there is none. */
  nextLine(): boolean {
    const { bytes, end } = this;
    let at = this.at;
    while (at < end && bytes[at] !== NEWLINE) at++;
    at++;
    this.at = at < end ? at : end;
    return at < end;
  }

  /** Where the line that the cursor is in ends: the index of its newline, or the end of the block. */
  lineEnd(): number {
    const { bytes, end } = this;
    let at = this.at;
    while (at < end && bytes[at] !== NEWLINE) at++;
    return at;
  }

  /** Passes `word` when the block goes on with exactly that (ASCII) text, else stays and gives false. */
  take(word: string): boolean {
    const { bytes, at } = this;
    if (at + word.length > this.end) return false;
    for (let index = 0; index < word.length; index++) {
      if (bytes[at + index] !== word.charCodeAt(index)) return false;
    }
    this.at = at + word.length;
    return true;
  }

  /** Reads a label up to its colon and passes the colon; undefined (cursor unmoved) when this line has no colon. */
  label(): string | undefined {
    const { bytes, end } = this;
    for (let at = this.at; at < end; at++) {
      const byte = bytes[at]!;
      if (byte === NEWLINE) return undefined;
      if (byte !== COLON) continue;
      const label = latin1(bytes, this.at, at);
      this.at = at + 1;
      return label;
    }
    return undefined;
  }

  /** Passes blanks, then reads the word after them; empty at the end of a line. */
  word(): string {
    this.skipBlanks();
    const from = this.at;
    this.skipWord();
    return latin1(this.bytes, from, this.at);
  }
}

/** The bytes as text, one character each: for ASCII, which all but names and paths are. */
export function latin1(bytes: Uint8Array, from: number, to: number): string {
  return view(bytes, from, to).toString('latin1');
}

/** The bytes as UTF-8 text, with U+FFFD for what is not UTF-8: names and paths are bytes to the kernel. */
export function utf8(bytes: Uint8Array, from: number, to: number): string {
  return view(bytes, from, to).toString('utf8');
}

function view(bytes: Uint8Array, from: number, to: number): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from);
}

function longNumber(bytes: Uint8Array, from: number, to: number): number {
  return to - from > MAX_DIGITS ? Number.NaN : Number(latin1(bytes, from, to));
}
