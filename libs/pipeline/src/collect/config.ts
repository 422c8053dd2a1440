import { hostname } from 'node:os';
import { isNodeId, type NodeId } from '@tidemark/contracts';
import { z } from 'zod';
import { CollectError } from './errors.js';

const whole = (min: number, max: number) => {
  const range = `must be a whole number from ${min} to ${max}`;
  return z.number(range).int(range).min(min, range).max(max, range);
};
/** Milliseconds between two readings of one source. */
const period = whole(100, 3_600_000);
const path = z.string('must be a path').min(1, 'must be a path');

/** Settings of the collector that a user may set, each with its default; times are milliseconds. */
export const collectSettings = z.object({
  /** Between two sweeps over all processes. */
  interval: period.default(1_000),
  memoryInterval: period.default(1_000),
  pressureInterval: period.default(1_000),
  /** The kernel works its averages out anew every 5 s. */
  loadInterval: period.default(5_000),
  uptimeInterval: period.default(5_000),
  /** `/proc/stat` and `/proc/vmstat`, which make up one section. */
  cpuInterval: period.default(5_000),
  networkInterval: period.default(5_000),
  diskInterval: period.default(5_000),
  /** Several files a control group. */
  cgroupInterval: period.default(5_000),
  /** Between two chunks that name everything. */
  keyframeInterval: whole(1_000, 3_600_000).default(60_000),
  /** How long a small round may wait for those after it, to go to the log in one request. */
  linger: whole(0, 60_000).default(0),
  procRoot: path.default('/proc'),
  sysRoot: path.default('/sys'),
  /** Where user names are looked up. */
  passwdFile: path.default('/etc/passwd'),
  /** Share of one core that reading smaps_rollup may take, percent; 0 turns it off. */
  smapsBudget: z.number().min(0, 'must be from 0 to 100').max(100, 'must be from 0 to 100').default(2),
  /** CPU time that one process's smaps_rollup may take, milliseconds. */
  smapsLimit: whole(1, 10_000).default(50),
  /** Descriptors that may be kept open; 0 means half of what the host allows. */
  maxOpenFiles: whole(0, 10_000_000).default(0),
  /** Further regular expressions whose matches are blanked in command lines. */
  redact: z.array(z.string().max(1_000), 'must be a list of regular expressions').max(100).default([]),
  /** Characters of a command line that are sent. */
  commandLineLength: whole(0, 65_536).default(4_096),
  /** Bytes of records kept in memory while the log is away. */
  spoolMemory: whole(65_536, 2 ** 32).default(8 * 1024 * 1024),
  /** Bytes of records kept on disk while the log is away, beyond memory. */
  spoolDisk: whole(0, 2 ** 42).default(512 * 1024 * 1024),
});

/** The same over Kafka, to which every request costs much: a small host's rounds of one second go by twos. */
export const kafkaCollectSettings = collectSettings.extend({ linger: whole(0, 60_000).default(1_000) });

export interface CollectConfig extends z.output<typeof collectSettings> {
  /** The name this host goes by. */
  node: NodeId;
  hostname: string;
  /** Directory of this collector alone for what the log could not take; null: memory only. */
  spoolDirectory: string | null;
  /** Of the product, for the node record. */
  version: string;
}

/** What a caller must say; every other setting has its default. */
export type CollectConfigInput = z.input<typeof collectSettings> &
  Pick<CollectConfig, 'node'> &
  Partial<Pick<CollectConfig, 'spoolDirectory' | 'version' | 'hostname'>>;

/** Throws CollectError COLLECT_CONFIG that names every setting that is wrong and its range. */
export function completeConfig(input: CollectConfigInput): CollectConfig {
  const { node, spoolDirectory = null, version = '0.1.0', hostname: host = hostname(), ...settings } = input;
  const result = collectSettings.strict().safeParse(settings);
  const problems = result.success
    ? []
    : result.error.issues.map((issue) => `${['collect', ...issue.path].join('.')}: ${issue.message}`);
  if (!isNodeId(node)) problems.push(`collect.node: ${JSON.stringify(node)} is not a node id`);
  if (problems.length > 0 || !result.success) throw new CollectError('COLLECT_CONFIG', problems.join('; '));
  return { ...result.data, node, spoolDirectory, version, hostname: host };
}
