import { open, rename, unlink, type FileHandle } from 'node:fs/promises';
import { EventLogError } from '../errors.js';

/** The file calls that a full or failing disk refuses; tests put their own in. */
export interface Disk {
  /** Writes some of the bytes at the position; gives how many. */
  write(file: FileHandle, bytes: Buffer, position: number): Promise<number>;
  create(path: string): Promise<FileHandle>;
}

/** Records can hold command lines: nobody else reads them. */
const PRIVATE = 0o600;

export const realDisk: Disk = {
  async write(file, bytes, position) {
    const { bytesWritten } = await file.write(bytes, 0, bytes.length, position);
    return bytesWritten;
  },
  create: (path) => open(path, 'w+', PRIVATE),
};

/** Writes all of the bytes; when it throws, an unknown part of them is in the file. */
export async function writeFully(disk: Disk, file: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    done += await disk.write(file, bytes.subarray(done), position + done);
  }
}

/** Reads until the buffer is full or the file ends; gives what was read. */
export async function readFully(file: FileHandle, buffer: Buffer, position: number): Promise<Buffer> {
  let done = 0;
  while (done < buffer.length) {
    const { bytesRead } = await file.read(buffer, done, buffer.length - done, position + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return buffer.subarray(0, done);
}

/** The file has its old content or the new one, never a part of it; on the disk itself when that is asked for. */
export async function replaceFile(path: string, text: string, durable = false): Promise<void> {
  const temporary = `${path}.tmp`;
  const file = await open(temporary, 'w', PRIVATE);
  try {
    await file.writeFile(text);
    if (durable) await file.datasync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
}

/** Makes names that came and went durable. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** Removes the file; one that is gone already is fine. */
export async function removeFile(path: string): Promise<void> {
  await unlink(path).catch((error: unknown) => {
    if (!isMissing(error)) throw error;
  });
}

export function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT';
}

/** What to tell of a file call that failed: retriable, for space and rights can come back. */
export function journalError(what: string, error: unknown): EventLogError {
  const { code, message } = error as NodeJS.ErrnoException;
  const advice =
    code === 'ENOSPC' || code === 'EDQUOT' ? 'free some space; it goes on by itself' : 'see that it is writable';
  return new EventLogError('EVENT_LOG_JOURNAL', `journal: ${what} failed (${code ?? message}): ${advice}`, true, {
    cause: error,
  });
}
