import type { CgroupMemory, SystemSample } from '@tidemark/contracts';
import { createCgroupReader, createSystemReader, type CgroupHierarchy, type Procfs } from '@tidemark/procfs';
import type { CollectConfig } from './config.js';
import type { Slices } from './slices.js';
import type { TrackedProcess } from './tracked-process.js';

/** Everything that has a rate of its own. */
export type SourceName =
  'processes' | 'memory' | 'load' | 'pressure' | 'uptime' | 'cpus' | 'network' | 'disks' | 'cgroups' | 'heartbeat';

export function sourcePeriods(config: CollectConfig, heartbeatMs: number): Record<SourceName, number> {
  return {
    processes: config.interval,
    memory: config.memoryInterval,
    load: config.loadInterval,
    pressure: config.pressureInterval,
    uptime: config.uptimeInterval,
    cpus: config.cpuInterval,
    network: config.networkInterval,
    disks: config.diskInterval,
    cgroups: config.cgroupInterval,
    heartbeat: heartbeatMs,
  };
}

/** The node's own figures. */
export interface SystemSources {
  /** Sections of the sources that are due and have changed since they were last read; all of all when `whole`. */
  read(
    due: ReadonlySet<SourceName>,
    whole: boolean,
    processes: readonly TrackedProcess[],
    slices: Slices,
  ): Promise<SystemSample>;
  /** What could not be read and why, each in one line. */
  problems(): string[];
  close(): void;
}

/** Control groups that are read, at most. */
const MAX_CGROUPS = 5_000;
/** Descriptors that one control group takes, about. */
const FILES_PER_CGROUP = 6;

export interface SystemSourcesOptions {
  procfs: Procfs;
  hierarchy: CgroupHierarchy | null;
  /** For control groups; the rest are a handful. */
  maxOpenFiles: number;
}

export function createSystemSources({ procfs, hierarchy, maxOpenFiles }: SystemSourcesOptions): SystemSources {
  const reader = createSystemReader(procfs);
  const cgroups = hierarchy && createCgroupReader({ hierarchy, buffer: procfs.buffer, tally: procfs.tally });
  let lastCgroups = '';

  async function readCgroups(processes: readonly TrackedProcess[], slices: Slices): Promise<CgroupMemory[]> {
    const found: CgroupMemory[] = [];
    if (!cgroups) return found;
    const paths = cgroupPaths(processes);
    for (const path of paths) {
      const group = cgroups.read(path);
      if (group) found.push(group);
      if (slices.over()) await slices.rest();
    }
    cgroups.keepOnly(paths.slice(0, Math.floor(maxOpenFiles / FILES_PER_CGROUP)));
    return found;
  }

  return {
    async read(due, whole, processes, slices) {
      if (whole) {
        reader.forget();
        lastCgroups = '';
      }
      const wanted = (name: SourceName): boolean => whole || due.has(name);
      const { cpus, counters } = wanted('cpus') ? reader.stat() : {};
      const sample: Partial<{ [Name in keyof SystemSample]: SystemSample[Name] | undefined }> = {
        memory: wanted('memory') ? reader.memory() : undefined,
        load: wanted('load') ? reader.load() : undefined,
        pressure: wanted('pressure') ? reader.pressure() : undefined,
        uptime: wanted('uptime') ? reader.uptime() : undefined,
        cpus,
        counters,
        interfaces: wanted('network') ? reader.interfaces() : undefined,
        disks: wanted('disks') ? reader.disks() : undefined,
      };
      if (cgroups && wanted('cgroups')) {
        const found = await readCgroups(processes, slices);
        const text = JSON.stringify(found);
        if (text !== lastCgroups) sample.cgroups = found;
        lastCgroups = text;
      }
      return withoutUndefined(sample);
    },
    problems: () => [...reader.problems].map(([file, why]) => `${file}: ${why}`),
    close() {
      reader.close();
      cgroups?.close();
    },
  };
}

/** The groups that processes are in, and those above them. */
function cgroupPaths(processes: readonly TrackedProcess[]): string[] {
  const paths = new Set<string>();
  for (const { facts } of processes) {
    for (let path = facts.cgroup; path !== null && path.startsWith('/') && !paths.has(path); path = parentOf(path)) {
      paths.add(path);
    }
  }
  return [...paths].sort().slice(0, MAX_CGROUPS);
}

function parentOf(path: string): string | null {
  return path === '/' ? null : path.slice(0, path.lastIndexOf('/')) || '/';
}

function withoutUndefined(sample: Partial<{ [Name in keyof SystemSample]: SystemSample[Name] | undefined }>) {
  return Object.fromEntries(Object.entries(sample).filter(([, section]) => section !== undefined)) as SystemSample;
}
