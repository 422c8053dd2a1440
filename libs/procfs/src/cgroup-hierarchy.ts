import type { Mount } from './mountinfo.js';

/** A mounted cgroup hierarchy that accounts memory. */
export interface CgroupHierarchy {
  version: 1 | 2;
  /** Where it is, in the reader's file system. */
  mountPoint: string;
  /** What of the hierarchy is mounted there: `/`, or the container's own group. */
  root: string;
}

/**
 * The hierarchy in which memory is accounted: v1's where its memory controller is mounted, even beside a v2 one
 * (hybrid hosts); else v2's; null when there is neither. `sys` stands for `/sys` in mount points.
 */
export function memoryHierarchy(mounts: readonly Mount[], sys = '/sys'): CgroupHierarchy | null {
  const first = mounts.findLast((mount) => mount.type === 'cgroup' && mount.superOptions.includes('memory'));
  const mount = first ?? mounts.findLast((candidate) => candidate.type === 'cgroup2');
  if (!mount) return null;
  const below = mount.mountPoint === '/sys' || mount.mountPoint.startsWith('/sys/');
  return {
    version: first ? 1 : 2,
    mountPoint: below ? sys + mount.mountPoint.slice('/sys'.length) : mount.mountPoint,
    root: mount.root,
  };
}

/** The directory of a group; null when this mount does not show it (it lies outside the reader's namespace). */
export function cgroupDirectory(hierarchy: CgroupHierarchy, path: string): string | null {
  if (path.split('/').includes('..')) return null;
  const { root, mountPoint } = hierarchy;
  if (root === '/') return path === '/' ? mountPoint : mountPoint + path;
  if (path === root) return mountPoint;
  return path.startsWith(`${root}/`) ? mountPoint + path.slice(root.length) : null;
}
