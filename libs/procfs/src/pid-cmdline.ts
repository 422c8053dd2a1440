import { utf8 } from './byte-scanner.js';

/** `/proc/[pid]/cmdline`: the arguments, each ended by a NUL. A program may overwrite it, with any bytes. */
export interface Cmdline {
  /** Arguments; empty ones at the end are taken for padding and left out. */
  arguments: string[];
  /** The arguments joined by blanks: what `ps` shows. Not to be split again. */
  text: string;
}

/** Null for an empty block: a kernel thread, a zombie, or a program that wiped it. */
export function parseCmdline(bytes: Uint8Array, length: number = bytes.length): Cmdline | null {
  let end = Math.min(length, bytes.length);
  while (end > 0 && bytes[end - 1] === 0) end--;
  if (end === 0) return null;
  const list = utf8(bytes, 0, end).split('\0');
  return { arguments: list, text: list.join(' ') };
}
