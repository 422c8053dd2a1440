import { EventLogError } from '../errors.js';
import type { BackoffOptions } from '../timing.js';

export interface KafkaTls {
  /** PEM of the authorities that are trusted; those of the system when left out. */
  ca?: string;
  /** PEM of this client's certificate and key, for brokers that ask for one. */
  cert?: string;
  key?: string;
  /** Name that the certificate of the brokers must have; that of the address when left out. */
  serverName?: string;
}

export interface KafkaSasl {
  mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512';
  username: string;
  password: string;
}

export interface KafkaEventLogOptions {
  /** `host:port` of some brokers; the others are learnt from them. */
  brokers: readonly string[];
  /** Names this process in the brokers' logs. Default `tidemark`. */
  clientId?: string;
  /** Stands before the name of every topic and group, so that several systems can share a cluster. Default none. */
  prefix?: string;
  /** No TLS when left out. */
  tls?: KafkaTls;
  sasl?: KafkaSasl;
  /** Copies of each partition in topics that are made; the brokers' default when left out. */
  replicationFactor?: number;
  /** Key and value of one record, bytes at most. Default 8 MiB. */
  maxRecordBytes?: number;
  /** How long `append` tries until it rejects with EVENT_LOG_UNAVAILABLE. Default 10,000. */
  appendTimeoutMs?: number;
  /** How long the first connection is tried. Default 30,000. */
  connectTimeoutMs?: number;
  /** Default 1,000. */
  commitIntervalMs?: number;
  /** A member that is silent for this long loses its partitions. Default 10,000. */
  sessionTimeoutMs?: number;
  /** How long a member may take to give a partition back before it loses it. Default 10,000. */
  rebalanceTimeoutMs?: number;
  /** How often a member tells the group that it lives. Default a fifth of `sessionTimeoutMs`, at most 1,000. */
  heartbeatMs?: number;
  /** How long a broker waits for records before it answers that there are none. Default 250. */
  fetchWaitMs?: number;
  /**
   * How long a broker that had few records is left alone before it is asked for more. Default 50: many hosts that send a
   * little each then cost about as much as few that send much.
   */
  fetchPauseMs?: number;
  /** Delays between the tries of a failing handler. Default 100 ms doubling up to 10,000 ms. */
  retry?: BackoffOptions;
  /** Told of what went wrong and was dealt with, one line each. */
  onWarning?: (line: string) => void;
}

/** What is not meant for users: how often a member shows that it lives, and how long a broker waits for records. */
const FIXED = { requestTimeoutMs: 10_000 };
/** How long one broker is waited for, so that another one has its turn. */
const ATTEMPT_MS = 5_000;

export type ResolvedKafkaOptions = Required<Omit<KafkaEventLogOptions, 'tls' | 'sasl' | 'replicationFactor'>> &
  Pick<KafkaEventLogOptions, 'tls' | 'sasl' | 'replicationFactor'> &
  typeof FIXED & { attemptTimeoutMs: number };

/** Fills in the defaults; throws EVENT_LOG_INVALID naming the option that is out of range. */
export function resolveKafkaOptions(given: KafkaEventLogOptions): ResolvedKafkaOptions {
  const sessionTimeoutMs = given.sessionTimeoutMs ?? 10_000;
  const resolved: ResolvedKafkaOptions = {
    clientId: 'tidemark',
    prefix: '',
    maxRecordBytes: 8 * 1024 * 1024,
    appendTimeoutMs: 10_000,
    connectTimeoutMs: 30_000,
    commitIntervalMs: 1_000,
    heartbeatMs: Math.min(1_000, Math.ceil(sessionTimeoutMs / 5)),
    fetchWaitMs: 250,
    fetchPauseMs: 50,
    rebalanceTimeoutMs: 10_000,
    retry: { initialMs: 100, maxMs: 10_000 },
    onWarning: () => {},
    ...given,
    sessionTimeoutMs,
    attemptTimeoutMs: Math.min(ATTEMPT_MS, Math.ceil((given.connectTimeoutMs ?? 30_000) / 3)),
    ...FIXED,
  };
  if (resolved.brokers.length === 0) throw invalid('brokers is empty: name at least one host:port');
  for (const name of NUMBERS) {
    const value = resolved[name];
    if (!Number.isSafeInteger(value) || value < 1) throw invalid(`${name} is ${value}: must be a whole number above 0`);
  }
  return resolved;
}

const NUMBERS = [
  'maxRecordBytes',
  'appendTimeoutMs',
  'connectTimeoutMs',
  'commitIntervalMs',
  'heartbeatMs',
  'fetchWaitMs',
  'fetchPauseMs',
  'sessionTimeoutMs',
  'rebalanceTimeoutMs',
] as const;

function invalid(why: string): EventLogError {
  return new EventLogError('EVENT_LOG_INVALID', `options of the Kafka event log: ${why}`, false);
}
