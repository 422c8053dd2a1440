/** Error codes of the Kafka protocol that are told apart here. Source: kafka.apache.org/protocol, "Error Codes". */
export const Code = {
  None: 0,
  OffsetOutOfRange: 1,
  UnknownTopic: 3,
  LeaderNotAvailable: 5,
  NotLeader: 6,
  RequestTimedOut: 7,
  MessageTooLarge: 10,
  OffsetMetadataTooLarge: 12,
  CoordinatorLoading: 14,
  CoordinatorNotAvailable: 15,
  NotCoordinator: 16,
  InvalidTopic: 17,
  RecordListTooLarge: 18,
  IllegalGeneration: 22,
  InconsistentProtocol: 23,
  InvalidSessionTimeout: 26,
  UnknownMember: 25,
  RebalanceInProgress: 27,
  TopicAuthorization: 29,
  GroupAuthorization: 30,
  ClusterAuthorization: 31,
  InvalidTimestamp: 32,
  SaslAuthentication: 58,
  TopicExists: 36,
  InvalidPartitions: 37,
  InvalidReplicationFactor: 38,
  InvalidConfig: 40,
  NotController: 41,
  InvalidRequest: 42,
  PolicyViolation: 44,
  OutOfOrderSequence: 45,
  DuplicateSequence: 46,
  InvalidProducerEpoch: 47,
  UnknownProducerId: 59,
  MemberIdRequired: 79,
  GroupMaxSize: 81,
  InvalidRecord: 87,
} as const;

const NAMES = new Map<number, string>(Object.entries(Code).map(([name, code]) => [code, name]));

/** A broker's answer that is an error; `partition` when it is of one only. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';

  constructor(
    readonly protocolCode: number,
    readonly api: string,
    detail?: string | null,
  ) {
    super(`${api}: ${NAMES.get(protocolCode) ?? 'error'} (${protocolCode})${detail ? `: ${detail}` : ''}`);
  }
}

/** Throws ProtocolError for any code but None. */
export function check(code: number, api: string, detail?: string | null): void {
  if (code !== Code.None) throw new ProtocolError(code, api, detail);
}

export function protocolCode(error: unknown): number | undefined {
  return error instanceof ProtocolError ? error.protocolCode : undefined;
}

const ACCESS: readonly number[] = [
  Code.TopicAuthorization,
  Code.GroupAuthorization,
  Code.ClusterAuthorization,
  Code.SaslAuthentication,
];

/** The brokers know who asks and refuse it: asking again does not help. */
export function isRefused(code: number | undefined): boolean {
  return code !== undefined && ACCESS.includes(code);
}
