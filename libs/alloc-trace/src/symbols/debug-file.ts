import { createReadStream } from 'node:fs';
import { dirname, join } from 'node:path';
import { crc32 as nativeCrc32 } from 'node:zlib';
import { openElf, type ElfFile } from './elf.js';

/** Separate debug files are looked for under these roots. */
export const DEBUG_ROOTS: readonly string[] = ['/usr/lib/debug'];

/** Larger files are believed by their build id alone: a checksum over them would take minutes. */
const MAX_CHECKED = 512 * 1024 * 1024;

/**
 * The file of debug information by build id: ROOT/.build-id/xx/yyyy.debug (gdb manual, "Separate Debug Files"); null
 * when there is none, or it has another build id than its name says.
 */
export async function debugFileOfBuildId(
  buildId: string,
  roots: readonly string[] = DEBUG_ROOTS,
): Promise<ElfFile | null> {
  if (!/^[0-9a-f]{4,}$/.test(buildId)) return null;
  for (const root of roots) {
    const elf = await opened(join(root, '.build-id', buildId.slice(0, 2), `${buildId.slice(2)}.debug`));
    if (elf === null) continue;
    if (elf.buildId === buildId) return elf;
    await elf.close();
  }
  return null;
}

/**
 * The file of debug information that .gnu_debuglink names: beside the program, in .debug beside it, or under a root by
 * the program's path. It must have the same build id, or without build ids the checksum that the program names. `path` is
 * the program's in its own name space, `file` where it was opened. Null when there is none.
 */
export async function debugFileOfLink(
  elf: ElfFile,
  file: string,
  path: string,
  roots: readonly string[] = DEBUG_ROOTS,
): Promise<ElfFile | null> {
  const link = elf.debugLink;
  if (link === null) return null;
  const beside = dirname(file);
  const places = [join(beside, link.file), join(beside, '.debug', link.file)];
  places.push(...roots.map((root) => join(root, dirname(path), link.file)));
  for (const place of new Set(places)) {
    if (place === file) continue;
    const found = await opened(place);
    if (found === null) continue;
    if (await belongs(found, elf, link.crc)) return found;
    await found.close();
  }
  return null;
}

async function belongs(found: ElfFile, program: ElfFile, crc: number): Promise<boolean> {
  if (found.machine !== program.machine) return false;
  if (program.buildId !== null && found.buildId !== null) return program.buildId === found.buildId;
  return found.size <= MAX_CHECKED && (await checksum(found.name)) === crc;
}

function opened(path: string): Promise<ElfFile | null> {
  return openElf(path).catch(() => null);
}

/** CRC-32 as zlib counts it, of a whole file; null when it cannot be read. */
async function checksum(path: string): Promise<number | null> {
  let crc = 0;
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 })) {
      crc = nativeCrc32(chunk as Buffer, crc);
    }
    return crc;
  } catch {
    return null;
  }
}
