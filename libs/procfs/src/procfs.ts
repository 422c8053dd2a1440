import { readlinkSync } from 'node:fs';
import { utf8 } from './byte-scanner.js';
import {
  createReadBuffer,
  createReadTally,
  KeptFile,
  type KeptFileOptions,
  type ReadBuffer,
  type ReadTally,
  type Records,
} from './kept-file.js';
import { readKernelUnits, type KernelUnits } from './kernel-units.js';
import { listPids } from './pid-list.js';

/** The node's files that are read here, and how the kernel gives each. */
const SYSTEM_FILES = {
  meminfo: 'one',
  loadavg: 'one',
  stat: 'one',
  uptime: 'one',
  vmstat: 'many',
  'net/dev': 'many',
  diskstats: 'many',
  'pressure/memory': 'one',
  'pressure/cpu': 'one',
  'pressure/io': 'one',
  'self/mountinfo': 'many',
} as const satisfies Record<string, Records>;

/** A process's files that are read here. */
const PROCESS_FILES = {
  stat: 'one',
  statm: 'one',
  status: 'one',
  smaps_rollup: 'one',
  smaps: 'many',
  cmdline: 'many',
  cgroup: 'one',
  mountinfo: 'many',
} as const satisfies Record<string, Records>;

export type SystemFile = keyof typeof SYSTEM_FILES;
export type ProcessFile = keyof typeof PROCESS_FILES;

export interface ProcfsOptions {
  /** Where the proc file system is, or a captured tree; `/proc` when left out. */
  root?: string;
  /** What stands for `/sys`; `/sys` when left out. */
  sys?: string;
}

/** Opens kernel files below an injected root. One buffer and one tally serve all of its files. */
export interface Procfs {
  readonly root: string;
  readonly sys: string;
  readonly units: KernelUnits;
  readonly buffer: ReadBuffer;
  readonly tally: ReadTally;
  /** See `listPids`. */
  listPids(pids: number[]): number;
  /** Not opened before its first read. `compare` is true when left out. */
  systemFile(name: SystemFile, compare?: boolean): KeptFile;
  /** Not opened before its first read. Without `compare`, which only `stat` is worth a copy per process for. */
  processFile(
    pid: number | 'self',
    name: ProcessFile,
    options?: Partial<Pick<KeptFileOptions, 'compare' | 'cutAt'>>,
  ): KeptFile;
  /** A small file's text without its newline; undefined when it cannot be read. For what is read once. */
  readText(path: string): string | undefined;
  /** Target of a link below the root; undefined when it cannot be read. */
  readLink(path: string): string | undefined;
}

/** Throws nothing: a root that is not there shows at the first listing or read. */
export function createProcfs(options: ProcfsOptions = {}): Procfs {
  const root = options.root ?? '/proc';
  const sys = options.sys ?? '/sys';
  const buffer = createReadBuffer();
  const tally = createReadTally();

  const open = (path: string, records: Records, wanted: Pick<KeptFileOptions, 'compare' | 'cutAt'>): KeptFile =>
    new KeptFile({ path: `${root}/${path}`, records, buffer, tally, ...wanted });

  return {
    root,
    sys,
    units: readKernelUnits(root),
    buffer,
    tally,
    listPids: (pids) => listPids(root, pids),
    systemFile: (name, compare = true) => open(name, SYSTEM_FILES[name], { compare }),
    processFile: (pid, name, wanted) => open(`${pid}/${name}`, PROCESS_FILES[name], { compare: false, ...wanted }),
    readText(path) {
      const file = open(path, 'many', { compare: false });
      const outcome = file.read();
      file.close();
      return outcome === 'changed' ? utf8(buffer.bytes, 0, file.length).replace(/\n$/, '') : undefined;
    },
    readLink(path) {
      try {
        return readlinkSync(`${root}/${path}`);
      } catch {
        return undefined;
      }
    },
  };
}
