import { closeSync, openSync, readSync } from 'node:fs';
import { refusal } from './kernel-file.js';

/**
 * A file of the kernel that is read again and again, kept open and read into one buffer: what the collector allocates
 * runs into the probes too.
 */
export interface KeptText {
  /** The whole text, written anew by the kernel. Throws TraceError. */
  read(): string;
  close(): void;
}

const FIRST = 16_384;
const MOST = 16 * 1024 * 1024;

/** Throws TraceError when it cannot be opened. */
export function keepText(path: string): KeptText {
  let buffer = Buffer.allocUnsafeSlow(FIRST);
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch (cause) {
    throw refusal(path, cause);
  }
  return {
    read: () => {
      try {
        for (let filled = 0; ;) {
          const bytes = readSync(file, buffer, filled, buffer.length - filled, filled);
          filled += bytes;
          if (bytes === 0 || filled >= MOST) return buffer.toString('latin1', 0, filled);
          if (filled === buffer.length) buffer = Buffer.concat([buffer, Buffer.allocUnsafeSlow(buffer.length)]);
        }
      } catch (cause) {
        throw refusal(path, cause);
      }
    },
    close: () => closeSync(file),
  };
}
