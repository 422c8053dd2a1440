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
  /** Delays between the tries of a failing handler. Default 100 ms doubling up to 10,000 ms. */
  retry?: BackoffOptions;
  /** Told of what went wrong and was dealt with, one line each. */
  onWarning?: (line: string) => void;
}
