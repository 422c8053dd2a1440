import { accessSync, constants, existsSync, readFileSync, readlinkSync } from 'node:fs';
import type { TraceMeans } from '@tidemark/contracts';
import { TraceError } from '../errors.js';
import { closeFound, findRing } from '../library/find-ring.js';
import { isOver, parseStat, watchProcess } from '../library/process-watch.js';
import { readProgramFile, type ProgramFile } from './program-file.js';
import { refuse, type Refusal } from './refusal.js';

export interface MeansOptions {
  procRoot?: string;
  /** Where tracefs may be mounted; the first that is there counts. */
  tracefs?: readonly string[];
}

export type Means = { means: TraceMeans } | { means: null; refusal: Refusal };

export const TRACEFS = ['/sys/kernel/tracing', '/sys/kernel/debug/tracing'] as const;

/** PF_KTHREAD of include/linux/sched.h. */
const KERNEL_THREAD = 0x0020_0000;
/** AT_SECURE of getauxval(3). */
const AT_SECURE = 23n;

/** How a running process can be traced, or why it cannot. Looks only: nothing is switched on. */
export function traceMeans(pid: number, options: MeansOptions = {}): Means {
  const procRoot = options.procRoot ?? '/proc';
  const refusal = whyNoProcess(procRoot, pid);
  if (refusal !== null) return { means: null, refusal };
  const ring = hasRing(procRoot, pid);
  if (ring === true) return { means: 'LIBRARY' };
  if (ring !== false) return { means: null, refusal: ring };
  const reason = whyNoUprobes(procRoot, pid, options.tracefs ?? TRACEFS);
  return reason === null ? { means: 'UPROBES' } : { means: null, refusal: reason };
}

function whyNoProcess(procRoot: string, pid: number): Refusal | null {
  let stat: ReturnType<typeof parseStat>;
  try {
    stat = parseStat(readFileSync(`${procRoot}/${pid}/stat`, 'latin1'));
  } catch {
    stat = null;
  }
  if (stat === null) return refuse('NO_PROCESS', `There is no process ${pid}.`);
  if (isOver(stat)) return refuse('ZOMBIE', `Process ${pid} has ended and waits for its parent (zombie).`);
  if (Math.floor(stat.flags / KERNEL_THREAD) % 2 === 1) {
    return refuse('KERNEL_THREAD', `Process ${pid} is a thread of the kernel: it has no memory of its own.`);
  }
  return null;
}

function hasRing(procRoot: string, pid: number): boolean | Refusal {
  try {
    const watch = watchProcess(procRoot, pid);
    try {
      const found = findRing(procRoot, watch);
      if (found !== undefined) closeFound(found);
      return found !== undefined;
    } finally {
      watch.close();
    }
  } catch (error) {
    if (!(error instanceof TraceError)) throw error;
    if (error.code === 'TRACE_GONE') return refuse('NO_PROCESS', `There is no process ${pid} any more.`);
    if (error.code === 'TRACE_DENIED') return refuse('NO_PRIVILEGE', sentence(error.message));
    return refuse('DAMAGED_RING', sentence(error.message));
  }
}

function sentence(message: string): string {
  return `${message[0]!.toUpperCase()}${message.slice(1)}.`;
}

function whyNoUprobes(procRoot: string, pid: number, tracefs: readonly string[]): Refusal | null {
  const program = programOf(procRoot, pid);
  if (program?.file.kind === 'elf' && program.file.interpreter === null) {
    const go = program.file.go ? ' It is a Go program: Go has an allocator of its own, and pprof for it.' : '';
    return refuse(
      'STATIC',
      `Process ${pid} (${program.path}) is a static binary: it has no libc to put probes on.${go}`,
    );
  }
  const folder = tracefs.find((path) => existsSync(`${path}/uprobe_events`));
  if (folder === undefined) return withSecure(procRoot, pid, whyNoTracefs(tracefs));
  try {
    accessSync(`${folder}/uprobe_events`, constants.W_OK);
    return null;
  } catch {
    const how = `may not write ${folder}/uprobe_events: run as root, or start the program with the library`;
    return withSecure(
      procRoot,
      pid,
      refuse('NO_PRIVILEGE', `Process ${pid} runs without the library, and this user ${how}.`),
    );
  }
}

function whyNoTracefs(tracefs: readonly string[]): Refusal {
  const mounted = tracefs.find((path) => existsSync(`${path}/trace`));
  if (mounted !== undefined) {
    return refuse(
      'NO_UPROBES',
      `This kernel has no uprobes (CONFIG_UPROBE_EVENTS): ${mounted}/uprobe_events is not there.`,
    );
  }
  // Without root the folder may be there and closed.
  if (process.getuid?.() !== 0 && tracefs.some((path) => existsSync(path))) {
    return refuse('NO_PRIVILEGE', `This user may not look into ${tracefs.join(' or ')}: run as root.`);
  }
  const mount = `mount -t tracefs tracefs ${tracefs[0]}`;
  return refuse('NO_TRACEFS', `tracefs is not mounted on ${tracefs.join(' or ')}: \`${mount}\` as root.`);
}

/** A program in secure execution cannot be started with the library either: that is the reason to name then. */
function withSecure(procRoot: string, pid: number, refusal: Refusal): Refusal {
  if (!isSecure(procRoot, pid)) return refusal;
  const why = `Process ${pid} runs in secure execution (setuid, setgid or file capabilities), which takes no library`;
  return refuse('SECURE', `${why}; and for probes: ${refusal.sentence}`);
}

/** Whether the kernel set AT_SECURE for the program; false when it may not be looked at. */
export function isSecure(procRoot: string, pid: number): boolean {
  try {
    const auxv = readFileSync(`${procRoot}/${pid}/auxv`);
    for (let at = 0; at + 16 <= auxv.length; at += 16) {
      if (auxv.readBigUInt64LE(at) === AT_SECURE) return auxv.readBigUInt64LE(at + 8) !== 0n;
    }
    return false;
  } catch {
    return false;
  }
}

function programOf(procRoot: string, pid: number): { path: string; file: ProgramFile } | null {
  try {
    const link = `${procRoot}/${pid}/exe`;
    return { path: readlinkSync(link), file: readProgramFile(link) };
  } catch {
    return null;
  }
}
