import { z } from 'zod';
import { isBootId, isNodeId, type NodeId } from './ids.js';
import { isCount, isFigure, isObject, isText } from './plain-checks.js';
import { MAX_TIME } from './time.js';

const count = z.number().int().nonnegative();
const time = count.max(MAX_TIME);

export const nodeSchema = z.object({
  v: z.literal(1),
  node: z.custom<NodeId>((value) => typeof value === 'string' && isNodeId(value), 'must be a node id'),
  boot: z.string().refine(isBootId, 'must be a boot id'),
  run: z.string().refine(isBootId, 'must be a run id'),
  /** Epoch milliseconds of the node's clock. */
  at: time,
  /** LEAVING is the last word of a collector that was asked to stop. */
  state: z.enum(['UP', 'LEAVING']),
  hostname: z.string().min(1).max(253),
  kernel: z.string().max(256),
  architecture: z.string().max(64),
  cpus: count,
  pageSize: count,
  /** Epoch milliseconds of boot. */
  bootedAt: time,
  /** Milliseconds between two rounds. */
  interval: count,
  processes: count,
  /** What this host cannot do, each in one line for a person. */
  limitations: z.array(z.string().max(1024)).max(64),
  collector: z.object({
    version: z.string().max(64),
    pid: count,
    startedAt: time,
    rounds: count,
    /** CPU time of the collector's rounds, milliseconds. */
    cpuMs: z.number().nonnegative(),
    rss: count,
    reads: count,
    opens: count,
    bytesRead: count,
    bytesSent: count,
    spooledBytes: count,
    droppedBytes: count,
    droppedChunks: count,
    /** How late the last round began, milliseconds. */
    latenessMs: z.number().nonnegative(),
    skippedRounds: count,
    clockJumps: count,
  }),
});

const COUNTS = ['cpus', 'pageSize', 'interval', 'processes'];
const TIMES = ['at', 'bootedAt'];
const COLLECTOR_COUNTS = [
  ...['pid', 'rounds', 'rss', 'reads', 'opens', 'bytesRead', 'bytesSent', 'spooledBytes', 'droppedBytes'],
  ...['droppedChunks', 'skippedRounds', 'clockJumps'],
];

const FIELDS = Object.keys(nodeSchema.shape).length;
const COLLECTOR_FIELDS = Object.keys(nodeSchema.shape.collector.shape).length;

/**
 * True only for what the schema takes too, and gives back as it is; false does not mean that it is wrong. A record with
 * further fields is left to the schema, which takes them off: heartbeats are kept for as long as their node is known.
 */
export function isPlainNodeRecord(json: unknown): json is z.infer<typeof nodeSchema> {
  if (!isObject(json)) return false;
  const { v, node, boot, run, state, limitations, collector } = json;
  return (
    v === 1 &&
    typeof node === 'string' &&
    isNodeId(node) &&
    typeof boot === 'string' &&
    isBootId(boot) &&
    typeof run === 'string' &&
    isBootId(run) &&
    (state === 'UP' || state === 'LEAVING') &&
    isText(json['hostname'], 253, 1) &&
    isText(json['kernel'], 256) &&
    isText(json['architecture'], 64) &&
    COUNTS.every((name) => isCount(json[name])) &&
    TIMES.every((name) => isCount(json[name], MAX_TIME)) &&
    Array.isArray(limitations) &&
    limitations.length <= 64 &&
    limitations.every((line) => isText(line, 1024)) &&
    Object.keys(json).length === FIELDS &&
    isObject(collector) &&
    Object.keys(collector).length === COLLECTOR_FIELDS &&
    isText(collector['version'], 64) &&
    isCount(collector['startedAt'], MAX_TIME) &&
    COLLECTOR_COUNTS.every((name) => isCount(collector[name])) &&
    isFigure(collector['cpuMs']) &&
    isFigure(collector['latenessMs'])
  );
}
