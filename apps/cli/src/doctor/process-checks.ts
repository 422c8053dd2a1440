import { hidePid, readMounts, type Procfs } from '@tidemark/procfs';
import { formatCount } from '../terminal/figures.js';
import { limited, ok, type Check } from './check.js';

/** What can be seen of processes, and whether as many files can be kept open. */
export function processChecks(procfs: Procfs): Check[] {
  const pids: number[] = [];
  try {
    procfs.listPids(pids);
  } catch {
    // Without a proc file system the kernel's checks say so.
    return [];
  }
  return [visibility(procfs, pids), namespace(procfs), proportionalSizes(procfs, pids), openFiles(procfs, pids.length)];
}

function visibility(procfs: Procfs, pids: readonly number[]): Check {
  const name = 'processes';
  const hidden = hidePid(readMounts(procfs), procfs.root);
  const init = procfs.processFile(1, 'stat');
  const seesInit = init.read() === 'changed';
  init.close();
  const count = `${formatCount(pids.length)} processes are seen`;
  if (hidden === 'off' || seesInit) return ok(name, count);
  return limited(
    name,
    `${count}, but /proc is mounted with hidepid=${hidden}: not those of other users`,
    'run as root, or in the group that the mount option gid= names',
  );
}

/** The number of the first pid namespace is fixed in the kernel (PROC_PID_INIT_INO). */
const INITIAL_NAMESPACE = 'pid:[4026531836]';

function namespace(procfs: Procfs): Check {
  const name = 'namespace';
  const link = procfs.readLink('self/ns/pid');
  if (link === undefined) return ok(name, 'this kernel does not tell pid namespaces apart');
  if (link === INITIAL_NAMESPACE) return ok(name, 'all processes of the host, those of containers included');
  return limited(
    name,
    'a container: only its own processes are seen',
    'start the container with --pid=host to see the host',
  );
}

/** PSS, USS and dirty come from smaps_rollup, which needs the right to trace the process. */
function proportionalSizes(procfs: Procfs, pids: readonly number[]): Check {
  const name = 'smaps_rollup';
  const own = readable(procfs, process.pid);
  if (own === 'gone') {
    return limited(name, 'this kernel has none (before 4.14): PSS and USS come from smaps, at a price');
  }
  const denied = pids.filter((pid) => readable(procfs, pid) === 'denied');
  if (denied.length === 0) return ok(name, 'PSS, USS and dirty of every process can be read');
  const some = `${denied.slice(0, 3).join(', ')}${denied.length > 3 ? ', …' : ''}`;
  return limited(
    name,
    `PSS, USS and dirty of ${formatCount(denied.length)} of ${formatCount(pids.length)} processes (${some}) may not be read: they stay unknown`,
    mayTrace(procfs)
      ? 'they have rights that this process lacks: give it those too'
      : 'run as root or with CAP_SYS_PTRACE',
  );
}

const CAP_SYS_PTRACE = 19n;

function mayTrace(procfs: Procfs): boolean {
  const effective = /^CapEff:\s*([0-9a-f]{1,16})$/m.exec(procfs.readText('self/status') ?? '')?.[1];
  return effective !== undefined && ((BigInt(`0x${effective}`) >> CAP_SYS_PTRACE) & 1n) === 1n;
}

function readable(procfs: Procfs, pid: number): string {
  const file = procfs.processFile(pid, 'smaps_rollup');
  const outcome = file.read();
  file.close();
  return outcome;
}

/** Up to three files are kept open per process. */
const FILES_PER_PROCESS = 3;
const OWN_FILES = 256;

function openFiles(procfs: Procfs, processes: number): Check {
  const name = 'open files';
  const line = procfs
    .readText('self/limits')
    ?.split('\n')
    .find((text) => text.startsWith('Max open files'));
  const soft = line?.trim().split(/\s{2,}/)[1];
  if (soft === undefined) return limited(name, 'the limit cannot be read');
  if (soft === 'unlimited') return ok(name, 'no limit');
  const wanted = processes * FILES_PER_PROCESS + OWN_FILES;
  const limit = Number(soft);
  if (limit >= wanted) return ok(name, `${formatCount(limit)} may be open; ${formatCount(wanted)} are enough`);
  return limited(
    name,
    `${formatCount(limit)} may be open, ${formatCount(wanted)} are wanted: some are reopened at each reading, which costs CPU`,
    `raise it: ulimit -n ${wanted}`,
  );
}
