export type TraceErrorCode =
  /** A ring file is not what the format says: wild offsets, counts or sizes, or of another version. */
  | 'TRACE_FORMAT'
  /** The process is gone, or is another one by now. */
  | 'TRACE_GONE'
  /** The process cannot be traced by any means; the message names the reason. */
  | 'TRACE_REFUSED'
  /** Exact tracing is asked of a process that runs without the library: only sampled windows are possible there. */
  | 'TRACE_EXACT_NEEDS_LIBRARY'
  /** The program that was to be started is not there, or cannot be run. */
  | 'TRACE_NOT_FOUND'
  /** Not allowed to look at the process or to write where the tracing is switched. */
  | 'TRACE_DENIED'
  /** A parameter is out of its range. */
  | 'TRACE_INVALID'
  /** Something that tracing needs is not installed or not built. */
  | 'TRACE_MISSING'
  /** No answer in time. */
  | 'TRACE_TIMEOUT'
  /** No room: memory file system full, or a bound of the kernel reached. */
  | 'TRACE_SPACE'
  /** The kernel answered a read or a write with an error that is none of the above. */
  | 'TRACE_IO';

/** What this library throws. The message names the thing, the value and what to do. */
export class TraceError extends Error {
  override readonly name = 'TraceError';

  constructor(
    readonly code: TraceErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
