/** 64 bits: a number while that is exact, else decimal digits; null is unknown. */
export type Bytes = number | string | null;

/** Bytes as a number, exact up to 2^53. */
export function toNumber(bytes: Bytes | undefined): number | null {
  if (bytes === null || bytes === undefined) return null;
  const number = Number(bytes);
  return Number.isFinite(number) ? number : null;
}

export const LEAK_STATES = [
  'LEARNING',
  'STABLE',
  'GROWING',
  'SUSPECTED',
  'CONFIRMED',
  'CLEARED',
  'SATURATING',
] as const;

export type LeakState = (typeof LEAK_STATES)[number];

export const MEMORY_METRICS = [
  'PSS',
  'RSS',
  'USS',
  'ANONYMOUS',
  'SWAP',
  'LEAK_SIGNAL',
  'VMS',
  'SHARED',
  'FILE',
  'SHMEM',
  'TEXT',
  'DATA',
  'LIB',
  'DIRTY',
] as const;

export type MemoryMetric = (typeof MEMORY_METRICS)[number];

export interface GrowthFields {
  bytesPerHour: number;
  low: number;
  high: number;
  window: number;
  source: 'DETECTOR' | 'RECENT';
  secondsToExhaustion: number | null;
}

export const GROWTH_FIELDS = 'growth { bytesPerHour low high window source secondsToExhaustion }';

export interface LeakFields {
  state: LeakState;
  since: string | null;
  confidence: number | null;
  imminent: boolean;
}

export interface ProcessMemory {
  rss: Bytes;
  vms: Bytes;
  shared: Bytes;
  text: Bytes;
  data: Bytes;
  lib: Bytes;
  dirty: Bytes;
  anonymous: Bytes;
  file: Bytes;
  shmem: Bytes;
  swap: Bytes;
  pss: Bytes;
  uss: Bytes;
}

/** One process as every list of the command shows it. */
export interface ProcessFields {
  key: string;
  pid: number;
  ppid: number | null;
  program: string;
  commandLine: string | null;
  service: string | null;
  user: string | null;
  state: string | null;
  threads: number | null;
  startedAt: string;
  stale: boolean;
  cpu: { percent: number | null };
  memory: ProcessMemory;
  growth: GrowthFields | null;
  leak: LeakFields;
}

/** Goes with {@link ProcessFields}. */
export const PROCESS_FIELDS = `
  key pid ppid program commandLine service user state threads startedAt stale
  cpu { percent }
  memory { rss vms shared text data lib dirty anonymous file shmem swap pss uss }
  ${GROWTH_FIELDS}
  leak { state since confidence imminent }
`;

export interface PageInfo {
  hasNextPage: boolean;
  endCursor: string | null;
}
