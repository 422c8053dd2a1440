/** Directories whose files are the same on every host. */
const USUAL = /^\/(usr|lib|lib64|bin|sbin)\//;
const USUAL_GROUPS = new Set(['system.slice', 'user.slice', 'init.scope', 'machine.slice', '']);
/** Fields of stat that are addresses: 26 to 30, 35, 45 to 51. */
const STAT_ADDRESSES = [26, 27, 28, 29, 30, 35, 45, 46, 47, 48, 49, 50, 51];
/** What of the host's mounts says nothing of the host. */
const USUAL_MOUNTS = /^\/(proc|sys|sys\/fs\/cgroup(\/[a-z_,]+)?|dev|dev\/(pts|shm|mqueue)|run)$/;

/**
 * Replaces what could tell of the host, the same thing always by the same thing, and keeps every format as it is.
 * `directory` is where the capture's own specimens run from.
 */
export function createScrubber(directory) {
  const groups = new Map();
  /** controllers → path → scrubbed path. */
  const seen = new Map();
  const inodes = new Map();

  const name = (own, pid, text) => (own || pid === 2 ? text : pid === 1 ? 'init' : `program-${pid}`);

  function groupPath(path) {
    const parts = path.split('/').map((part) => {
      if (USUAL_GROUPS.has(part)) return part;
      if (!groups.has(part)) groups.set(part, `group-${groups.size + 1}`);
      return groups.get(part);
    });
    return parts.join('/') || '/';
  }

  function inode(number) {
    if (number === '0') return '0';
    if (!inodes.has(number)) inodes.set(number, String(1000 + inodes.size));
    return inodes.get(number);
  }

  function cgroup(text) {
    return text.replace(/^(\d+):([^:\n]*):(.*)$/gm, (_, id, controllers, path) => {
      const scrubbed = groupPath(path);
      for (const controller of controllers.split(',')) {
        if (!seen.has(controller)) seen.set(controller, new Map([['/', '/']]));
        seen.get(controller).set(path, scrubbed);
      }
      return `${id}:${controllers}:${scrubbed}`;
    });
  }

  /** Ranges move to a row of made-up addresses, sizes kept; so do the inodes. */
  function smaps(text) {
    let next = 0x5555_5555_0000n;
    return text.replace(
      /^([0-9a-f]+)-([0-9a-f]+) (\S+) (\S+) (\S+) (\d+)( *)(.*)$/gm,
      (_, from, to, permissions, offset, device, node, gap, path) => {
        const start = path === '[vsyscall]' ? BigInt(`0x${from}`) : next;
        const end = start + (path === '[rollup]' ? 0x1000n : BigInt(`0x${to}`) - BigInt(`0x${from}`));
        if (start === next) next = end;
        const range = `${start.toString(16).padStart(8, '0')}-${end.toString(16).padStart(8, '0')}`;
        return `${range} ${permissions} ${offset} ${device} ${inode(node)}${gap}${filePath(path)}`;
      },
    );
  }

  function filePath(path) {
    if (path === '' || path.startsWith('[') || USUAL.test(path)) return path;
    return path.startsWith(directory) ? '/usr/bin/specimen' : '/opt/file';
  }

  function stat(text, own, pid) {
    const open = text.indexOf('(');
    const close = text.lastIndexOf(')');
    const fields = text.slice(close + 2).split(' ');
    for (const field of STAT_ADDRESSES) if (fields[field - 3] !== undefined) fields[field - 3] = '0';
    const end = text.endsWith('\n') && !fields.at(-1).endsWith('\n') ? '\n' : '';
    return `${text.slice(0, open)}(${name(own, pid, text.slice(open + 1, close))}) ${fields.join(' ')}${end}`;
  }

  const scrubbers = {
    stat,
    status: (text, own, pid) => text.replace(/^Name:\t(.*)$/m, (_, found) => `Name:\t${name(own, pid, found)}`),
    smaps,
    smaps_rollup: smaps,
    cgroup,
    cmdline: (text, own, pid) => (own || text === '' ? text : `${name(own, pid, '')}\0`),
  };

  return {
    processFile(file, bytes, own, pid) {
      const scrub = scrubbers[file];
      return scrub ? Buffer.from(scrub(bytes.toString('latin1'), own, pid), 'latin1') : bytes;
    },
    mountinfo(bytes) {
      const lines = bytes.toString().split('\n').filter(Boolean);
      const kept = lines.filter((line) => USUAL_MOUNTS.test(line.split(' ')[4]));
      const [id = '1', parent = '1'] = lines.find((line) => line.split(' ')[4] === '/')?.split(' ') ?? [];
      return [`${id} ${parent} 8:1 / / rw,relatime - ext4 /dev/sda1 rw`, ...kept].join('\n') + '\n';
    },
    /** Paths of the groups seen in a hierarchy, as they are and as they are written. */
    cgroups: (controller) => seen.get(controller) ?? new Map(),
  };
}
