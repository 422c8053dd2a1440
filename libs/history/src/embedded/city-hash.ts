/**
 * CityHash128 as of version 1.0.2 (G. Pike and J. Alakuijala, Google 2011): the checksum of ClickHouse's compressed
 * blocks. Later versions of CityHash give other values.
 */

const k0 = 0xc3a5c85c97cb3127n;
const k1 = 0xb492b66fbe98f273n;
const k2 = 0x9ae16a3b2f90404fn;
const k3 = 0xc949d7c7509e6557n;

type Pair = readonly [low: bigint, high: bigint];

const wrap = (value: bigint) => BigInt.asUintN(64, value);
const rotate = (value: bigint, by: bigint) => (by === 0n ? value : wrap(value << (64n - by)) | (value >> by));
const mix = (value: bigint) => value ^ (value >> 47n);

function fold(low: bigint, high: bigint): bigint {
  const mul = 0x9ddfea08eb382d69n;
  const a = mix(wrap((low ^ high) * mul));
  const b = mix(wrap((high ^ a) * mul));
  return wrap(b * mul);
}

/** 16 bytes, the low half first, little-endian: as they stand before a block. */
export function cityHash128(data: Buffer): Buffer {
  const [low, high] = hashPair(data);
  const result = Buffer.alloc(16);
  result.writeBigUInt64LE(low, 0);
  result.writeBigUInt64LE(high, 8);
  return result;
}

function hashPair(data: Buffer): Pair {
  const { length } = data;
  if (length >= 16) {
    return seeded(data.subarray(16), [data.readBigUInt64LE(0) ^ k3, data.readBigUInt64LE(8)]);
  }
  if (length >= 8) {
    const seed: Pair = [data.readBigUInt64LE(0) ^ wrap(BigInt(length) * k0), data.readBigUInt64LE(length - 8) ^ k1];
    return seeded(data.subarray(0, 0), seed);
  }
  return seeded(data, [k0, k1]);
}

function seeded(data: Buffer, seed: Pair): Pair {
  return data.length < 128 ? seededShort(data, seed) : seededLong(data, seed);
}

function seededShort(data: Buffer, seed: Pair): Pair {
  const { length } = data;
  let [a, b] = seed;
  let c: bigint;
  let d: bigint;
  if (length <= 16) {
    a = wrap(mix(wrap(a * k1)) * k1);
    c = wrap(b * k1 + upTo16(data));
    d = mix(wrap(a + (length >= 8 ? data.readBigUInt64LE(0) : c)));
  } else {
    c = fold(wrap(data.readBigUInt64LE(length - 8) + k1), a);
    d = fold(wrap(b + BigInt(length)), wrap(c + data.readBigUInt64LE(length - 16)));
    a = wrap(a + d);
    for (let at = 0; at < length - 16; at += 16) {
      a = wrap((a ^ wrap(mix(wrap(data.readBigUInt64LE(at) * k1)) * k1)) * k1);
      b ^= a;
      c = wrap((c ^ wrap(mix(wrap(data.readBigUInt64LE(at + 8) * k1)) * k1)) * k1);
      d ^= c;
    }
  }
  a = fold(a, c);
  b = fold(d, b);
  return [a ^ b, fold(b, a)];
}

function upTo16(data: Buffer): bigint {
  const { length } = data;
  const size = BigInt(length);
  if (length > 8) {
    const a = data.readBigUInt64LE(0);
    const b = data.readBigUInt64LE(length - 8);
    return fold(a, rotate(wrap(b + size), size)) ^ b;
  }
  if (length >= 4) {
    return fold(wrap(size + (BigInt(data.readUInt32LE(0)) << 3n)), BigInt(data.readUInt32LE(length - 4)));
  }
  if (length === 0) return k2;
  const y = BigInt(data[0]! + (data[length >> 1]! << 8));
  const z = BigInt(length + (data[length - 1]! << 2));
  return wrap(mix(wrap(y * k2) ^ wrap(z * k3)) * k2);
}

function seededLong(data: Buffer, seed: Pair): Pair {
  const read = (at: number) => data.readBigUInt64LE(at);
  const { length } = data;
  let [x, y] = seed;
  let z = wrap(BigInt(length) * k1);
  const v0 = wrap(rotate(y ^ k1, 49n) * k1 + read(0));
  let v: Pair = [v0, wrap(rotate(v0, 42n) * k1 + read(8))];
  let w: Pair = [wrap(rotate(wrap(y + z), 35n) * k1 + x), wrap(rotate(wrap(x + read(88)), 53n) * k1)];
  const whole = length - (length % 128);
  for (let at = 0; at < whole; at += 64) {
    x = wrap(rotate(wrap(x + y + v[0] + read(at + 16)), 37n) * k1) ^ w[1];
    y = wrap(rotate(wrap(y + v[1] + read(at + 48)), 42n) * k1) ^ v[0];
    z = rotate(z ^ w[0], 33n);
    v = weak(data, at, wrap(v[1] * k1), wrap(x + w[0]));
    w = weak(data, at + 32, wrap(z + w[1]), y);
    [z, x] = [x, z];
  }
  y = wrap(y + rotate(w[0], 37n) * k0 + z);
  x = wrap(x + rotate(wrap(v[0] + z), 49n) * k0);
  for (let tail = 32; tail - 32 < length - whole; tail += 32) {
    const at = length - tail;
    y = wrap(rotate(wrap(y - x), 42n) * k0 + v[1]);
    w = [wrap(w[0] + read(at + 16)), w[1]];
    x = wrap(rotate(x, 49n) * k0 + w[0]);
    w = [wrap(w[0] + v[0]), w[1]];
    v = weak(data, at, v[0], v[1]);
  }
  x = fold(x, v[0]);
  y = fold(y, w[0]);
  return [wrap(fold(wrap(x + v[1]), w[1]) + y), fold(wrap(x + w[1]), wrap(y + v[1]))];
}

function weak(data: Buffer, at: number, seedA: bigint, seedB: bigint): Pair {
  const first = data.readBigUInt64LE(at);
  const last = data.readBigUInt64LE(at + 24);
  let a = wrap(seedA + first);
  let b = rotate(wrap(seedB + a + last), 21n);
  const start = a;
  a = wrap(a + data.readBigUInt64LE(at + 8) + data.readBigUInt64LE(at + 16));
  b = wrap(b + rotate(a, 44n));
  return [wrap(a + last), wrap(b + start)];
}
