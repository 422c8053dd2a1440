export type ElfErrorCode =
  /** The file cannot be opened or read, or is no regular file. */
  | 'ELF_UNREADABLE'
  /** It does not begin like an ELF file. */
  | 'ELF_FORMAT'
  /** An ELF file of a kind that is not read here: 32 bits, big endian, another machine, another compression. */
  | 'ELF_UNSUPPORTED'
  /** What it says of itself does not fit together or lies outside of it. */
  | 'ELF_DAMAGED'
  /** A part is larger than its bound. */
  | 'ELF_TOO_LARGE';

/** What reading an ELF file throws, and nothing else. */
export class ElfError extends Error {
  override readonly name = 'ElfError';

  constructor(
    readonly code: ElfErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
