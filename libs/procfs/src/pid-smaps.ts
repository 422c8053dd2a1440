import { ByteScanner, latin1, utf8 } from './byte-scanner.js';
import { malformed } from './errors.js';

/** One mapping of `/proc/[pid]/smaps` (since 2.6.14); sizes in bytes. Absent: not in this kernel's. */
export interface Mapping {
  /** The address range, end excluded: 64 bits, so they need a bigint (the vsyscall page lies above 2^53). */
  start: bigint;
  end: bigint;
  /** Four letters: r w x or `-`, then `p`rivate or `s`hared. */
  permissions: string;
  /** Bytes into the file. */
  offset: bigint;
  /** `major:minor` in hexadecimal; `00:00` for no file. */
  device: string;
  inode: number;
  /** Path as the kernel writes it (newline as `\012`, ` (deleted)` appended), `[heap]` and the like; empty for none. */
  path: string;
  /** `Size`, `Rss`, `Pss` (its share, each page divided by its users; since 2.6.25). */
  size?: number;
  rss?: number;
  pss?: number;
  /** `Pss_Dirty` (since 6.0). */
  pssDirty?: number;
  /** `Shared_Clean`, `Shared_Dirty`, `Private_Clean`, `Private_Dirty`. */
  sharedClean?: number;
  sharedDirty?: number;
  privateClean?: number;
  privateDirty?: number;
  /** `Referenced` (since 2.6.22): accessed of late. `Anonymous`: not backed by a file. */
  referenced?: number;
  anonymous?: number;
  /** `KSM`, `LazyFree` (since 4.12). */
  ksm?: number;
  lazyFree?: number;
  /** `AnonHugePages` (since 2.6.38), `ShmemPmdMapped` (since 4.8), `FilePmdMapped` (since 5.4). */
  anonHugePages?: number;
  shmemPmdMapped?: number;
  filePmdMapped?: number;
  /** `Shared_Hugetlb`, `Private_Hugetlb` (since 4.4): no part of `Rss`. */
  sharedHugetlb?: number;
  privateHugetlb?: number;
  /** `Swap`: swapped out. `SwapPss` (since 4.3): its share of that. */
  swap?: number;
  swapPss?: number;
  /** `KernelPageSize`, `MMUPageSize` (since 2.6.29). */
  kernelPageSize?: number;
  mmuPageSize?: number;
  /** `Locked`: the share locked into memory. */
  locked?: number;
  /** `VmFlags` (since 3.8): two letters each, as `Documentation/filesystems/proc.rst` lists them. */
  flags?: string[];
}

type Size = {
  [Name in keyof Mapping]-?: undefined extends Mapping[Name]
    ? number extends NonNullable<Mapping[Name]>
      ? Name
      : never
    : never;
}[keyof Mapping];

const SIZES: Readonly<Record<string, Size>> = Object.assign(
  Object.create(null) as Record<string, Size>,
  {
    Size: 'size',
    Rss: 'rss',
    Pss: 'pss',
    Pss_Dirty: 'pssDirty',
    Shared_Clean: 'sharedClean',
    Shared_Dirty: 'sharedDirty',
    Private_Clean: 'privateClean',
    Private_Dirty: 'privateDirty',
    Referenced: 'referenced',
    Anonymous: 'anonymous',
    KSM: 'ksm',
    LazyFree: 'lazyFree',
    AnonHugePages: 'anonHugePages',
    ShmemPmdMapped: 'shmemPmdMapped',
    FilePmdMapped: 'filePmdMapped',
    Shared_Hugetlb: 'sharedHugetlb',
    Private_Hugetlb: 'privateHugetlb',
    Swap: 'swap',
    SwapPss: 'swapPss',
    KernelPageSize: 'kernelPageSize',
    MMUPageSize: 'mmuPageSize',
    Locked: 'locked',
  } as const,
);

const KIB = 1024;
const MINUS = 45;
const scanner = new ByteScanner();

/**
 * Every mapping of the block, in address order: for `smaps_rollup` one, `[rollup]`. Empty for an empty block, as a
 * process without an address space has. Lines of unknown labels are passed over.
 */
export function parseSmaps(bytes: Uint8Array, length: number = bytes.length): Mapping[] {
  const mappings: Mapping[] = [];
  for (scanner.reset(bytes, length); !scanner.done; scanner.nextLine()) {
    const header = headerLine(bytes);
    if (header) mappings.push(header);
    else figureLine(bytes, mappings.at(-1) ?? malformed('smaps', 'an address range', bytes, scanner.at, length));
  }
  return mappings;
}

/** `start-end perms offset major:minor inode   path`; undefined, with the cursor where it was, on any other line. */
function headerLine(bytes: Uint8Array): Mapping | undefined {
  const lineStart = scanner.at;
  const start = hexadecimal();
  if (start === undefined || scanner.peek() !== MINUS) return back(lineStart);
  scanner.at++;
  const end = hexadecimal();
  if (end === undefined || !blankAhead()) return back(lineStart);
  const permissions = scanner.word();
  scanner.skipBlanks();
  const offset = hexadecimal();
  const device = scanner.word();
  const inode = scanner.number();
  if (permissions.length !== 4 || offset === undefined || device === '' || Number.isNaN(inode)) {
    malformed('smaps', 'start-end perms offset device inode', bytes, lineStart, scanner.end);
  }
  scanner.skipBlanks();
  const path = utf8(bytes, scanner.at, scanner.lineEnd());
  return { start, end, permissions, offset, device, inode, path };
}

function back(at: number): undefined {
  scanner.at = at;
  return undefined;
}

function blankAhead(): boolean {
  return scanner.peek() === 32;
}

/** Up to sixteen hexadecimal digits (64 bits); undefined when there are none, or more. */
function hexadecimal(): bigint | undefined {
  const from = scanner.at;
  const { bytes, end } = scanner;
  let at = from;
  while (at < end && isHexadecimal(bytes[at]!)) at++;
  if (at === from || at - from > 16) return undefined;
  scanner.at = at;
  return BigInt(`0x${latin1(bytes, from, at)}`);
}

/** Small letters only: the kernel writes no others, and labels begin with capitals. */
function isHexadecimal(byte: number): boolean {
  return (byte >= 48 && byte <= 57) || (byte >= 97 && byte <= 102);
}

function figureLine(bytes: Uint8Array, mapping: Mapping): void {
  const label = scanner.label();
  if (label === undefined) malformed('smaps', 'a line "label: figure"', bytes, scanner.at, scanner.end);
  if (label === 'VmFlags') {
    mapping.flags = utf8(bytes, scanner.at, scanner.lineEnd()).split(' ').filter(Boolean);
    return;
  }
  const name = SIZES[label];
  if (name === undefined) return;
  const kib = scanner.number();
  if (!Number.isNaN(kib)) mapping[name] = kib * KIB;
}

/**
 * What YARN's NodeManager counts as a process's memory when told to use smaps: for each mapping but the read-only
 * shared ones (`r--s`, `r-xs`), the smaller of shared dirty and Pss, and all that is private. Bytes.
 *
 * Source of the rule: `ProcfsBasedProcessTree` of Apache Hadoop. It needs the permissions of each mapping, so
 * `smaps_rollup` cannot give it.
 */
export function yarnResidentBytes(mappings: readonly Mapping[]): number {
  let bytes = 0;
  for (const { permissions, sharedDirty = 0, pss = 0, privateDirty = 0, privateClean = 0 } of mappings) {
    if (permissions === 'r--s' || permissions === 'r-xs') continue;
    bytes += Math.min(sharedDirty, pss) + privateDirty + privateClean;
  }
  return bytes;
}
