import type {
  CpuTimes,
  Disk,
  NetworkInterface,
  SystemCounters,
  SystemLoad,
  SystemMemory,
  SystemPressure,
  SystemUptime,
} from '@tidemark/contracts';
import { disksSection, parseDiskstats } from './diskstats.js';
import { loadSection, parseLoadavg } from './loadavg.js';
import { memorySection, parseMeminfo } from './meminfo.js';
import { parseNetDev } from './net-dev.js';
import { ParsedFiles } from './parsed-files.js';
import { parsePressure, pressureSection } from './pressure.js';
import type { Procfs, SystemFile } from './procfs.js';
import { countersSection, parseSystemStat, type SystemStat } from './stat.js';
import { parseUptime } from './uptime.js';
import { parseVmstat, type Vmstat } from './vmstat.js';

/**
 * Reads the node's sections, each from its kernel file kept open. A section is undefined when it is as at the last
 * read (or cannot be read: then `problems` says why), so its kernel file is parsed only when its bytes have changed.
 */
export interface SystemReader {
  /** `/proc/meminfo`. */
  memory(): SystemMemory | undefined;
  /** `/proc/loadavg`. */
  load(): SystemLoad | undefined;
  /** `/proc/pressure/memory`. */
  pressure(): SystemPressure | undefined;
  /** `/proc/uptime`. */
  uptime(): SystemUptime | undefined;
  /** `/proc/stat`, and `/proc/vmstat` for the counters. */
  stat(): { cpus?: CpuTimes[]; counters?: SystemCounters };
  /** `/proc/net/dev`. */
  interfaces(): NetworkInterface[] | undefined;
  /** `/proc/diskstats`; on 2.4 the `disk_io` line of `/proc/stat`, as of the last `stat()`. */
  disks(): Disk[] | undefined;
  /** File → why it could not be read when it was last tried, in a few words. */
  readonly problems: ReadonlyMap<SystemFile, string>;
  /** Makes every next section come whole, as a keyframe wants. */
  forget(): void;
  close(): void;
}

export function createSystemReader(procfs: Procfs): SystemReader {
  const files = new ParsedFiles<SystemFile>((name) => procfs.systemFile(name));
  let stat: SystemStat | undefined;
  let vmstat: Vmstat | undefined;
  let oldDisks: string | undefined;
  let load: SystemLoad | undefined;

  return {
    problems: files.problems,
    memory: () => files.read('meminfo', (bytes, length) => memorySection(parseMeminfo(bytes, length))),
    load() {
      const found = files.read('loadavg', parseLoadavg);
      if (!found || sameLoad(found, load)) return undefined;
      return (load = loadSection(found));
    },
    pressure: () => files.read('pressure/memory', (bytes, length) => pressureSection(parsePressure(bytes, length))),
    uptime: () => files.read('uptime', parseUptime),
    stat() {
      const newStat = files.read('stat', (bytes, length) => parseSystemStat(bytes, length, procfs.units));
      const newVmstat = files.read('vmstat', parseVmstat);
      stat = newStat ?? stat;
      vmstat = newVmstat ?? vmstat;
      if (!stat || (!newStat && !newVmstat)) return {};
      const counters = countersSection(stat, vmstat);
      return newStat ? { cpus: newStat.cpus, counters } : { counters };
    },
    interfaces: () => files.read('net/dev', parseNetDev),
    disks() {
      const found = files.read('diskstats', parseDiskstats);
      if (found) return disksSection(found);
      const text = stat?.disks && JSON.stringify(stat.disks);
      if (text === oldDisks) return undefined;
      oldDisks = text;
      return stat?.disks;
    },
    forget() {
      files.forget();
      load = undefined;
      oldDisks = undefined;
    },
    close: () => files.close(),
  };
}

function sameLoad(a: SystemLoad, b: SystemLoad | undefined): boolean {
  return (
    b !== undefined &&
    a.one === b.one &&
    a.five === b.five &&
    a.fifteen === b.fifteen &&
    a.running === b.running &&
    a.total === b.total
  );
}
