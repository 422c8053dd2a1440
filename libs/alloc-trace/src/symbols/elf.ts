import { promisify } from 'node:util';
import { inflate } from 'node:zlib';
import { fileSource, requireWithin, type ByteSource } from './byte-source.js';
import { ElfError } from './elf-error.js';
import * as layout from './elf-layout.js';
import type { ElfHeader, ElfSection, ElfSegment } from './elf-layout.js';
import { readFunctions, type FunctionTable } from './elf-functions.js';

const decompress = promisify(inflate);

/** Largest parts that are taken, bytes or entries: far above what linkers make, far below what hurts. */
const MAX_SECTIONS = 100_000;
const MAX_NAMES = 16 * 1024 * 1024;
const MAX_NOTES = 1024 * 1024;
const MAX_BUILD_ID = 64;
const MAX_PATH = 4096;
export const MAX_SECTION_BYTES = 256 * 1024 * 1024;

/** An ELF file of 64 bits, little endian, open for reading in parts. */
export interface ElfFile {
  /** What was opened. */
  readonly name: string;
  readonly size: number;
  readonly machine: layout.ElfMachine;
  readonly type: layout.ElfType;
  readonly entry: number;
  readonly segments: readonly ElfSegment[];
  /** Empty when the section headers were stripped off. */
  readonly sections: readonly ElfSection[];
  /** The dynamic linker that the program asks for; null for libraries and static programs. */
  readonly interpreter: string | null;
  /** Hexadecimal; null without a note of it. */
  readonly buildId: string | null;
  /** Name of the separate debug file and the CRC-32 of its content. */
  readonly debugLink: { file: string; crc: number } | null;
  /** Where the byte at an address (as the file counts them) lies in the file; null when no PT_LOAD brings it. */
  offsetOf(address: number): number | null;
  /** The address at which a byte of the file is mapped; null when no PT_LOAD brings it. */
  addressOf(offset: number): number | null;
  /**
   * Content of the first section of that name, decompressed; null when there is none, or it has no bytes in the file.
   * At most `limit` bytes, default MAX_SECTION_BYTES: throws ELF_TOO_LARGE above.
   */
  section(name: string, limit?: number): Promise<Buffer | null>;
  /** Functions of .symtab and .dynsym. Read once. */
  functions(): Promise<FunctionTable>;
  close(): Promise<void>;
}

/** Opens a file. Throws ElfError; whatever the bytes are, nothing else. Reads headers, notes and names alone. */
export async function openElf(path: string): Promise<ElfFile> {
  return readElf(await fileSource(path));
}

/** Takes the source over: closes it when it throws. */
export async function readElf(source: ByteSource): Promise<ElfFile> {
  try {
    if (source.size < layout.ELF_HEADER_BYTES) throw new ElfError('ELF_FORMAT', `${source.name}: is no ELF file`);
    const header = layout.parseHeader(source.name, await source.read(0, layout.ELF_HEADER_BYTES));
    const segments = await readSegments(source, header);
    const sections = await readSections(source, header);
    return {
      name: source.name,
      size: source.size,
      machine: header.machine,
      type: header.type,
      entry: header.entry,
      segments,
      sections,
      interpreter: await readInterpreter(source, segments),
      buildId: await readBuildId(source, segments, sections),
      debugLink: await readDebugLink(source, sections),
      ...addressMap(segments),
      section: (name, limit = MAX_SECTION_BYTES) => readSection(source, sections, name, limit),
      functions: once(() => readFunctions(source, sections, header.machine)),
      close: () => source.close(),
    };
  } catch (cause) {
    await source.close();
    throw cause;
  }
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => (made ??= make());
}

async function readSegments(source: ByteSource, header: ElfHeader): Promise<ElfSegment[]> {
  const { offset, count } = header.programHeaders;
  if (count === 0) return [];
  const bytes = await source.read(offset, count * layout.PROGRAM_HEADER_BYTES);
  return Array.from({ length: count }, (_, index) => layout.parseSegment(bytes, index * layout.PROGRAM_HEADER_BYTES));
}

/** A file has 0 in e_shnum and 0xffff in e_shstrndx where the first section header says what does not fit there (gABI). */
async function readSections(source: ByteSource, header: ElfHeader): Promise<ElfSection[]> {
  const { offset, count: small, names } = header.sectionHeaders;
  if (offset === 0) return [];
  const first = layout.parseSection(await source.read(offset, layout.SECTION_HEADER_BYTES), 0);
  const count = small === 0 ? first.size : small;
  if (!(count <= MAX_SECTIONS)) throw new ElfError('ELF_TOO_LARGE', `${source.name}: has ${count} sections`);
  const bytes = await source.read(offset, count * layout.SECTION_HEADER_BYTES);
  const sections = Array.from({ length: count }, (_, index) =>
    layout.parseSection(bytes, index * layout.SECTION_HEADER_BYTES),
  );
  const table = sections[names === 0xffff ? first.link : names];
  if (table === undefined || table.type === layout.SHT_NOBITS || table.size === 0) return sections;
  const text = await bounded(source, table.offset, table.size, MAX_NAMES, 'the names of its sections');
  for (const section of sections) section.name = layout.terminated(text, section.nameOffset);
  return sections;
}

async function bounded(source: ByteSource, offset: number, size: number, limit: number, what: string): Promise<Buffer> {
  requireWithin(source, offset, size);
  if (size > limit) {
    throw new ElfError('ELF_TOO_LARGE', `${source.name}: ${what} take ${size} bytes, more than ${limit}`);
  }
  return source.read(offset, size);
}

async function readInterpreter(source: ByteSource, segments: readonly ElfSegment[]): Promise<string | null> {
  const segment = segments.find(({ type }) => type === layout.PT_INTERP);
  // A file of debug information alone keeps the program headers, but not what they point at.
  if (segment === undefined || segment.fileSize === 0 || !within(source, segment)) return null;
  const bytes = await bounded(source, segment.offset, segment.fileSize, MAX_PATH, 'the name of its interpreter');
  return layout.terminated(bytes, 0) || null;
}

function within(source: ByteSource, { offset, fileSize }: ElfSegment): boolean {
  return offset + fileSize <= source.size;
}

/** The note NT_GNU_BUILD_ID (3) of GNU, of sections first: they tell the truth in files of debug information too. */
async function readBuildId(
  source: ByteSource,
  segments: readonly ElfSegment[],
  sections: readonly ElfSection[],
): Promise<string | null> {
  const places = [
    ...sections.filter(({ type }) => type === layout.SHT_NOTE),
    ...segments
      .filter((segment) => segment.type === layout.PT_NOTE && within(source, segment))
      .map(({ offset, fileSize }) => ({ offset, size: fileSize })),
  ];
  let left = MAX_NOTES;
  for (const { offset, size } of places) {
    if (size > left) continue;
    left -= size;
    const id = buildIdIn(await source.read(offset, size));
    if (id !== null) return id;
  }
  return null;
}

function buildIdIn(bytes: Buffer): string | null {
  let at = 0;
  while (at + 12 <= bytes.length) {
    const nameSize = bytes.readUInt32LE(at);
    const size = bytes.readUInt32LE(at + 4);
    const content = at + 12 + Math.ceil(nameSize / 4) * 4;
    if (content + size > bytes.length) return null;
    const isGnu = nameSize === 4 && bytes.toString('latin1', at + 12, at + 16) === 'GNU\0';
    if (isGnu && bytes.readUInt32LE(at + 8) === 3 && size > 0 && size <= MAX_BUILD_ID) {
      return bytes.toString('hex', content, content + size);
    }
    at = content + Math.ceil(size / 4) * 4;
  }
  return null;
}

/** .gnu_debuglink: file name, NUL, padding to four bytes, CRC-32 (gdb manual, "Separate Debug Files"). */
async function readDebugLink(
  source: ByteSource,
  sections: readonly ElfSection[],
): Promise<{ file: string; crc: number } | null> {
  const bytes = await readSection(source, sections, '.gnu_debuglink', MAX_PATH);
  if (bytes === null) return null;
  const file = layout.terminated(bytes, 0);
  const at = Math.ceil((Buffer.byteLength(file) + 1) / 4) * 4;
  if (file === '' || file.includes('/') || at + 4 > bytes.length) return null;
  return { file, crc: bytes.readUInt32LE(at) };
}

async function readSection(
  source: ByteSource,
  sections: readonly ElfSection[],
  name: string,
  limit: number,
): Promise<Buffer | null> {
  const section = sections.find((one) => one.name === name);
  if (section === undefined || section.type === layout.SHT_NOBITS) return null;
  const bytes = await bounded(source, section.offset, section.size, limit, name);
  if ((section.flags & layout.SHF_COMPRESSED) === 0) return bytes;
  // Elf64_Chdr: type, reserved, size, alignment.
  if (bytes.length < 24) throw new ElfError('ELF_DAMAGED', `${source.name}: ${name} is too short for its header`);
  const [kind, size] = [bytes.readUInt32LE(0), layout.word(bytes, 8)];
  if (kind !== 1) throw new ElfError('ELF_UNSUPPORTED', `${source.name}: ${name} has the unknown compression ${kind}`);
  if (!(size <= limit)) throw new ElfError('ELF_TOO_LARGE', `${source.name}: ${name} has ${size} bytes decompressed`);
  const content = await decompress(bytes.subarray(24), { maxOutputLength: Math.max(1, size) }).catch((cause) => {
    throw new ElfError('ELF_DAMAGED', `${source.name}: ${name} cannot be decompressed: ${cause}`, { cause });
  });
  if (content.length !== size) {
    throw new ElfError('ELF_DAMAGED', `${source.name}: ${name} has ${content.length} bytes, not ${size}`);
  }
  return content;
}

function addressMap(segments: readonly ElfSegment[]): Pick<ElfFile, 'offsetOf' | 'addressOf'> {
  const loads = segments.filter(({ type }) => type === layout.PT_LOAD);
  return {
    offsetOf: (address) => {
      const load = loads.find((one) => address >= one.address && address < one.address + one.fileSize);
      return load === undefined ? null : address - load.address + load.offset;
    },
    addressOf: (offset) => {
      const load = loads.find((one) => offset >= one.offset && offset < one.offset + one.fileSize);
      return load === undefined ? null : offset - load.offset + load.address;
    },
  };
}
