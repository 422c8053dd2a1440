const SEED = 0x9747b28c;
const MIX = 0x5bd1e995;

/**
 * MurmurHash2 (32 bit, seed 0x9747b28c) as Apache Kafka's producers compute it over a key's bytes; a signed 32-bit
 * number. Source: `org.apache.kafka.common.utils.Utils.murmur2`.
 */
export function murmur2(bytes: Uint8Array): number {
  const length = bytes.byteLength;
  let hash = SEED ^ length;
  const whole = length & ~3;
  for (let at = 0; at < whole; at += 4) {
    let word = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    word = Math.imul(word, MIX);
    word ^= word >>> 24;
    hash = Math.imul(hash, MIX) ^ Math.imul(word, MIX);
  }
  const rest = length - whole;
  if (rest >= 3) hash ^= bytes[whole + 2]! << 16;
  if (rest >= 2) hash ^= bytes[whole + 1]! << 8;
  if (rest >= 1) hash = Math.imul(hash ^ bytes[whole]!, MIX);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, MIX);
  return (hash ^ (hash >>> 15)) | 0;
}

/** The partition of a key, as Kafka's default partitioner places it: every adapter places alike. */
export function partitionOf(key: string, partitions: number): number {
  return (murmur2(Buffer.from(key, 'utf8')) & 0x7fffffff) % partitions;
}
