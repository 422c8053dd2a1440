const WORD = 2 ** 32;

/** Unsigned 64 bits as a number: exact below 2^53. */
export function u64(bytes: Buffer, offset: number): number {
  return bytes.readUInt32LE(offset) + bytes.readUInt32LE(offset + 4) * WORD;
}

/** A part of a file as words and as doubles, so that a loop over it allocates nothing. */
export interface WordBuffer {
  readonly bytes: Buffer;
  readonly words: Uint32Array;
  readonly doubles: Float64Array;
}

export function createWordBuffer(bytes: number): WordBuffer {
  const memory = new ArrayBuffer(bytes);
  return { bytes: Buffer.from(memory), words: new Uint32Array(memory), doubles: new Float64Array(memory) };
}

/** Unsigned 64 bits from two words, the lower first. */
export function u64At(words: Uint32Array, index: number): number {
  return words[index]! + words[index + 1]! * WORD;
}

/** Numbers of the bits that are set, the lowest bit of the lowest byte first; below `limit`. */
export function* setBits(bitmap: Uint8Array, limit: number): Generator<number> {
  const bytes = Math.min(bitmap.length, Math.ceil(limit / 8));
  for (let at = 0; at < bytes; at++) {
    let byte = bitmap[at]!;
    for (let bit = at * 8; byte !== 0 && bit < limit; bit++, byte >>>= 1) {
      if (byte & 1) yield bit;
    }
  }
}
