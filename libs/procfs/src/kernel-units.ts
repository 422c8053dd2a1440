import { readFileSync } from 'node:fs';
import { endianness } from 'node:os';

/** What the kernel counts in, as it says itself. */
export interface KernelUnits {
  /** Bytes of a page. */
  pageSize: number;
  /** Clock ticks a second of `/proc/[pid]/stat`, `/proc/stat` and `cpuacct` (CLK_TCK, USER_HZ). */
  clockTicks: number;
  /** Where it was learnt: the auxiliary vector; the page size from smaps and the ticks assumed; or both assumed. */
  source: 'auxv' | 'smaps' | 'assumed';
}

/** Keys of the auxiliary vector, from the kernel's `include/uapi/linux/auxvec.h`. */
const AT_NULL = 0;
const AT_PAGESZ = 6;
const AT_CLKTCK = 17;

/** 64-bit words on all but Node's 32-bit builds. */
const NARROW = new Set(['arm', 'ia32', 'mips', 'mipsel', 'ppc', 's390']);

export interface WordFormat {
  bytes: 4 | 8;
  endian: 'LE' | 'BE';
}

const NATIVE: WordFormat = { bytes: NARROW.has(process.arch) ? 4 : 8, endian: endianness() };

/** `/proc/[pid]/auxv`: pairs of machine words; undefined when the page size or the tick rate is not in it. */
export function parseAuxv(bytes: Uint8Array, words: WordFormat = NATIVE): KernelUnits | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const little = words.endian === 'LE';
  const word = (at: number): number =>
    words.bytes === 8 ? Number(view.getBigUint64(at, little)) : view.getUint32(at, little);
  let pageSize = 0;
  let clockTicks = 0;
  for (let at = 0; at + 2 * words.bytes <= bytes.byteLength; at += 2 * words.bytes) {
    const key = word(at);
    if (key === AT_NULL) break;
    if (key === AT_PAGESZ) pageSize = word(at + words.bytes);
    if (key === AT_CLKTCK) clockTicks = word(at + words.bytes);
  }
  const sane = pageSize >= 512 && pageSize <= 2 ** 26 && clockTicks >= 1 && clockTicks <= 1_000_000;
  return sane ? { pageSize, clockTicks, source: 'auxv' } : undefined;
}

/** User space has seen 100 a second on every architecture that Node runs on, whatever the kernel's own HZ. */
const USER_HZ = 100;

/**
 * The units of this kernel: of `root`'s own auxiliary vector, else of this process's (it is the same kernel, unless
 * `root` is a captured tree). A program with file capabilities may not open its own `auxv`, but it may open its
 * `smaps`, which tells the page size. Else 4,096 and 100, which hold on every x86-64 Linux.
 */
export function readKernelUnits(root = '/proc'): KernelUnits {
  for (const path of new Set([`${root}/self/auxv`, '/proc/self/auxv'])) {
    const bytes = readIfAllowed(path);
    const units = bytes && parseAuxv(bytes);
    if (units) return units;
  }
  const pageSize = smallestKernelPage(readIfAllowed('/proc/self/smaps')?.toString('latin1') ?? '');
  return pageSize === undefined
    ? { pageSize: 4096, clockTicks: USER_HZ, source: 'assumed' }
    : { pageSize, clockTicks: USER_HZ, source: 'smaps' };
}

function smallestKernelPage(smaps: string): number | undefined {
  const sizes = [...smaps.matchAll(/^KernelPageSize: +(\d{1,8}) kB$/gm)].map(([, kib]) => Number(kib) * 1024);
  return sizes.length > 0 ? Math.min(...sizes) : undefined;
}

function readIfAllowed(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch {
    return undefined;
  }
}
