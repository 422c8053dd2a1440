export interface SimulatedHost {
  readonly name: string;
  /** Does not wait for it. */
  startCollector(): void;
  /** Resolves when the collector has ended. Default SIGKILL. */
  killCollector(signal?: NodeJS.Signals): Promise<void>;
  /** What its collectors printed so far. */
  output(): string;
  /** Pulls the plug of the network, and puts it in again. */
  cut(): void;
  mend(): void;
  /** Resident bytes of the program by pid, from the host's own /proc. */
  memory(): Map<number, number>;
}

export interface Harness {
  readonly hosts: readonly SimulatedHost[];
  /** Name of the network namespace that holds everything but the hosts. */
  readonly namespace: string;
  readonly brokers: string;
  /** Address of the API inside of the namespace. */
  readonly apiUrl: string;
  query<T>(query: string, variables?: Record<string, unknown>): Promise<T>;
  sql(sql: string): Promise<unknown[][]>;
  /** Runs a program of this directory in the core's namespace, and gives the JSON that it prints. */
  inCore<T>(file: string, ...args: string[]): Promise<T>;
  stop(): Promise<void>;
}

export function startHarness(options: {
  nodes: number;
  directory: string;
  /** Held by each program. Default 16. */
  megabytes?: number;
  /** Of each host. Default 2. */
  programs?: number;
  say?: (line: string) => void;
}): Promise<Harness>;
