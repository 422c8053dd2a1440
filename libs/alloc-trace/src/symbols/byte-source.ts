import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { ElfError } from './elf-error.js';

/** Bytes that are read in parts. */
export interface ByteSource {
  /** What the bytes are of, for messages. */
  readonly name: string;
  readonly size: number;
  /** Exactly `length` bytes from `offset`. Throws ELF_DAMAGED when they are not all there, ELF_UNREADABLE when reading fails. */
  read(offset: number, length: number): Promise<Buffer>;
  close(): Promise<void>;
}

/** Throws ELF_DAMAGED unless `length` bytes from `offset` lie within the source: no larger buffer is ever made. */
export function requireWithin(source: ByteSource, offset: number, length: number): void {
  const whole = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0;
  if (whole && offset + length <= source.size) return;
  throw new ElfError(
    'ELF_DAMAGED',
    `${source.name}: wants ${length} bytes at offset ${offset}, but has only ${source.size}`,
  );
}

export function memorySource(bytes: Uint8Array, name = 'memory'): ByteSource {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const source: ByteSource = {
    name,
    size: buffer.length,
    read: async (offset, length) => {
      requireWithin(source, offset, length);
      return buffer.subarray(offset, offset + length);
    },
    close: async () => undefined,
  };
  return source;
}

/**
 * A regular file. Whatever else the path may name (a pipe, a device, a directory) is refused without waiting for it.
 * Throws ELF_UNREADABLE.
 */
export async function fileSource(path: string): Promise<ByteSource> {
  const failed = (what: string, cause: unknown): ElfError =>
    new ElfError('ELF_UNREADABLE', `${path}: ${what}: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY).catch((cause) => {
    throw failed('cannot be opened', cause);
  });
  try {
    const stat = await handle.stat();
    if (!stat.isFile()) throw new ElfError('ELF_UNREADABLE', `${path}: is no regular file`);
    const source: ByteSource = {
      name: path,
      size: stat.size,
      read: async (offset, length) => {
        requireWithin(source, offset, length);
        const buffer = Buffer.allocUnsafeSlow(length);
        let filled = 0;
        while (filled < length) {
          const part = await handle.read(buffer, filled, length - filled, offset + filled).catch((cause) => {
            throw failed('cannot be read', cause);
          });
          if (part.bytesRead === 0) throw new ElfError('ELF_DAMAGED', `${path}: became shorter while it was read`);
          filled += part.bytesRead;
        }
        return buffer;
      },
      close: () => handle.close().catch(() => undefined),
    };
    return source;
  } catch (cause) {
    await handle.close().catch(() => undefined);
    throw cause instanceof ElfError ? cause : failed('cannot be read', cause);
  }
}
