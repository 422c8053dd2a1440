import { accessSync, constants } from 'node:fs';
import {
  memoryHierarchy,
  parseMeminfo,
  ProcfsError,
  readHost,
  readMounts,
  type Meminfo,
  type Procfs,
} from '@tidemark/procfs';
import { formatBytes } from '../terminal/figures.js';
import { limited, missing, ok, type Check } from './check.js';

/** What the kernel offers. The first check is missing, and alone, when there is no proc file system at all. */
export function kernelChecks(procfs: Procfs): Check[] {
  try {
    const host = readHost(procfs);
    return [
      kernelVersion(host.kernel),
      memory(procfs),
      swap(procfs),
      pressure(procfs),
      controlGroups(procfs),
      uprobes(procfs),
    ];
  } catch (error) {
    if (!(error instanceof ProcfsError)) throw error;
    return [missing('proc', error.message, 'Tidemark reads Linux: mount it with "mount -t proc proc /proc"')];
  }
}

/** The oldest kernel with all that is read: smaps_rollup came in 4.14, pressure in 4.20. */
function kernelVersion(release: string): Check {
  const match = /^(\d+)\.(\d+)/.exec(release);
  if (!match) return limited('kernel', `release ${release || 'unknown'} cannot be read as a version`);
  const version = Number(match[1]) * 1000 + Number(match[2]);
  if (version >= 4020) return ok('kernel', `Linux ${release}`);
  const lacks = version < 4014 ? 'smaps_rollup (4.14) and memory pressure (4.20)' : 'memory pressure (4.20)';
  return limited('kernel', `Linux ${release} is before ${lacks}`, 'a newer kernel shows more; nothing else is needed');
}

function memory(procfs: Procfs): Check {
  const meminfo = readMeminfo(procfs);
  const { total, available } = meminfo;
  if (total === undefined) return missing('memory', '/proc/meminfo does not name MemTotal');
  if (available === undefined) {
    return limited('memory', `${formatBytes(total)}; this kernel does not say what is available (before 3.14)`, null);
  }
  const found = `${formatBytes(available)} of ${formatBytes(total)} available`;
  const need = 512 * 1024 * 1024;
  if (available >= need) return ok('memory', found);
  return limited('memory', `${found}: the embedded history may not fit`, `free some: it likes ${formatBytes(need)}`);
}

function swap(procfs: Procfs): Check {
  const { swapTotal, swapFree } = readMeminfo(procfs);
  if (swapTotal === undefined) return limited('swap', '/proc/meminfo does not name it');
  if (swapTotal === 0) return ok('swap', 'none: what leaks meets the OOM killer without slowing down first');
  return ok('swap', `${formatBytes(swapTotal - (swapFree ?? 0))} of ${formatBytes(swapTotal)} used`);
}

function readMeminfo(procfs: Procfs): Meminfo {
  const file = procfs.systemFile('meminfo', false);
  const outcome = file.read();
  file.close();
  return outcome === 'changed' ? parseMeminfo(procfs.buffer.bytes, file.length) : {};
}

function pressure(procfs: Procfs): Check {
  const file = procfs.systemFile('pressure/memory', false);
  const outcome = file.read();
  file.close();
  if (outcome === 'changed') return ok('pressure', '/proc/pressure/memory tells how long tasks wait for memory');
  if (file.errorCode === 'EOPNOTSUPP' || outcome === 'gone') {
    return limited('pressure', 'no /proc/pressure/memory: the kernel has no PSI, or it is off', 'boot with psi=1');
  }
  return limited('pressure', `/proc/pressure/memory cannot be read (${file.errorCode})`, 'run as root');
}

function controlGroups(procfs: Procfs): Check {
  const mounts = readMounts(procfs);
  const hierarchy = memoryHierarchy(mounts, procfs.sys);
  const advice = 'boot with cgroup_enable=memory, or mount cgroup2 at /sys/fs/cgroup';
  if (hierarchy === null) return limited('cgroup', 'no control groups are mounted: limits stay unknown', advice);
  const probe = hierarchy.version === 1 ? 'memory.usage_in_bytes' : 'cgroup.controllers';
  const text = procfs.readText(relative(procfs.root, `${hierarchy.mountPoint}/${probe}`));
  if (text === undefined) {
    return limited('cgroup', `${hierarchy.mountPoint}/${probe} cannot be read: limits stay unknown`, advice);
  }
  if (hierarchy.version === 2 && !text.split(' ').includes('memory')) {
    return limited('cgroup', 'version 2 without its memory controller: limits stay unknown', advice);
  }
  return ok('cgroup', `version ${hierarchy.version} with memory accounting at ${hierarchy.mountPoint}`);
}

/** A path that leads from the proc root to an absolute one, since readText only opens below the root. */
function relative(root: string, path: string): string {
  return `${root
    .split('/')
    .filter(Boolean)
    .map(() => '..')
    .join('/')}${path}`;
}

/** For tracing processes that run without the library, in a later version. */
function uprobes(procfs: Procfs): Check {
  const name = 'uprobes';
  const file = `${procfs.sys}/kernel/tracing/uprobe_events`;
  try {
    accessSync(file, constants.R_OK | constants.W_OK);
    return ok(name, `${file} can be written: allocations of running processes can be traced`);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EACCES' || code === 'EPERM') {
      return limited(name, `${file} may not be written: running processes cannot be traced`, 'run as root');
    }
    const known = procfs.readText('filesystems')?.includes('tracefs') ?? false;
    return known
      ? limited(
          name,
          'tracefs is not mounted: running processes cannot be traced',
          'as root: mount -t tracefs tracefs /sys/kernel/tracing',
        )
      : limited(name, 'this kernel has no tracefs: running processes cannot be traced');
  }
}
