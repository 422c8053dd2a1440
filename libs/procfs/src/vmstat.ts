import { malformed } from './errors.js';
import { FigureTable, type FigureField } from './figure-table.js';

/** `/proc/vmstat` (since 2.6), counters since boot. What this kernel does not have is absent. */
export interface Vmstat {
  /** `pgpgin`, `pgpgout`: KiB read from and written to block devices. */
  pagedIn?: number;
  pagedOut?: number;
  /** `pswpin`, `pswpout`: pages. */
  swappedIn?: number;
  swappedOut?: number;
  /** `pgfault`: page faults, of them `pgmajfault` with a read from disk. */
  faults?: number;
  majorFaults?: number;
  /** `oom_kill` (since 4.13): processes killed for want of memory, those of cgroups included. */
  oomKills?: number;
}

const FIELDS: readonly FigureField<keyof Vmstat>[] = [
  ['pgpgin', 'pagedIn', 1],
  ['pgpgout', 'pagedOut', 1],
  ['pswpin', 'swappedIn', 1],
  ['pswpout', 'swappedOut', 1],
  ['pgfault', 'faults', 1],
  ['pgmajfault', 'majorFaults', 1],
  ['oom_kill', 'oomKills', 1],
];

const table = new FigureTable(FIELDS);

export function parseVmstat(bytes: Uint8Array, length: number = bytes.length): Vmstat {
  const vmstat: Vmstat = table.read(bytes, length);
  if (Object.keys(vmstat).length === 0) malformed('vmstat', 'a line pgpgin or pgfault', bytes, 0, length);
  return vmstat;
}
