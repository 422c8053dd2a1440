import { ElfError } from './elf-error.js';

/**
 * Field offsets and numbers of the System V ABI, generic and of the processors (elf.h). Little endian, 64 bits.
 */
export const ELF_HEADER_BYTES = 64;
export const PROGRAM_HEADER_BYTES = 56;
export const SECTION_HEADER_BYTES = 64;
export const SYMBOL_BYTES = 24;

export const PT_LOAD = 1;
export const PT_DYNAMIC = 2;
export const PT_INTERP = 3;
export const PT_NOTE = 4;

export const SHT_SYMTAB = 2;
export const SHT_NOBITS = 8;
export const SHT_NOTE = 7;
export const SHT_DYNSYM = 11;
export const SHF_EXECINSTR = 4;
export const SHF_COMPRESSED = 0x800;

export const ELF_TYPES = ['NONE', 'REL', 'EXEC', 'DYN', 'CORE'] as const;
export type ElfType = (typeof ELF_TYPES)[number];

const MACHINES: Record<number, ElfMachine> = { 62: 'x86-64', 183: 'aarch64' };
export type ElfMachine = 'x86-64' | 'aarch64';

export interface ElfSegment {
  type: number;
  flags: number;
  /** In the file, bytes. */
  offset: number;
  fileSize: number;
  /** As the file counts addresses. */
  address: number;
  memorySize: number;
}

export interface ElfSection {
  name: string;
  type: number;
  flags: number;
  address: number;
  offset: number;
  size: number;
  link: number;
  info: number;
  entrySize: number;
}

export interface ElfHeader {
  machine: ElfMachine;
  type: ElfType;
  entry: number;
  programHeaders: { offset: number; count: number };
  sectionHeaders: { offset: number; count: number; names: number };
}

/** 64 bits as a double: exact below 2^53, NaN above, where no file has an offset and no process an address. */
export function word(bytes: Buffer, at: number): number {
  const value = bytes.readUInt32LE(at + 4) * 4_294_967_296 + bytes.readUInt32LE(at);
  return value <= Number.MAX_SAFE_INTEGER ? value : NaN;
}

/** Throws ELF_FORMAT or ELF_UNSUPPORTED. */
export function parseHeader(name: string, bytes: Buffer): ElfHeader {
  if (bytes.readUInt32BE(0) !== 0x7f454c46) throw new ElfError('ELF_FORMAT', `${name}: is no ELF file`);
  if (bytes[4] !== 2 || bytes[5] !== 1) {
    throw new ElfError('ELF_UNSUPPORTED', `${name}: only ELF files of 64 bits, little endian, are read`);
  }
  const machine = MACHINES[bytes.readUInt16LE(18)];
  if (machine === undefined) {
    throw new ElfError('ELF_UNSUPPORTED', `${name}: is for machine ${bytes.readUInt16LE(18)}, not x86-64 or aarch64`);
  }
  const type = ELF_TYPES[bytes.readUInt16LE(16)];
  if (type === undefined) {
    throw new ElfError('ELF_UNSUPPORTED', `${name}: has the unknown file type ${bytes.readUInt16LE(16)}`);
  }
  const count = bytes.readUInt16LE(56);
  if (count > 0 && bytes.readUInt16LE(54) !== PROGRAM_HEADER_BYTES) {
    throw new ElfError('ELF_DAMAGED', `${name}: has program headers of ${bytes.readUInt16LE(54)} bytes`);
  }
  const sections = word(bytes, 40);
  if (sections !== 0 && bytes.readUInt16LE(58) !== SECTION_HEADER_BYTES) {
    throw new ElfError('ELF_DAMAGED', `${name}: has section headers of ${bytes.readUInt16LE(58)} bytes`);
  }
  return {
    machine,
    type,
    entry: word(bytes, 24),
    programHeaders: { offset: word(bytes, 32), count },
    sectionHeaders: { offset: sections, count: bytes.readUInt16LE(60), names: bytes.readUInt16LE(62) },
  };
}

export function parseSegment(bytes: Buffer, at: number): ElfSegment {
  return {
    type: bytes.readUInt32LE(at),
    flags: bytes.readUInt32LE(at + 4),
    offset: word(bytes, at + 8),
    address: word(bytes, at + 16),
    fileSize: word(bytes, at + 32),
    memorySize: word(bytes, at + 40),
  };
}

/** A section header; its name is still an offset into the names. */
export function parseSection(bytes: Buffer, at: number): ElfSection & { nameOffset: number } {
  return {
    name: '',
    nameOffset: bytes.readUInt32LE(at),
    type: bytes.readUInt32LE(at + 4),
    flags: word(bytes, at + 8),
    address: word(bytes, at + 16),
    offset: word(bytes, at + 24),
    size: word(bytes, at + 32),
    link: bytes.readUInt32LE(at + 40),
    info: bytes.readUInt32LE(at + 44),
    entrySize: word(bytes, at + 56),
  };
}

/** The text up to the next NUL, or to the end. */
export function terminated(bytes: Buffer, at: number): string {
  if (at < 0 || at >= bytes.length) return '';
  const end = bytes.indexOf(0, at);
  return bytes.toString('utf8', at, end < 0 ? bytes.length : end);
}
