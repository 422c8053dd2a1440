import { utf8 } from './byte-scanner.js';
import { malformed } from './errors.js';

/** One line of `/proc/[pid]/mountinfo` (since 2.6.26). Paths are unescaped. */
export interface Mount {
  id: number;
  /** Of the mount that this one is in. */
  parent: number;
  /** `major:minor`, decimal. */
  device: string;
  /** What of the file system is mounted: `/`, or less for a bind mount. */
  root: string;
  /** Where, seen from the process's root. */
  mountPoint: string;
  /** Of this mount: `rw`, `nosuid`, `relatime`, … */
  options: string[];
  /** `shared:N`, `master:N`, …; often none. */
  propagation: string[];
  /** `proc`, `cgroup`, `cgroup2`, `tmpfs`, … */
  type: string;
  source: string;
  /** Of the file system: v1 controllers, `hidepid=…` of proc. */
  superOptions: string[];
}

export function parseMountinfo(bytes: Uint8Array, length: number = bytes.length): Mount[] {
  const end = Math.min(length, bytes.length);
  const lines = utf8(bytes, 0, end).split('\n');
  if (lines.at(-1) === '') lines.pop();
  return lines.map(mountLine);
}

/** `id parent major:minor root point options [propagation…] - type source superoptions`, one blank between. */
function mountLine(line: string): Mount {
  const words = line.split(' ');
  // A path holds no bare blank, but it may be `-`: the separator comes after the six fixed fields.
  const dash = words.indexOf('-', 6);
  const [id = '', parent = '', device = '', root = '', point = '', options = ''] = words;
  const superOptions = words[dash + 3];
  if (dash < 0 || superOptions === undefined || !isNumber(id) || !isNumber(parent)) {
    malformed('mountinfo', 'id parent device root point options - type source options', Buffer.from(line));
  }
  return {
    id: Number(id),
    parent: Number(parent),
    device,
    root: unescapePath(root),
    mountPoint: unescapePath(point),
    options: options.split(','),
    propagation: words.slice(6, dash),
    type: unescapePath(words[dash + 1]!),
    source: unescapePath(words[dash + 2]!),
    superOptions: superOptions.split(','),
  };
}

function isNumber(text: string): boolean {
  return /^\d{1,10}$/.test(text);
}

/** The kernel writes blank, tab, newline, backslash (and `#`) as a backslash and three octal digits. */
function unescapePath(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

/** How `/proc` hides other users' processes: not at all, their content, or that they are there. */
export type HidePid = 'off' | 'noaccess' | 'invisible' | 'ptraceable';

/** From the mount of `root`; 'off' when it is not among the mounts. The last mount on a point is the one in sight. */
export function hidePid(mounts: readonly Mount[], root = '/proc'): HidePid {
  const proc = mounts.findLast((mount) => mount.type === 'proc' && mount.mountPoint === root);
  const value = proc?.superOptions.find((option) => option.startsWith('hidepid='))?.slice('hidepid='.length);
  switch (value) {
    case '1':
    case 'noaccess':
      return 'noaccess';
    case '2':
    case 'invisible':
      return 'invisible';
    case '4':
    case 'ptraceable':
      return 'ptraceable';
    default:
      return 'off';
  }
}
