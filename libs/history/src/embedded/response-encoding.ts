import type { Transform } from 'node:stream';
import * as zlib from 'node:zlib';

export type ResponseEncoding = 'br' | 'gzip' | 'deflate' | 'zstd';

/** The fastest: on a loopback, time is dearer than bytes. */
const level = 1;
const brotli = { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: level } };

/** zstd is in Node 22.15 and newer. */
const zstd = zlib as { createZstdCompress?: () => Transform; zstdCompressSync?: (data: Buffer) => Buffer };

/** Encodings of results, best first, as far as this Node has them. */
export function knownEncodings(): ResponseEncoding[] {
  return ['br', 'gzip', 'deflate', ...(zstd.createZstdCompress === undefined ? [] : ['zstd' as const])];
}

export function encoderOf(encoding: ResponseEncoding): Transform {
  if (encoding === 'gzip') return zlib.createGzip({ level });
  if (encoding === 'deflate') return zlib.createDeflate({ level });
  if (encoding === 'zstd' && zstd.createZstdCompress !== undefined) return zstd.createZstdCompress();
  return zlib.createBrotliCompress(brotli);
}

/** For what is short. */
export function encodeWhole(encoding: ResponseEncoding, data: Buffer): Buffer {
  if (encoding === 'gzip') return zlib.gzipSync(data, { level });
  if (encoding === 'deflate') return zlib.deflateSync(data, { level });
  if (encoding === 'zstd' && zstd.zstdCompressSync !== undefined) return zstd.zstdCompressSync(data);
  return zlib.brotliCompressSync(data, brotli);
}
