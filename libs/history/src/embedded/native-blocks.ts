import { createTape, drain, feed, insert, need, pass, readText, readUint64, readVarint } from './byte-tape.js';
import type { Tape, Walk } from './byte-tape.js';
import { parseNativeType, type NativeType } from './native-types.js';

/** From here on, each column of a block says whether its bytes are of a special kind; ours never are. */
const versionWithSerialization = 54454;
/** From here on, the block's own fields have a list more. */
const versionWithBuckets = 54480;
/** In a dictionary's flags: keys stand before the indexes. */
const hasKeys = 0x200;

/** Changes a result on its way; pieces go in and come out in order. */
export interface Translation {
  /** @throws EngineException for what cannot be translated. */
  push(chunk: Buffer): Buffer;
}

/**
 * Turns Native as the engine writes it into files into Native as clients with a protocol version expect it: with the
 * fields of the block before it and a flag behind each column's type. Everything else passes unchanged and unbuffered.
 */
export function addBlockInfo(protocolVersion: number): Translation {
  const buckets = protocolVersion >= versionWithBuckets ? [3, 0] : [];
  const info = Buffer.from([1, 0, 2, 0xff, 0xff, 0xff, 0xff, ...buckets, 0]);
  const flag = Buffer.from(protocolVersion >= versionWithSerialization ? [0] : []);
  const tape = createTape();
  const walk = walkBlocks(tape, info, flag);
  return {
    push(chunk) {
      feed(tape, chunk);
      walk.next();
      return Buffer.concat(drain(tape));
    },
  };
}

function* walkBlocks(tape: Tape, info: Buffer, flag: Buffer): Walk {
  for (;;) {
    yield* need(tape, 1);
    insert(tape, info);
    const columns = yield* readVarint(tape);
    const rows = yield* readVarint(tape);
    for (let column = 0; column < columns; column += 1) {
      yield* readText(tape);
      const type = parseNativeType(yield* readText(tape));
      insert(tape, flag);
      if (rows === 0) continue;
      yield* passPrefix(tape, type);
      yield* passData(tape, type, rows);
    }
  }
}

/** What stands once before a column's values. */
function* passPrefix(tape: Tape, type: NativeType): Walk {
  if (type.kind === 'dictionary') yield* pass(tape, 8);
  else if (type.kind === 'nullable' || type.kind === 'array') yield* passPrefix(tape, type.of);
  else if (type.kind === 'tuple') for (const element of type.of) yield* passPrefix(tape, element);
}

function* passData(tape: Tape, type: NativeType, rows: number): Walk {
  if (rows === 0) return;
  if (type.kind === 'fixed') yield* pass(tape, rows * type.bytes);
  else if (type.kind === 'string') for (let row = 0; row < rows; row += 1) yield* pass(tape, yield* readVarint(tape));
  else if (type.kind === 'nullable') {
    yield* pass(tape, rows);
    yield* passData(tape, type.of, rows);
  } else if (type.kind === 'tuple') for (const element of type.of) yield* passData(tape, element, rows);
  else if (type.kind === 'dictionary') yield* passDictionary(tape, type.of);
  else {
    // Offsets: the last one is the number of elements.
    yield* pass(tape, (rows - 1) * 8);
    yield* passData(tape, type.of, yield* readUint64(tape));
  }
}

function* passDictionary(tape: Tape, keys: NativeType): Walk {
  const flags = yield* readUint64(tape);
  if ((flags & hasKeys) !== 0) yield* passData(tape, keys, yield* readUint64(tape));
  const rows = yield* readUint64(tape);
  yield* pass(tape, rows * 2 ** (flags & 0xff));
}
