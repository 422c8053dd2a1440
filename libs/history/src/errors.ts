export type HistoryErrorCode =
  /** Nobody answers, or the answer broke off. */
  | 'HISTORY_UNAVAILABLE'
  /** The server answers, but has no room or no time now: memory, parts, queries, time. */
  | 'HISTORY_BUSY'
  | 'HISTORY_DISK_FULL'
  /** Wrong user or password, or a right is missing. */
  | 'HISTORY_ACCESS'
  /** A table or column is not what this build expects. */
  | 'HISTORY_SCHEMA'
  /** The data were made by another version of Tidemark. */
  | 'HISTORY_VERSION'
  /** The statement itself is refused. */
  | 'HISTORY_QUERY'
  /** The caller asked for something out of range. */
  | 'HISTORY_RANGE';

export class HistoryError extends Error {
  override readonly name = 'HistoryError';

  constructor(
    readonly code: HistoryErrorCode,
    message: string,
    /** True when the same call may succeed later. */
    readonly retriable: boolean,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** ClickHouse's error codes by what they mean to a caller; any other code is a refused statement. */
const KINDS: readonly { code: HistoryErrorCode; retriable: boolean; numbers: readonly number[] }[] = [
  { code: 'HISTORY_DISK_FULL', retriable: true, numbers: [243] },
  { code: 'HISTORY_ACCESS', retriable: false, numbers: [164, 192, 193, 194, 497, 516] },
  // Unknown column, identifier, table, database, engine mismatch; different number or types of columns.
  { code: 'HISTORY_SCHEMA', retriable: false, numbers: [8, 10, 16, 36, 44, 47, 50, 53, 60, 81] },
  // Time, network inside the server, memory, parts, queries, one of the same name, threads, shutdown, read-only replica,
  // Keeper.
  {
    code: 'HISTORY_BUSY',
    retriable: true,
    numbers: [
      76, 74, 75, 159, 160, 198, 202, 209, 210, 216, 236, 241, 242, 252, 254, 279, 285, 319, 394, 425, 439, 999,
    ],
  },
];

const DISK_FULL = /No space left on device|not enough (free )?space|ENOSPC/i;

/** What went wrong, told from the client's or the server's own error. */
export function toHistoryError(error: unknown, doing: string): HistoryError {
  if (error instanceof HistoryError) return error;
  const { message, number } = describe(error);
  const said = message.replace(/\s+/g, ' ').slice(0, 400);
  if (number === undefined) {
    return new HistoryError('HISTORY_UNAVAILABLE', `history does not answer while ${doing}: ${said}`, true, {
      cause: error,
    });
  }
  const kind = DISK_FULL.test(message) ? KINDS[0] : KINDS.find(({ numbers }) => numbers.includes(number));
  return new HistoryError(
    kind?.code ?? 'HISTORY_QUERY',
    `history refused while ${doing}: ${said}`,
    kind?.retriable ?? false,
    { cause: error },
  );
}

function describe(error: unknown): { message: string; number: number | undefined } {
  if (!(error instanceof Error)) return { message: String(error), number: undefined };
  const { code } = error as { code?: unknown };
  // The client's own error carries ClickHouse's number as digits; Node's carry names such as ECONNREFUSED.
  const number = typeof code === 'string' && /^\d+$/.test(code) ? Number(code) : undefined;
  return { message: error.message || String(code), number };
}
