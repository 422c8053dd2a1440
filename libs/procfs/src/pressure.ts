import type { PressureLine, SystemPressure } from '@tidemark/contracts';
import { ByteScanner } from './byte-scanner.js';
import { malformed } from './errors.js';

/**
 * `/proc/pressure/*` and a cgroup's `*.pressure` (since 4.20, when PSI is on).
 *
 * `avg10`, `avg60`, `avg300`: percent of the time of the last 10, 60 and 300 s in which tasks were stalled; `total`:
 * microseconds since boot.
 */
export interface Pressure {
  /** At least one task was stalled. Absent in `irq`. */
  some?: PressureLine;
  /** All tasks that were not idle were stalled. Absent in `cpu` before 5.13. */
  full?: PressureLine;
}

const scanner = new ByteScanner();

export function parsePressure(bytes: Uint8Array, length: number = bytes.length): Pressure {
  const pressure: Pressure = {};
  scanner.reset(bytes, length);
  while (!scanner.done) {
    if (scanner.take('some ')) pressure.some = pressureLine(bytes, length);
    else if (scanner.take('full ')) pressure.full = pressureLine(bytes, length);
    scanner.nextLine();
  }
  if (!pressure.some && !pressure.full) malformed('pressure', 'a line "some" or "full"', bytes, 0, length);
  return pressure;
}

/** The node's pressure section, of `/proc/pressure/memory`. */
export function pressureSection({ some, full }: Pressure): SystemPressure | undefined {
  if (!some) return undefined;
  return full ? { some, full } : { some };
}

function pressureLine(bytes: Uint8Array, length: number): PressureLine {
  const from = scanner.at;
  const avg10 = after('avg10=');
  const avg60 = after('avg60=');
  const avg300 = after('avg300=');
  const total = after('total=');
  if (!Number.isFinite(avg10 + avg60 + avg300 + total)) {
    malformed('pressure', 'avg10= avg60= avg300= total=', bytes, from, length);
  }
  return { avg10, avg60, avg300, total };
}

function after(label: string): number {
  scanner.skipBlanks();
  return scanner.take(label) ? scanner.decimal() : Number.NaN;
}
