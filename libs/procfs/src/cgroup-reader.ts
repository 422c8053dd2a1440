import type { CgroupMemory } from '@tidemark/contracts';
import { cgroupDirectory, type CgroupHierarchy } from './cgroup-hierarchy.js';
import { parseCgroupMemoryEvents } from './cgroup-memory-events.js';
import { parseCgroupMemoryStat, type CgroupMemoryStat } from './cgroup-memory-stat.js';
import { parseCgroupNumber } from './cgroup-number.js';
import { parseCgroupOomControl } from './cgroup-oom-control.js';
import { KeptFile, type ReadBuffer, type ReadTally } from './kept-file.js';
import { parseOr, type Parse } from './parsed-files.js';

export interface CgroupReaderOptions {
  hierarchy: CgroupHierarchy;
  buffer: ReadBuffer;
  tally: ReadTally;
}

/** Reads the memory files of control groups, keeping them open. */
export interface CgroupReader {
  /**
   * The group's memory now; null when it is gone, not shown by this mount, or has no figures (the v2 root: the node's
   * memory is its). What cannot be read alone is absent.
   *
   * `memory.stat`, which makes the kernel add up all CPUs, is read anew only when the usage has changed.
   */
  read(path: string): CgroupMemory | null;
  /** Closes the files of every group that is not in `paths` (nor above one that is). */
  keepOnly(paths: Iterable<string>): void;
  close(): void;
}

/** The names of one meaning's file in both versions; swap of v1 is in its `memory.stat`. */
const FILES = {
  1: {
    usage: 'memory.usage_in_bytes',
    limit: 'memory.limit_in_bytes',
    stat: 'memory.stat',
    hits: 'memory.failcnt',
    kills: 'memory.oom_control',
    swap: null,
  },
  2: {
    usage: 'memory.current',
    limit: 'memory.max',
    stat: 'memory.stat',
    hits: 'memory.events',
    kills: null,
    swap: 'memory.swap.current',
  },
} as const;

type Meaning = keyof (typeof FILES)[1];

/** The open files of one group. */
class Group {
  /** What `memory.stat` said when the usage last changed. */
  stat: CgroupMemoryStat | undefined;
  private readonly files = new Map<Meaning, KeptFile>();

  constructor(
    private readonly directory: string,
    private readonly options: CgroupReaderOptions,
  ) {}

  /** Undefined when there is no such file, it cannot be read, or is not what it should be. */
  read<T>(meaning: Meaning, parse: Parse<T>): T | undefined {
    const file = this.file(meaning);
    const outcome = file?.read();
    if (!file || (outcome !== 'changed' && outcome !== 'same')) return undefined;
    return parseOr(() => parse(file.buffer.bytes, file.length));
  }

  /** Undefined as above. `changed` is false when the figure is the last one. */
  readUsage(): { usage: number; changed: boolean } | undefined {
    const file = this.file('usage')!;
    const outcome = file.read();
    if (outcome !== 'changed' && outcome !== 'same') return undefined;
    const usage = parseOr(() => parseCgroupNumber(file.buffer.bytes, file.length));
    return usage === undefined ? undefined : { usage, changed: outcome === 'changed' };
  }

  close(): void {
    for (const file of this.files.values()) file.close();
  }

  private file(meaning: Meaning): KeptFile | undefined {
    const { hierarchy, buffer, tally } = this.options;
    const name = FILES[hierarchy.version][meaning];
    if (name === null) return undefined;
    let file = this.files.get(meaning);
    if (!file) {
      file = new KeptFile({
        path: `${this.directory}/${name}`,
        records: 'one',
        compare: meaning === 'usage',
        buffer,
        tally,
      });
      this.files.set(meaning, file);
    }
    return file;
  }
}

export function createCgroupReader(options: CgroupReaderOptions): CgroupReader {
  const { version } = options.hierarchy;
  const groups = new Map<string, Group>();

  function groupOf(path: string): Group | undefined {
    const known = groups.get(path);
    if (known) return known;
    const directory = cgroupDirectory(options.hierarchy, path);
    if (directory === null) return undefined;
    const group = new Group(directory, options);
    groups.set(path, group);
    return group;
  }

  /** The smallest limit of the group and of those above it: what its processes will run into. */
  function readLimit(path: string, group: Group): number | undefined {
    const limits = [group.read('limit', parseCgroupNumber), group.stat?.hierarchicalLimit];
    if (version === 2) {
      for (const parent of ancestors(path)) limits.push(groupOf(parent)?.read('limit', parseCgroupNumber));
    }
    const limit = Math.min(...limits.map((value) => value ?? Number.POSITIVE_INFINITY));
    return Number.isFinite(limit) ? limit : undefined;
  }

  function drop(path: string): void {
    groups.get(path)?.close();
    groups.delete(path);
  }

  return {
    read(path) {
      const group = groupOf(path);
      const used = group?.readUsage();
      if (!group || !used) {
        drop(path);
        return null;
      }
      if (used.changed || !group.stat) {
        group.stat = group.read('stat', (bytes, length) => parseCgroupMemoryStat(version, bytes, length));
      }
      const { anon, file, swap = group.read('swap', parseCgroupNumber) } = group.stat ?? {};
      const limit = readLimit(path, group);
      return { path, usage: used.usage, ...present({ limit, anon, file, swap }), ...present(events(version, group)) };
    },
    keepOnly(paths) {
      const wanted = new Set<string>();
      for (const path of paths) {
        wanted.add(path);
        for (const parent of ancestors(path)) wanted.add(parent);
      }
      for (const path of [...groups.keys()]) if (!wanted.has(path)) drop(path);
    },
    close() {
      for (const path of [...groups.keys()]) drop(path);
    },
  };
}

function events(version: 1 | 2, group: Group): { limitHits: number | undefined; oomKills: number | undefined } {
  if (version === 2) {
    const found = group.read('hits', parseCgroupMemoryEvents);
    return { limitHits: found?.max, oomKills: found?.oomKills };
  }
  const limitHits = group.read('hits', parseCgroupNumber);
  return { limitHits, oomKills: group.read('kills', parseCgroupOomControl)?.oomKills };
}

/** `/a/b/c` → `/a/b`, `/a`, `/`. */
function* ancestors(path: string): Generator<string> {
  for (let at = path.lastIndexOf('/'); at >= 0 && path !== '/'; at = path.lastIndexOf('/')) {
    path = path.slice(0, at) || '/';
    yield path;
  }
}

type Present<T> = { [Name in keyof T]?: Exclude<T[Name], undefined> };

/** Without the fields that are undefined. */
function present<T extends object>(fields: T): Present<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Present<T>;
}
