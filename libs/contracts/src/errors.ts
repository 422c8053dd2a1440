export type ContractErrorCode =
  'CONTRACT_NOT_JSON' | 'CONTRACT_TOO_LARGE' | 'CONTRACT_VERSION' | 'CONTRACT_ENCODING' | 'CONTRACT_SHAPE';

const MESSAGE_LENGTH = 500;

/** A record that does not keep its contract. Never retriable: the same bytes fail again. The message is one line. */
export class ContractError extends Error {
  override readonly name = 'ContractError';
  readonly retriable = false;

  constructor(
    readonly code: ContractErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(oneLine(message, MESSAGE_LENGTH), options);
  }
}

/** A value from a record in a few characters of one line, whatever it is. */
export function describeValue(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === 'object' && value !== null) return 'an object';
  return typeof value === 'string' ? JSON.stringify(value.slice(0, 60)) : String(value);
}

/** What a schema found first, as one line: names in the record are its sender's, and may be long or odd. */
export function shapeError(
  what: string,
  issue: { path: readonly PropertyKey[]; message: string } | undefined,
): ContractError {
  const path = issue?.path.map(String).join('.') ?? '';
  return new ContractError('CONTRACT_SHAPE', `${what}: ${oneLine(path, 200)} ${issue?.message ?? 'is wrong'}`);
}

function oneLine(text: string, length: number): string {
  const cut = text.length > length ? `${text.slice(0, length)}…` : text;
  return cut.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, '?');
}
