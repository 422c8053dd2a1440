export type HistoryErrorCode =
  /** Nobody answers, or the answer broke off. */
  | 'HISTORY_UNAVAILABLE'
  /** The server answers, but has no room or no time now: memory, parts, queries, time. */
  | 'HISTORY_BUSY'
  | 'HISTORY_DISK_FULL'
  /** Wrong user or password, a right is missing, or the server's certificate is not trusted. */
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
  { code: 'HISTORY_ACCESS', retriable: false, numbers: [164, 192, 193, 194, 195, 291, 497, 516] },
  // Unknown column, identifier, table, database, engine mismatch; different number or types of columns.
  { code: 'HISTORY_SCHEMA', retriable: false, numbers: [8, 10, 16, 36, 44, 47, 50, 53, 60, 81] },
  // The body broke off (32, 33); time, network inside the server, memory, parts, queries, one of the same name, threads,
  // quota (201), overload (745), shutdown; of replicas: read-only, quorum (285, 286, 289, 319), made by another at the same
  // time (253), Keeper (225, 999).
  {
    code: 'HISTORY_BUSY',
    retriable: true,
    numbers: [
      ...[32, 33, 74, 75, 76, 159, 160, 198, 201, 202, 209, 210, 216, 225, 236, 241, 242, 252, 253, 254, 279],
      ...[285, 286, 289, 319, 341, 394, 425, 439, 745, 999],
    ],
  },
];

/** OpenSSL was answered in plain text. */
const WRONG_PROTOCOL = /wrong version number|packet length too long|record layer failure/;

const DISK_FULL = /No space left on device|not enough (free )?space|ENOSPC/i;

/**
 * Why a certificate is not taken, by Node.js' codes; OpenSSL's own are in
 * https://docs.openssl.org/3.0/man1/openssl-verification-options/
 */
const DISTRUST: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'its certificate has expired',
  CERT_NOT_YET_VALID: 'its certificate is not yet valid: see to the clocks',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another host',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is of no authority that is trusted: see to history.caFile',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate is of no authority that is trusted: see to history.caFile',
  UNABLE_TO_GET_ISSUER_CERT: 'its certificate is of no authority that is trusted: see to history.caFile',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'its certificate is of no authority that is trusted: see to history.caFile',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate is of no authority that is trusted: see to history.caFile',
  CERT_SIGNATURE_FAILURE: 'its certificate is of no authority that is trusted: see to history.caFile',
  CERT_REVOKED: 'its certificate was revoked',
  CERT_UNTRUSTED: 'its certificate is not trusted',
  CERT_REJECTED: 'its certificate is not trusted',
};

/** What went wrong, told from the client's or the server's own error. */
export function toHistoryError(error: unknown, doing: string): HistoryError {
  if (error instanceof HistoryError) return error;
  const { message, number, name } = describe(error);
  const said = message.replace(/\s+/g, ' ').slice(0, 400);
  const distrust = DISTRUST[name];
  if (distrust !== undefined) {
    const text = `history is not trusted while ${doing}: ${distrust} (${said})`;
    return new HistoryError('HISTORY_ACCESS', text, false, { cause: error });
  }
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

function describe(error: unknown): { message: string; number: number | undefined; name: string } {
  if (!(error instanceof Error)) return { message: String(error), number: undefined, name: '' };
  const { code } = error as { code?: unknown };
  // The client's own error carries ClickHouse's number as digits; Node's carry names such as ECONNREFUSED.
  const number = typeof code === 'string' && /^\d+$/.test(code) ? Number(code) : undefined;
  const message = error.message || String(code);
  const hint = WRONG_PROTOCOL.test(message) ? ': it speaks no TLS there, see to history.url' : '';
  return { message: `${message}${hint}`, number, name: String(code) };
}
