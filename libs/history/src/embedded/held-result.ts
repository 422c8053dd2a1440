import { open, rm, type FileHandle } from 'node:fs/promises';
import { Readable } from 'node:stream';

/** Bytes put aside until it is known how the query ends: in memory, and in a file beyond a bound. One call at a time. */
export interface HeldResult {
  readonly bytes: number;
  add(chunk: Buffer): Promise<void>;
  /** All of it, in order; to be read once. */
  release(): Readable;
  /** Forgets it and removes the file. */
  discard(): Promise<void>;
}

/** `file` null keeps all in memory: then the caller sees to the bound. */
export function holdResult(file: string | null, memoryBytes: number): HeldResult {
  let chunks: Buffer[] = [];
  let bytes = 0;
  let overflow: FileHandle | null = null;
  return {
    get bytes() {
      return bytes;
    },
    async add(chunk) {
      bytes += chunk.length;
      chunks.push(chunk);
      if (file === null || (overflow === null && bytes <= memoryBytes)) return;
      overflow ??= await open(file, 'w+', 0o600);
      const waiting = chunks;
      chunks = [];
      for (const one of waiting) await overflow.appendFile(one);
    },
    release() {
      const kept = chunks;
      chunks = [];
      if (overflow === null) return Readable.from(kept, { objectMode: false });
      return overflow.createReadStream({ start: 0, autoClose: false });
    },
    async discard() {
      chunks = [];
      await overflow?.close();
      if (overflow !== null && file !== null) await rm(file, { force: true });
      overflow = null;
    },
  };
}
