export type EmbeddedErrorCode =
  | 'DIRECTORY_IN_USE'
  | 'DIRECTORY_NOT_OURS'
  | 'DIRECTORY_OF_OTHER_VERSION'
  | 'DIRECTORY_UNUSABLE'
  | 'PORT_IN_USE'
  | 'START_FAILED'
  | 'KEEPS_CRASHING';

/** Why the embedded server does not run; the message names the thing, the value and what to do. */
export class EmbeddedError extends Error {
  override readonly name = 'EmbeddedError';
  constructor(
    readonly code: EmbeddedErrorCode,
    message: string,
  ) {
    super(message);
  }
}
