import type { SystemLoad } from '@tidemark/contracts';
import { ByteScanner } from './byte-scanner.js';
import { malformed } from './errors.js';

/** `/proc/loadavg`. */
export interface Loadavg extends SystemLoad {
  /** Runnable and uninterruptible tasks, averaged (with exponential decay) over 1, 5 and 15 minutes; columns 1 to 3. */
  one: number;
  five: number;
  fifteen: number;
  /** Column 4 before the slash: tasks that run or wait for a CPU now. */
  running: number;
  /** Column 4 after the slash: tasks, threads counted each. */
  total: number;
  /** Column 5: the last pid given out in the reader's pid namespace. */
  lastPid: number;
}

const SLASH = 47;
const scanner = new ByteScanner();

export function parseLoadavg(bytes: Uint8Array, length: number = bytes.length): Loadavg {
  scanner.reset(bytes, length);
  const one = scanner.decimal();
  const five = scanner.decimal();
  const fifteen = scanner.decimal();
  const running = scanner.number();
  if (scanner.peek() === SLASH) scanner.at++;
  const total = scanner.number();
  const lastPid = scanner.number();
  if (!Number.isFinite(one + five + fifteen + running + total + lastPid)) {
    malformed('loadavg', 'three averages, running/total and a pid', bytes, 0, length);
  }
  return { one, five, fifteen, running, total, lastPid };
}

/** The node's load section: without the last pid, which would make it differ every time. */
export function loadSection({ one, five, fifteen, running, total }: Loadavg): SystemLoad {
  return { one, five, fifteen, running, total };
}
