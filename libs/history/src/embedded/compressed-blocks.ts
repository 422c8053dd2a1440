import { Readable, Transform } from 'node:stream';
import * as zlib from 'node:zlib';
import { cityHash128 } from './city-hash.js';
import { EngineException } from './exception.js';

/*
 * ClickHouse's compressed blocks, as in its native protocol and, over HTTP, with compress=1 and decompress=1:
 * 16 bytes CityHash128 of all that follows; 1 byte method; 4 bytes size with this header of 9; 4 bytes size unpacked; data.
 */
const checksumBytes = 16;
const headerBytes = 9;
const method = { none: 0x02, lz4: 0x82, zstd: 0x90 } as const;
/** Of one block, packed or not: a size beyond it is garbage or an attack. */
const maxBlockBytes = 256 * 2 ** 20;

/** Unpacks a stream of blocks. */
export function decodeBlocks(packed: Readable): Readable {
  async function* unpacked() {
    let rest = Buffer.alloc(0);
    let wanted = checksumBytes + headerBytes;
    let parts: Buffer[] = [];
    let size = 0;
    for await (const chunk of packed as AsyncIterable<Buffer>) {
      parts.push(chunk);
      size += chunk.length;
      if (size < wanted) continue;
      rest = Buffer.concat(parts);
      for (wanted = blockSize(rest); rest.length >= wanted; wanted = blockSize(rest)) {
        yield unpack(rest.subarray(0, wanted));
        rest = rest.subarray(wanted);
      }
      parts = [rest];
      size = rest.length;
    }
    if (size > 0) throw broken('the last block is cut off');
  }
  return Readable.from(unpacked(), { objectMode: false });
}

/** Size of the block that starts the bytes; what is needed to know it while they are too few. */
function blockSize(bytes: Buffer): number {
  if (bytes.length < checksumBytes + headerBytes) return checksumBytes + headerBytes;
  const packedSize = bytes.readUInt32LE(checksumBytes + 1);
  if (packedSize < headerBytes || packedSize > maxBlockBytes) throw broken(`a block says it has ${packedSize} bytes`);
  return checksumBytes + packedSize;
}

function unpack(block: Buffer): Buffer {
  const content = block.subarray(checksumBytes);
  if (!cityHash128(content).equals(block.subarray(0, checksumBytes))) {
    throw new EngineException(40, 'CHECKSUM_DOESNT_MATCH', "Checksum doesn't match: corrupted data");
  }
  const size = content.readUInt32LE(5);
  if (size > maxBlockBytes) throw broken(`a block says it unpacks to ${size} bytes`);
  const data = content.subarray(headerBytes);
  const kind = content[0];
  if (kind === method.none && data.length === size) return data;
  if (kind === method.lz4) return unpackLz4(data, size);
  if (kind === method.zstd && 'zstdDecompressSync' in zlib) {
    return (zlib.zstdDecompressSync as (data: Buffer) => Buffer)(data);
  }
  const sentence = `Unknown compression method 0x${kind?.toString(16)} in a block, use LZ4`;
  throw new EngineException(89, 'UNKNOWN_COMPRESSION_METHOD', sentence);
}

/** LZ4 block format: runs of literals and copies of what came before. */
export function unpackLz4(packed: Buffer, size: number): Buffer {
  const result = Buffer.allocUnsafe(size);
  let from = 0;
  let to = 0;
  const readLength = (start: number) => {
    let length = start;
    if (start < 15) return length;
    for (let byte = 255; byte === 255; length += byte) {
      if (from >= packed.length) throw broken('an LZ4 block is cut off');
      byte = packed[from++]!;
    }
    return length;
  };
  while (from < packed.length) {
    const token = packed[from++]!;
    const literals = readLength(token >> 4);
    if (from + literals > packed.length || to + literals > size) throw broken('an LZ4 block overruns its size');
    packed.copy(result, to, from, from + literals);
    from += literals;
    to += literals;
    if (from >= packed.length) break;
    if (from + 2 > packed.length) throw broken('an LZ4 block is cut off');
    const offset = packed.readUInt16LE(from);
    from += 2;
    const length = readLength(token & 15) + 4;
    if (offset === 0 || offset > to || to + length > size) throw broken('an LZ4 block refers outside itself');
    // Source and target may overlap: then the copied bytes repeat.
    if (offset >= length) result.copy(result, to, to - offset, to - offset + length);
    else for (let index = 0; index < length; index += 1) result[to + index] = result[to + index - offset]!;
    to += length;
  }
  if (to !== size) throw broken(`an LZ4 block unpacks to ${to} bytes instead of ${size}`);
  return result;
}

function broken(what: string): EngineException {
  return new EngineException(271, 'CANNOT_DECOMPRESS', `Cannot decompress: ${what}`);
}

/** One block of method "none": all clients read it, and packing gains nothing on the loopback. */
export function encodeBlock(data: Buffer): Buffer {
  const header = Buffer.alloc(headerBytes);
  header[0] = method.none;
  header.writeUInt32LE(headerBytes + data.length, 1);
  header.writeUInt32LE(data.length, 5);
  const content = Buffer.concat([header, data]);
  return Buffer.concat([cityHash128(content), content]);
}

export function encodeBlocks(): Transform {
  return new Transform({ transform: (chunk: Buffer, _encoding, done) => done(null, encodeBlock(chunk)) });
}
