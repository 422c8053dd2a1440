export type ContractErrorCode =
  'CONTRACT_NOT_JSON' | 'CONTRACT_TOO_LARGE' | 'CONTRACT_VERSION' | 'CONTRACT_ENCODING' | 'CONTRACT_SHAPE';

/** A record that does not keep its contract. Never retriable: the same bytes fail again. */
export class ContractError extends Error {
  override readonly name = 'ContractError';
  readonly retriable = false;

  constructor(
    readonly code: ContractErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
