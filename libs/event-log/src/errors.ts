export type EventLogErrorCode =
  | 'EVENT_LOG_CLOSED'
  | 'EVENT_LOG_INVALID'
  | 'EVENT_LOG_UNKNOWN_TOPIC'
  | 'EVENT_LOG_TOPIC_DIFFERS'
  | 'EVENT_LOG_RECORD_TOO_LARGE'
  | 'EVENT_LOG_FULL'
  | 'EVENT_LOG_UNAVAILABLE'
  /** The brokers refuse who asks, or are not whom they should be; not retriable. */
  | 'EVENT_LOG_ACCESS'
  | 'EVENT_LOG_REVOKED'
  | 'EVENT_LOG_JOURNAL';

export class EventLogError extends Error {
  override readonly name = 'EventLogError';

  constructor(
    readonly code: EventLogErrorCode,
    message: string,
    /** True when the same call may succeed later. */
    readonly retriable: boolean,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
