import type { SystemSample } from '@tidemark/contracts';

/** What bounds the processes of one node: the memory that is left, and the limits of their control groups. */
export interface MemoryLimits {
  apply(system: SystemSample): void;
  /** The most that a process of `cgroup` which holds `bytes` can reach, or null when nothing is known to bound it. */
  limitFor(cgroup: string | null, bytes: number): number | null;
}

export function createMemoryLimits(): MemoryLimits {
  let available: number | undefined;
  let limits = new Map<string, number>();

  /** The lowest limit of the group and of those above it. */
  function groupLimit(cgroup: string): number | undefined {
    let lowest: number | undefined;
    for (let path = cgroup; ; path = path.slice(0, path.lastIndexOf('/')) || '/') {
      const limit = limits.get(path);
      if (limit !== undefined && (lowest === undefined || limit < lowest)) lowest = limit;
      if (path === '/' || path === '' || !path.includes('/')) return lowest;
    }
  }

  return {
    apply({ memory, cgroups }) {
      if (memory) available = memory.available;
      if (cgroups) {
        limits = new Map(cgroups.flatMap(({ path, limit }) => (limit === undefined ? [] : [[path, limit] as const])));
      }
    },
    limitFor(cgroup, bytes) {
      const bounds = [available === undefined ? undefined : available + bytes, cgroup ? groupLimit(cgroup) : undefined];
      const known = bounds.filter((bound) => bound !== undefined);
      return known.length === 0 ? null : Math.min(...known);
    },
  };
}
