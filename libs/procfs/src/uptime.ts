import type { SystemUptime } from '@tidemark/contracts';
import { ByteScanner } from './byte-scanner.js';
import { malformed } from './errors.js';

const scanner = new ByteScanner();

/**
 * `/proc/uptime`: seconds since boot, suspend included, and seconds spent idle, to a hundredth. Idle is summed over
 * the CPUs since 2.6; before, it is the boot CPU's.
 */
export function parseUptime(bytes: Uint8Array, length: number = bytes.length): SystemUptime {
  scanner.reset(bytes, length);
  const up = scanner.decimal();
  const idle = scanner.decimal();
  if (!Number.isFinite(up + idle)) malformed('uptime', 'two numbers', bytes, 0, length);
  return { up, idle };
}
