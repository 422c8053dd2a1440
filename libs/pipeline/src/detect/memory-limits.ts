import type { SystemSample } from '@tidemark/contracts';

/** What bounds the processes of one node: the memory that is left, and the limits of their control groups. */
export interface MemoryLimits {
  apply(system: SystemSample): void;
  /** The most that a process of `cgroup` which holds `bytes` can reach, or null when nothing is known to bound it. */
  limitFor(cgroup: string | null, bytes: number): number | null;
}

export function createMemoryLimits(): MemoryLimits {
  let available: number | null = null;
  let limits = new Map<string, number>();
  /** Lowest limit of each group that was asked for and of those above it. */
  const lowest = new Map<string, number | null>();

  function groupLimit(cgroup: string): number | null {
    if (limits.size === 0) return null;
    let known = lowest.get(cgroup);
    if (known === undefined) lowest.set(cgroup, (known = lowestLimit(limits, cgroup)));
    return known;
  }

  return {
    apply({ memory, cgroups }) {
      if (memory) available = memory.available;
      if (cgroups) {
        limits = new Map(cgroups.flatMap(({ path, limit }) => (limit === undefined ? [] : [[path, limit] as const])));
        lowest.clear();
      }
    },
    limitFor(cgroup, bytes) {
      const group = cgroup ? groupLimit(cgroup) : null;
      if (available === null) return group;
      return group === null ? available + bytes : Math.min(available + bytes, group);
    },
  };
}

function lowestLimit(limits: ReadonlyMap<string, number>, cgroup: string): number | null {
  let lowest: number | null = null;
  for (let path = cgroup; ; path = path.slice(0, path.lastIndexOf('/')) || '/') {
    const limit = limits.get(path);
    if (limit !== undefined && (lowest === null || limit < lowest)) lowest = limit;
    if (path === '/' || path === '' || !path.includes('/')) return lowest;
  }
}
