import { ProcfsError } from './errors.js';
import type { KeptFile } from './kept-file.js';

/** Parses a block; may throw ProcfsError. */
export type Parse<T> = (bytes: Uint8Array, length: number) => T;

/** What `parse` makes of the block; undefined, and `complain` told why, when the block is not what it should be. */
export function parseOr<T>(parse: () => T, complain: (reason: string) => void = () => {}): T | undefined {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof ProcfsError)) throw error;
    complain(error.message);
    return undefined;
  }
}

/**
 * Some kernel files that are read and parsed again and again: opened at their first read, parsed only when their bytes
 * have changed, with what went wrong last kept beside.
 */
export class ParsedFiles<Name extends string> {
  /** Name → why it could not be read when it was last tried, in a few words. */
  readonly problems = new Map<Name, string>();
  private readonly files = new Map<Name, KeptFile>();

  constructor(private readonly open: (name: Name) => KeptFile) {}

  /** Undefined: as at the last read, or not to be read. */
  read<T>(name: Name, parse: Parse<T>): T | undefined {
    const file = this.file(name);
    const outcome = file.read();
    if (outcome === 'same') return undefined;
    if (outcome !== 'changed') {
      this.problems.set(name, describe(outcome, file.errorCode));
      return undefined;
    }
    this.problems.delete(name);
    return parseOr(
      () => parse(file.buffer.bytes, file.length),
      (reason) => this.problems.set(name, reason),
    );
  }

  /** Makes the next read of every file parse it, changed or not. */
  forget(): void {
    for (const file of this.files.values()) file.forget();
  }

  close(): void {
    for (const file of this.files.values()) file.close();
    this.files.clear();
  }

  private file(name: Name): KeptFile {
    let file = this.files.get(name);
    if (!file) this.files.set(name, (file = this.open(name)));
    return file;
  }
}

function describe(outcome: string, code: string): string {
  if (outcome === 'gone') return 'this kernel has no such file';
  return outcome === 'denied' ? `not allowed to read it (${code})` : `cannot be read (${code})`;
}
