export interface KafkaBroker {
  readonly id: number;
  /** `host:port` without TLS. */
  readonly address: string;
  /** Undefined while it is down. */
  readonly pid: number | undefined;
  /** Resolves when it listens; at once when it runs. */
  start(): Promise<void>;
  kill(): Promise<void>;
  pause(): void;
  resume(): void;
  stop(): Promise<void>;
}

export interface KafkaCluster {
  readonly bootstrap: string[];
  readonly secureBootstrap: string[];
  readonly ca: string | undefined;
  readonly users: Readonly<Record<string, string>>;
  readonly brokers: readonly KafkaBroker[];
  stop(): Promise<void>;
}

export interface KafkaClusterOptions {
  directory: string;
  brokers?: 1 | 3;
  /** Of the first broker; the others follow. Free ones when left out. */
  port?: number;
  host?: string;
  /** Adds a listener that asks for TLS and a password (SASL PLAIN, SCRAM-SHA-256, SCRAM-SHA-512). */
  secure?: boolean;
  /** Addresses that clients are told instead of the brokers' own, by broker; not with `secure`. */
  advertise?: readonly string[];
  /** Heap of each broker, MiB. Default 384. */
  memoryMb?: number;
  /** Further lines of `server.properties`. */
  properties?: Record<string, string>;
  say?: (line: string) => void;
}

export function startKafka(options: KafkaClusterOptions): Promise<KafkaCluster>;
