import { availableParallelism } from 'node:os';
import { latin1 } from './byte-scanner.js';
import { ProcfsError } from './errors.js';
import { hidePid, parseMountinfo, type Mount } from './mountinfo.js';
import { memoryHierarchy, type CgroupHierarchy } from './cgroup-hierarchy.js';
import { KeptFile, type ReadOutcome } from './kept-file.js';
import { parseOr } from './parsed-files.js';
import type { Procfs } from './procfs.js';
import { parseSystemStat } from './stat.js';

/** What does not change until the next boot. */
export interface Host {
  /** `/proc/sys/kernel/random/boot_id`; `btime-N` (epoch seconds of boot) where the kernel has none. */
  bootId: string;
  /** `/proc/sys/kernel/hostname`; empty when it cannot be read. */
  hostname: string;
  /** `/proc/sys/kernel/osrelease`, as `uname -r`; empty when it cannot be read. */
  kernel: string;
  /** CPUs online: lines `cpuN` of `/proc/stat`. */
  cpus: number;
  /** Epoch milliseconds of boot, to the second (`btime`). */
  bootedAt: number;
  /** Where memory is accounted by control group; null when nowhere. */
  cgroups: CgroupHierarchy | null;
  /** What cannot be seen on this host and why, each in one line for a person. */
  limitations: string[];
}

/** Throws PROCFS_ROOT when the root is not a proc file system: `/proc/stat` cannot be read, or is none. */
export function readHost(procfs: Procfs): Host {
  const file = procfs.systemFile('stat', false);
  const outcome = file.read();
  file.close();
  if (outcome !== 'changed') noProcfs(file, `is ${outcome} (${file.errorCode})`);
  const { cpus, bootTime } =
    parseOr(() => parseSystemStat(procfs.buffer.bytes, file.length, procfs.units)) ?? noProcfs(file, 'is none of its');
  const mounts = readMounts(procfs);
  const cgroups = memoryHierarchy(mounts, procfs.sys);
  return {
    bootId: procfs.readText('sys/kernel/random/boot_id') ?? `btime-${bootTime ?? 0}`,
    hostname: procfs.readText('sys/kernel/hostname') ?? '',
    kernel: procfs.readText('sys/kernel/osrelease') ?? '',
    cpus: cpus.filter(({ name }) => name !== 'cpu').length || availableParallelism(),
    bootedAt: (bootTime ?? 0) * 1000,
    cgroups,
    limitations: [
      ...processLimitations(procfs, mounts),
      ...cgroupLimitations(procfs, cgroups),
      ...pressureLimitations(procfs),
      ...(procfs.units.source === 'assumed'
        ? ['page size and clock tick: no auxiliary vector to read, 4096 bytes and 100 a second are assumed']
        : []),
    ],
  };
}

function noProcfs(file: KeptFile, found: string): never {
  throw new ProcfsError('PROCFS_ROOT', `no proc file system here: ${file.path} ${found}`);
}

/** The mounts that this process sees; none when they cannot be read. */
export function readMounts(procfs: Procfs): Mount[] {
  const text = procfs.readText('self/mountinfo');
  if (text === undefined) return [];
  return parseOr(() => parseMountinfo(Buffer.from(text))) ?? [];
}

const HIDDEN = {
  off: [],
  noaccess: ['other users’ processes: /proc is mounted with hidepid=noaccess, so only the pids are seen'],
  invisible: ['other users’ processes: /proc is mounted with hidepid=invisible, so they are not seen at all'],
  ptraceable: ['other users’ processes: /proc is mounted with hidepid=ptraceable, so only traceable ones are seen'],
} as const;

function processLimitations(procfs: Procfs, mounts: readonly Mount[]): string[] {
  const found: string[] = [];
  // Pid 1 is seen by everybody unless processes are hidden (and we may not see them all the same).
  if (tryFile(procfs, 1, 'stat') !== 'changed') found.push(...HIDDEN[hidePid(mounts, procfs.root)]);
  if (tryFile(procfs, 'self', 'smaps_rollup') === 'gone') {
    found.push('smaps_rollup: this kernel has none (it came with 4.14); smaps is summed instead, which costs more');
  }
  const { denied, tried } = countDenied(procfs);
  if (denied > 0) {
    found.push(
      `pss, uss and dirty: ${denied} of ${tried} processes may not be looked into; root or CAP_SYS_PTRACE usually may`,
    );
  }
  return found;
}

/** More than these are not asked: they are to show whether there is a barrier, not how high it is. */
const MAX_TRIED = 500;

/** Opening `smaps` checks the permission; nothing is read, so it costs little. */
function countDenied(procfs: Procfs): { denied: number; tried: number } {
  const pids: number[] = [];
  const tried = Math.min(procfs.listPids(pids), MAX_TRIED);
  let denied = 0;
  for (let index = 0; index < tried; index++) {
    const file = procfs.processFile(pids[index]!, 'smaps', { cutAt: 0 });
    if (file.read() === 'denied') denied++;
    file.close();
  }
  return { denied, tried };
}

function cgroupLimitations(procfs: Procfs, hierarchy: CgroupHierarchy | null): string[] {
  const what = 'memory of control groups:';
  if (!hierarchy) return [`${what} no cgroup file system that accounts memory is mounted`];
  if (hierarchy.version === 1) return [];
  const path = `${hierarchy.mountPoint}/cgroup.controllers`;
  const file = new KeptFile({ path, records: 'one', compare: false, buffer: procfs.buffer, tally: procfs.tally });
  const outcome = file.read();
  file.close();
  const controllers = outcome === 'changed' ? latin1(procfs.buffer.bytes, 0, file.length).split(/\s+/) : [];
  return controllers.includes('memory') ? [] : [`${what} ${path} does not name the memory controller`];
}

function pressureLimitations(procfs: Procfs): string[] {
  const file = procfs.systemFile('pressure/memory', false);
  const outcome = file.read();
  file.close();
  if (outcome === 'changed') return [];
  return ['memory pressure: /proc/pressure/memory is not there (Linux before 4.20, or PSI is off: boot with psi=1)'];
}

function tryFile(procfs: Procfs, pid: 'self' | 1, name: 'stat' | 'smaps_rollup'): ReadOutcome {
  const file = procfs.processFile(pid, name);
  const outcome = file.read();
  file.close();
  return outcome;
}
