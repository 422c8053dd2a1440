/** Stands still, for more bytes, at each `yield`. */
export type Walk<T = void> = Generator<undefined, T, undefined>;

/**
 * Bytes that come in pieces and leave again in order, with others put between. Reading functions are generators: they
 * stand still while bytes are missing, so that a reader written as a plain loop works on a stream.
 */
export interface Tape {
  buffer: Buffer;
  /** Read up to here. */
  at: number;
  /** Sent off up to here. */
  mark: number;
  out: Buffer[];
}

export function createTape(): Tape {
  return { buffer: Buffer.alloc(0), at: 0, mark: 0, out: [] };
}

export function feed(tape: Tape, chunk: Buffer): void {
  emit(tape);
  tape.buffer = tape.at === tape.buffer.length ? chunk : Buffer.concat([tape.buffer.subarray(tape.at), chunk]);
  tape.at = 0;
  tape.mark = 0;
}

/** What was read or put in since the last call. */
export function drain(tape: Tape): Buffer[] {
  emit(tape);
  const drained = tape.out;
  tape.out = [];
  return drained;
}

/** Puts bytes in behind what was read. */
export function insert(tape: Tape, bytes: Buffer): void {
  emit(tape);
  if (bytes.length > 0) tape.out.push(bytes);
}

function emit(tape: Tape): void {
  if (tape.at > tape.mark) tape.out.push(tape.buffer.subarray(tape.mark, tape.at));
  tape.mark = tape.at;
}

/** Waits until so many bytes can be read at once. */
export function* need(tape: Tape, bytes: number): Walk {
  while (tape.buffer.length - tape.at < bytes) yield;
}

/** Reads over bytes without keeping them. */
export function* pass(tape: Tape, bytes: number): Walk {
  let left = bytes;
  while (tape.buffer.length - tape.at < left) {
    left -= tape.buffer.length - tape.at;
    tape.at = tape.buffer.length;
    yield;
  }
  tape.at += left;
}

export function* readUint64(tape: Tape): Walk<number> {
  yield* need(tape, 8);
  tape.at += 8;
  return Number(tape.buffer.readBigUInt64LE(tape.at - 8));
}

export function* readVarint(tape: Tape): Walk<number> {
  let value = 0;
  for (let scale = 1; ; scale *= 128) {
    if (tape.at >= tape.buffer.length) yield* need(tape, 1);
    const byte = tape.buffer[tape.at++]!;
    value += (byte & 127) * scale;
    if (byte < 128) return value;
  }
}

export function* readText(tape: Tape): Walk<string> {
  const length = yield* readVarint(tape);
  yield* need(tape, length);
  tape.at += length;
  return tape.buffer.toString('utf8', tape.at - length, tape.at);
}
