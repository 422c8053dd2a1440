export type CollectErrorCode =
  /** A setting is out of its range. */
  | 'COLLECT_CONFIG'
  /** The configured /proc is missing or is not one of Linux. */
  | 'COLLECT_PROC';

/** Why a collector cannot start, in one line that names the thing, what was found and what to do. */
export class CollectError extends Error {
  override readonly name = 'CollectError';

  constructor(
    readonly code: CollectErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
