import { closeSync, openSync, readSync } from 'node:fs';

/**
 * What a read found.
 *
 * - `changed`: the block differs from the last one (or is the first)
 * - `same`: byte for byte the last block
 * - `gone`: no such file, or the process behind the open file has exited (ENOENT, ESRCH)
 * - `denied`: not allowed (EACCES, EPERM)
 * - `failed`: anything else; `KeptFile.errorCode` says what (`EMFILE`: close some files; `TOO_LARGE`: above the bound)
 */
export type ReadOutcome = 'changed' | 'same' | 'gone' | 'denied' | 'failed';

/** How a kernel file gives its text. */
export type Records =
  /** In one piece: a read that does not fill the buffer has got it all (seq_file `single_open`). */
  | 'one'
  /** Record by record: only a read of 0 bytes is the end, and no read passes a page (seq_file iterators). */
  | 'many';

/** What reading costs, counted; shared by all files of one reader, for its self-metrics. */
export interface ReadTally {
  reads: number;
  opens: number;
  bytes: number;
}

export function createReadTally(): ReadTally {
  return { reads: 0, opens: 0, bytes: 0 };
}

/** Where blocks are read into: one for many files, since a block is parsed before the next is read. It only grows. */
export interface ReadBuffer {
  bytes: Buffer;
}

export function createReadBuffer(size = 16_384): ReadBuffer {
  return { bytes: Buffer.allocUnsafeSlow(size) };
}

/** Above this a file is no kernel table but a mistake: 4,096 CPUs make a /proc/stat of 1 MB. */
export const MAX_BLOCK_BYTES = 64 * 1024 * 1024;

export interface KeptFileOptions {
  path: string;
  records: Records;
  /** Keep the last block and compare with it; without, every good read is `changed` and no copy is kept. */
  compare: boolean;
  buffer: ReadBuffer;
  tally: ReadTally;
  /** Bytes; a larger file has `failed` with `TOO_LARGE`. MAX_BLOCK_BYTES when left out. */
  limit?: number;
  /** Bytes after which a file of `many` records is cut off instead. */
  cutAt?: number;
}

/** A block this much smaller than the copy that holds it is not worth a smaller copy. */
const COPY_SLACK = 64;

/**
 * A kernel file that is opened once, at its first read, and read again from position 0 ever after: each `pread` at 0
 * makes the kernel write the text anew.
 *
 * After `read` the block is `buffer.bytes[0, length)`, until anything else is read into the same buffer.
 *
 * A file that was found `gone` is closed and stays gone: opening the path again could find another process under the
 * same pid. `reopen` does so on purpose: after `release`, or for `smaps_rollup` and `smaps`, which hold on to the
 * address space of when they were opened and answer "gone" after an exec, as they do for zombies and kernel threads.
 * So only `stat` tells of an exit.
 */
export class KeptFile {
  readonly path: string;
  readonly buffer: ReadBuffer;
  /** Bytes of the last good block. */
  length = 0;
  /** Of the last read that was not good, else an empty string: `ESRCH`, `EACCES`, … or `TOO_LARGE`. */
  errorCode = '';
  private fd = -1;
  private ended = false;
  private last: Buffer | undefined;
  private lastLength = -1;
  private readonly many: boolean;
  private readonly compare: boolean;
  private readonly tally: ReadTally;
  private readonly limit: number;
  private readonly cutAt: number;

  constructor(options: KeptFileOptions) {
    this.path = options.path;
    this.buffer = options.buffer;
    this.many = options.records === 'many';
    this.compare = options.compare;
    this.tally = options.tally;
    this.limit = options.limit ?? MAX_BLOCK_BYTES;
    this.cutAt = options.cutAt ?? Number.POSITIVE_INFINITY;
  }

  get isOpen(): boolean {
    return this.fd >= 0;
  }

  /** Reads the whole block; never throws. A `denied` or `failed` file is tried anew at the next read. */
  read(): ReadOutcome {
    if (this.ended) return 'gone';
    try {
      if (this.fd < 0) this.open();
      const length = this.many ? this.readMany() : this.readOne();
      if (length < 0) return this.fail('TOO_LARGE');
      this.length = length;
      this.tally.bytes += length;
    } catch (error) {
      return this.fail((error as NodeJS.ErrnoException).code ?? 'UNKNOWN');
    }
    return this.compare ? this.compareWithLast() : 'changed';
  }

  /** Closes the file and forgets that it was gone; the next read opens it again. The last block is kept. */
  reopen(): void {
    this.release();
    this.ended = false;
  }

  /** Gives the file descriptor back; the next read opens the path again, which may be another process's by then. */
  release(): void {
    if (this.fd < 0) return;
    const fd = this.fd;
    this.fd = -1;
    try {
      closeSync(fd);
    } catch {
      // The descriptor is given back whatever close answers.
    }
  }

  /** Closes for good: every later read is `gone`. */
  close(): void {
    this.release();
    this.ended = true;
    this.last = undefined;
    this.lastLength = -1;
  }

  /** Makes the next good read `changed` whatever it finds, as a keyframe wants. */
  forget(): void {
    this.lastLength = -1;
  }

  private open(): void {
    this.tally.opens++;
    this.fd = openSync(this.path, 'r');
  }

  /** The block's length, or −1 when it passes the limit. */
  private readOne(): number {
    for (;;) {
      const { bytes } = this.buffer;
      const length = readSync(this.fd, bytes, 0, bytes.length, 0);
      this.tally.reads++;
      if (length < bytes.length) return length > this.limit ? -1 : length;
      // A full buffer may have cut the text: read it again from the start, so that it is of one moment.
      if (!this.grow()) return -1;
    }
  }

  private readMany(): number {
    let length = 0;
    for (;;) {
      if (length === this.buffer.bytes.length && length < this.cutAt && !this.grow(length)) return -1;
      const { bytes } = this.buffer;
      const room = Math.min(bytes.length, this.cutAt) - length;
      if (room === 0) return length;
      const got = readSync(this.fd, bytes, length, room, length);
      this.tally.reads++;
      if (got === 0) return length;
      length += got;
      if (length > this.limit) return -1;
    }
  }

  private grow(keep = 0): boolean {
    const old = this.buffer.bytes;
    if (old.length >= this.limit) return false;
    const bytes = Buffer.allocUnsafeSlow(Math.min(old.length * 2, MAX_BLOCK_BYTES));
    if (keep > 0) old.copy(bytes, 0, 0, keep);
    this.buffer.bytes = bytes;
    return true;
  }

  private compareWithLast(): ReadOutcome {
    const { bytes } = this.buffer;
    const { length, last } = this;
    if (last !== undefined && length === this.lastLength && last.compare(bytes, 0, length, 0, length) === 0) {
      return 'same';
    }
    let copy = last;
    if (copy === undefined || copy.length < length) {
      copy = Buffer.allocUnsafeSlow(length + COPY_SLACK);
      this.last = copy;
    }
    bytes.copy(copy, 0, 0, length);
    this.lastLength = length;
    return 'changed';
  }

  private fail(code: string): ReadOutcome {
    this.errorCode = code;
    if (code === 'ENOENT' || code === 'ESRCH') {
      this.close();
      return 'gone';
    }
    this.release();
    return code === 'EACCES' || code === 'EPERM' ? 'denied' : 'failed';
  }
}
