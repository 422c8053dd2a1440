import { closeSync, constants, fstatSync, openSync, readSync, writeSync, type Stats } from 'node:fs';
import { TraceError } from '../errors.js';

/** An open ring file: read and written at offsets, never mapped. */
export interface RingFile {
  /** For messages. */
  readonly name: string;
  /** What it is, as of when it was opened. */
  readonly stats: Stats;
  /**
   * Reads into the buffer from its start; what the file does not have becomes zeros, as a hole would. Throws TRACE_IO, or
   * TRACE_GONE after `close`.
   */
  read(into: Uint8Array, length: number, offset: number): void;
  write(bytes: Uint8Array, offset: number): void;
  /** Safe to call again. */
  close(): void;
}

/**
 * Opens for reading and writing without following a link in the last part of the path, which a process that is being
 * looked at could have laid there. `magic` is for the links of `/proc/PID/map_files` and `/proc/PID/fd`, which the kernel
 * resolves to the very file. `name` is for messages. Throws the error of open(2).
 */
export function openRingFile(path: string, { magic = false, name = path } = {}): RingFile {
  const flags = constants.O_RDWR | constants.O_NONBLOCK | constants.O_NOCTTY | (magic ? 0 : constants.O_NOFOLLOW);
  const fd = openSync(path, flags);
  try {
    const stats = fstatSync(fd);
    if (!stats.isFile()) throw new TraceError('TRACE_FORMAT', `${name}: is no regular file, so no ring file`);
    return ringFileOf(name, fd, stats);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function ringFileOf(name: string, descriptor: number, stats: Stats): RingFile {
  let fd = descriptor;
  const guard = <T>(what: string, act: (fd: number) => T): T => {
    if (fd < 0) throw new TraceError('TRACE_GONE', `${name}: closed already`);
    try {
      return act(fd);
    } catch (error) {
      throw new TraceError('TRACE_IO', `${name}: cannot ${what}: ${(error as Error).message}`, { cause: error });
    }
  };
  return {
    name,
    stats,
    read: (into, length, offset) =>
      guard('read', (open) => {
        let done = 0;
        while (done < length) {
          const got = readSync(open, into, done, length - done, offset + done);
          if (got === 0) break;
          done += got;
        }
        into.fill(0, done, length);
      }),
    write: (bytes, offset) =>
      guard('write', (open) => {
        let done = 0;
        while (done < bytes.length) done += writeSync(open, bytes, done, bytes.length - done, offset + done);
      }),
    close: () => {
      const open = fd;
      fd = -1;
      if (open >= 0) closeSync(open);
    },
  };
}
