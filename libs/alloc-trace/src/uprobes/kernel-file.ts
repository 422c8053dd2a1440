import { constants } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { TraceError, type TraceErrorCode } from '../errors.js';

const CODES: Record<string, TraceErrorCode> = {
  EACCES: 'TRACE_DENIED',
  EPERM: 'TRACE_DENIED',
  EROFS: 'TRACE_DENIED',
  ENOSPC: 'TRACE_SPACE',
  ENOMEM: 'TRACE_SPACE',
};

export function errnoOf(cause: unknown): string {
  return (cause as NodeJS.ErrnoException | null)?.code ?? 'unknown';
}

export function refusal(what: string, cause: unknown): TraceError {
  const code = errnoOf(cause);
  const why = cause instanceof Error ? cause.message : String(cause);
  return new TraceError(CODES[code] ?? 'TRACE_IO', `${what}: ${why}`, { cause });
}

/** Writes the text in one write, as files of the kernel want it. Throws TraceError. */
export async function writeKernel(path: string, text: string, append = false): Promise<void> {
  const flags = constants.O_WRONLY | (append ? constants.O_APPEND : 0);
  try {
    const handle = await open(path, flags);
    try {
      await handle.write(text);
    } finally {
      await handle.close();
    }
  } catch (cause) {
    throw refusal(`${path}: writing "${text.trim().slice(0, 200)}"`, cause);
  }
}

/** The whole text. Throws TraceError. */
export async function readKernel(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((cause) => {
    throw refusal(path, cause);
  });
}
