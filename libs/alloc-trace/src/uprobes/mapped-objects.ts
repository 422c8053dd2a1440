import { readFile, stat } from 'node:fs/promises';
import { TraceError } from '../errors.js';
import { openElf, type ElfFile } from '../symbols/index.js';
import type { TracedModule } from '../trace-source.js';
import { parseEhFrame, type FrameTable } from '../unwind/eh-frame.js';
import { mappingAt, parseMappings, type Mapping } from './mappings.js';
import { errnoOf } from './kernel-file.js';

/** .eh_frame above this is not taken: walking goes by frame pointers there. */
const MAX_EH_FRAME = 64 * 1024 * 1024;
const MAX_OBJECTS = 4096;
const PF_EXECUTE = 1;
const PAGE = 4096;

/** A file of which code is mapped into the process. */
export interface MappedObject {
  module: TracedModule;
  /** null when its file cannot be read: then it has neither symbols nor rules. */
  elf: ElfFile | null;
  frames: FrameTable | null;
  /** Why there is no `elf`. */
  problem: string | null;
  /** A path by which the kernel finds the very file that is mapped. */
  probePath: string;
  isExecutable: boolean;
}

export interface AddressSpace {
  mappings: Mapping[];
  /** The object whose code is at an address; null when no file's code is there. */
  objectAt(address: number): MappedObject | null;
  /** Code may be at the address: a file's or generated. */
  isCode(address: number): boolean;
  objects: readonly MappedObject[];
}

/** Reads `/proc/PID/maps`. Throws TRACE_GONE, TRACE_DENIED. */
export async function readMappings(pid: number): Promise<Mapping[]> {
  try {
    return parseMappings(await readFile(`/proc/${pid}/maps`, 'latin1'));
  } catch (cause) {
    const code = errnoOf(cause);
    if (code === 'ENOENT' || code === 'ESRCH') {
      throw new TraceError('TRACE_GONE', `uprobes: there is no process ${pid}`, { cause });
    }
    throw new TraceError(
      'TRACE_DENIED',
      `uprobes: the mappings of process ${pid} cannot be read: ${code}; run as root`,
      {
        cause,
      },
    );
  }
}

/**
 * The objects of a process. Those of `before` that are still mapped at the same place are kept, so that each file is read
 * once.
 */
export async function readAddressSpace(pid: number, before?: AddressSpace): Promise<AddressSpace> {
  const mappings = await readMappings(pid);
  const known = new Map(before?.objects.map((object) => [keyOf(object.module), object]));
  const executable = await stat(`/proc/${pid}/exe`).then(
    ({ ino }) => ino,
    () => -1,
  );
  const objects: MappedObject[] = [];
  for (const mapping of mappings) {
    if (!mapping.executable || mapping.inode === 0 || objects.length >= MAX_OBJECTS) continue;
    const kept = known.get(keyOf({ path: mapping.path, start: mapping.start, end: mapping.end }));
    objects.push(kept ?? (await readObject(pid, mapping, mapping.inode === executable)));
  }
  const byStart = new Map(objects.map((object) => [object.module.start, object]));
  const at = (address: number): Mapping | undefined => {
    const mapping = mappingAt(mappings, address);
    return mapping?.executable === true ? mapping : undefined;
  };
  return {
    mappings,
    objects,
    isCode: (address) => at(address) !== undefined,
    objectAt: (address) => byStart.get(at(address)?.start ?? -1) ?? null,
  };
}

function keyOf({ path, start, end }: Pick<TracedModule, 'path' | 'start' | 'end'>): string {
  return `${start}-${end} ${path}`;
}

async function readObject(pid: number, mapping: Mapping, isExecutable: boolean): Promise<MappedObject> {
  const { start, end } = mapping;
  const path = mapping.path.replace(/ \(deleted\)$/, '');
  const mapFile = `/proc/${pid}/map_files/${start.toString(16)}-${end.toString(16)}`;
  const file = await reachable(pid, path, mapping.inode, mapFile);
  const module: TracedModule = { path, file, buildId: null, start, end, bias: start - mapping.offset };
  const probePath = /[\s:]/.test(file ?? ' ') ? mapFile : file!;
  const object: MappedObject = { module, elf: null, frames: null, problem: null, probePath, isExecutable };
  if (file === null) return { ...object, problem: 'its file cannot be reached' };
  try {
    const elf = await openElf(file);
    module.buildId = elf.buildId;
    module.bias = biasOf(elf, mapping) ?? module.bias;
    const frames = await framesOf(elf);
    return { ...object, elf, frames };
  } catch (cause) {
    return { ...object, problem: cause instanceof Error ? cause.message : String(cause) };
  }
}

/** The path itself when it is the mapped file, else the process's own view of it, else the mapping's link. */
async function reachable(pid: number, path: string, inode: number, mapFile: string): Promise<string | null> {
  for (const candidate of [path, `/proc/${pid}/root${path}`, mapFile]) {
    const found = await stat(candidate).then(
      (one) => one.ino === inode && one.isFile(),
      () => false,
    );
    if (found) return candidate;
  }
  return null;
}

async function framesOf(elf: ElfFile): Promise<FrameTable | null> {
  const section = elf.sections.find(({ name }) => name === '.eh_frame');
  if (section === undefined || section.size === 0) return null;
  const bytes = await elf.section('.eh_frame', MAX_EH_FRAME).catch(() => null);
  return bytes === null ? null : parseEhFrame(bytes, section.address);
}

/** What was added to the file's addresses: the loader maps whole pages, so a segment may begin inside of the first one. */
function biasOf(elf: ElfFile, mapping: Mapping): number | null {
  const segment = elf.segments.find(
    ({ type, flags, offset, fileSize }) =>
      type === 1 &&
      (flags & PF_EXECUTE) !== 0 &&
      mapping.offset >= offset - (offset % PAGE) &&
      mapping.offset < offset + fileSize,
  );
  return segment === undefined ? null : mapping.start - mapping.offset + segment.offset - segment.address;
}

export async function closeObjects(space: AddressSpace): Promise<void> {
  await Promise.all(space.objects.map(({ elf }) => elf?.close()));
}
