import { ByteScanner } from './byte-scanner.js';
import { malformed } from './errors.js';

const scanner = new ByteScanner();

/**
 * v1 has no word for "no limit": it writes the largest multiple of the page size below 2^63 (9223372036854771712 with
 * 4 KiB pages). Nothing real comes near 2^62.
 */
const UNLIMITED = 2 ** 62;

/**
 * A cgroup file of one number: v2 `memory.current`, `memory.max`, `memory.high`, `memory.peak`, `memory.swap.current`,
 * `memory.swap.max`; v1 `memory.usage_in_bytes`, `memory.limit_in_bytes`, `memory.max_usage_in_bytes`,
 * `memory.memsw.*_in_bytes` (all bytes) and `memory.failcnt` (a count). Undefined for "no limit": `max`, or v1's number.
 */
export function parseCgroupNumber(bytes: Uint8Array, length: number = bytes.length): number | undefined {
  scanner.reset(bytes, length);
  if (scanner.take('max')) return undefined;
  const value = scanner.number();
  if (Number.isNaN(value)) malformed('cgroup memory file', 'a number or "max"', bytes, 0, length);
  return value >= UNLIMITED ? undefined : value;
}
