import { closeSync, openSync, readSync } from 'node:fs';

/** What an executable file is, as far as tracing wants to know. */
export type ProgramFile =
  | { kind: 'script'; interpreter: string }
  | {
      kind: 'elf';
      /** 32 or 64. */
      bits: number;
      /** e_machine of elf.h: 62 is x86-64, 183 is arm64. */
      machine: number;
      /** The dynamic linker; null: static, so that nothing can be loaded into it. */
      interpreter: string | null;
      /** Has the note of the Go linker. */
      go: boolean;
    }
  | { kind: 'other' };

const PT_INTERP = 3;
const PT_NOTE = 4;
/** A real program has around ten. */
const MAX_SEGMENTS = 256;
const MAX_NOTE_BYTES = 4096;
const MAX_PATH_BYTES = 4096;
/** The kernel looks no further for `#!` (BINPRM_BUF_SIZE). */
const SCRIPT_BYTES = 256;

/** Reads headers alone. Throws the error of open(2) or read(2); damaged files are `other`. */
export function readProgramFile(path: string): ProgramFile {
  const fd = openSync(path, 'r');
  try {
    const read = (offset: number, length: number): Buffer => {
      const bytes = Buffer.alloc(length);
      return bytes.subarray(0, readSync(fd, bytes, 0, length, offset));
    };
    const head = read(0, SCRIPT_BYTES);
    if (head.toString('latin1', 0, 2) === '#!') return scriptOf(head);
    return head.length >= 52 && head.readUInt32BE(0) === 0x7f45_4c46 ? elfOf(head, read) : { kind: 'other' };
  } finally {
    closeSync(fd);
  }
}

function scriptOf(head: Buffer): ProgramFile {
  const line = head.toString('utf8', 2).split('\n')[0]!;
  const interpreter = line.trim().split(/[ \t]+/)[0] ?? '';
  return interpreter === '' ? { kind: 'other' } : { kind: 'script', interpreter };
}

type Read = (offset: number, length: number) => Buffer;

interface Segment {
  type: number;
  offset: number;
  bytes: number;
}

/** elf(5). Big endian files are of no machine that is traced, so `other`. */
function elfOf(head: Buffer, read: Read): ProgramFile {
  const wide = head[4] === 2;
  if (head[5] !== 1 || head.length < (wide ? 64 : 52)) return { kind: 'other' };
  const segments = segmentsOf(head, wide, read);
  const interp = segments.find(({ type }) => type === PT_INTERP);
  return {
    kind: 'elf',
    bits: wide ? 64 : 32,
    machine: head.readUInt16LE(18),
    interpreter: interp === undefined ? null : textOf(read(interp.offset, Math.min(interp.bytes, MAX_PATH_BYTES))),
    go: segments.some((segment) => segment.type === PT_NOTE && isGoNote(segment, read)),
  };
}

function segmentsOf(head: Buffer, wide: boolean, read: Read): Segment[] {
  const table = wide ? Number(head.readBigUInt64LE(32)) : head.readUInt32LE(28);
  const stride = head.readUInt16LE(wide ? 54 : 42);
  const count = Math.min(head.readUInt16LE(wide ? 56 : 44), MAX_SEGMENTS);
  const bytes =
    Number.isSafeInteger(table) && stride >= (wide ? 56 : 32) ? read(table, stride * count) : Buffer.alloc(0);
  const whole = stride === 0 ? 0 : Math.floor(bytes.length / stride);
  return Array.from({ length: whole }, (_, index) => segmentAt(bytes, index * stride, wide)).filter(
    ({ offset, bytes: size }) => Number.isSafeInteger(offset + size),
  );
}

function segmentAt(bytes: Buffer, at: number, wide: boolean): Segment {
  const type = bytes.readUInt32LE(at);
  if (!wide) return { type, offset: bytes.readUInt32LE(at + 4), bytes: bytes.readUInt32LE(at + 16) };
  return { type, offset: Number(bytes.readBigUInt64LE(at + 8)), bytes: Number(bytes.readBigUInt64LE(at + 32)) };
}

/** The Go linker writes a note with the name "Go" (type 4, its build id). */
function isGoNote({ offset, bytes: size }: Segment, read: Read): boolean {
  const bytes = read(offset, Math.min(size, MAX_NOTE_BYTES));
  for (let at = 0; at + 12 <= bytes.length;) {
    const nameBytes = bytes.readUInt32LE(at);
    if (bytes.toString('latin1', at + 12, at + 12 + nameBytes) === 'Go\0\0') return true;
    at += 12 + roundUp(nameBytes) + roundUp(bytes.readUInt32LE(at + 4));
  }
  return false;
}

function roundUp(bytes: number): number {
  return Math.ceil(bytes / 4) * 4;
}

function textOf(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString('utf8', 0, end < 0 ? bytes.length : end);
}
