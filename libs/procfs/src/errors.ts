export type ProcfsErrorCode =
  /** A block is not what its kernel file looks like on any kernel known here. */
  | 'PROCFS_FORMAT'
  /** The injected root does not hold a proc file system (or a captured one). */
  | 'PROCFS_ROOT'
  /** A file is larger than its reader takes. */
  | 'PROCFS_TOO_LARGE'
  /** The kernel answered a read with an error that is neither "gone" nor "denied". */
  | 'PROCFS_READ';

/** What this library throws, and nothing else: a parser given any bytes either gives an answer or one of these. */
export class ProcfsError extends Error {
  override readonly name = 'ProcfsError';

  constructor(
    readonly code: ProcfsErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** Throws PROCFS_FORMAT that names the kernel file, what was wanted and the first bytes that were found instead. */
export function malformed(file: string, wanted: string, bytes: Uint8Array, from = 0, to = bytes.length): never {
  const end = Math.max(from, Math.min(to, from + 40));
  const found = Buffer.from(bytes.subarray(from, end)).toString('latin1');
  throw new ProcfsError('PROCFS_FORMAT', `${file}: wanted ${wanted}, found ${JSON.stringify(found)}`);
}
