import { ByteScanner } from './byte-scanner.js';

const TAB = 9;
const NEWLINE = 10;
const SPACE = 32;
const COLON = 58;

/** One line of a kernel file: its label there, our name for it, and what one of its units is in ours (1,024 for kB). */
export type FigureField<Name extends string> = readonly [label: string, name: Name, unit: number];

/**
 * Reads files of `label: number` or `label number` lines in any order, and knows the labels it wants by a hash of
 * their bytes, so that the lines it does not want cost no text. A label that is not there stays absent.
 */
export class FigureTable<Name extends string> {
  private readonly labels: readonly Uint8Array[];
  private readonly slots: Int32Array;
  private readonly values: Float64Array;
  private readonly scanner = new ByteScanner();

  constructor(private readonly fields: readonly FigureField<Name>[]) {
    this.labels = fields.map(([label]) => Buffer.from(label, 'latin1'));
    this.values = new Float64Array(fields.length);
    let size = 8;
    while (size < fields.length * 4) size *= 2;
    this.slots = new Int32Array(size).fill(-1);
    this.labels.forEach((label, index) => {
      let slot = hash(label, 0, label.length) & (size - 1);
      while (this.slots[slot] !== -1) slot = (slot + 1) & (size - 1);
      this.slots[slot] = index;
    });
  }

  /** The figures of the block that are known, in our units; the first line counts when a label comes twice. */
  read(bytes: Uint8Array, length: number = bytes.length): Partial<Record<Name, number>> {
    this.values.fill(Number.NaN);
    this.scan(bytes, length);
    const figures: Partial<Record<Name, number>> = {};
    for (let index = 0; index < this.fields.length; index++) {
      const value = this.values[index]!;
      const [, name, unit] = this.fields[index]!;
      if (!Number.isNaN(value)) figures[name] = value * unit;
    }
    return figures;
  }

  private scan(bytes: Uint8Array, length: number): void {
    const { scanner, values } = this;
    scanner.reset(bytes, length);
    while (!scanner.done) {
      const from = scanner.at;
      const to = labelEnd(bytes, from, scanner.end);
      const index = this.indexOf(bytes, from, to);
      if (index >= 0 && Number.isNaN(values[index])) {
        scanner.at = bytes[to] === COLON ? to + 1 : to;
        values[index] = scanner.number();
      }
      scanner.nextLine();
    }
  }

  private indexOf(bytes: Uint8Array, from: number, to: number): number {
    const mask = this.slots.length - 1;
    for (let slot = hash(bytes, from, to) & mask; ; slot = (slot + 1) & mask) {
      const index = this.slots[slot]!;
      if (index === -1 || sameBytes(this.labels[index]!, bytes, from, to)) return index;
    }
  }
}

function labelEnd(bytes: Uint8Array, from: number, end: number): number {
  let at = from;
  while (at < end) {
    const byte = bytes[at]!;
    if (byte === COLON || byte === SPACE || byte === TAB || byte === NEWLINE) break;
    at++;
  }
  return at;
}

function hash(bytes: Uint8Array, from: number, to: number): number {
  let value = to - from;
  for (let at = from; at < to; at++) value = (Math.imul(value, 31) + bytes[at]!) | 0;
  return value ^ (value >>> 15);
}

function sameBytes(label: Uint8Array, bytes: Uint8Array, from: number, to: number): boolean {
  if (label.length !== to - from) return false;
  for (let index = 0; index < label.length; index++) {
    if (label[index] !== bytes[from + index]) return false;
  }
  return true;
}
