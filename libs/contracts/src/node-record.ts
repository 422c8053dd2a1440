import { z } from 'zod';
import { compress, ENCODING_HEADER, parseRecordJson } from './encoding.js';
import { shapeError } from './errors.js';
import { isBootId, isNodeId, type NodeId } from './ids.js';
import { MAX_TIME } from './time.js';
import type { EncodedRecord } from './sample-chunk.js';

const count = z.number().int().nonnegative();
const time = count.max(MAX_TIME);

const schema = z.object({
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

/** Registration and heartbeat of a node, record of `mem.nodes.v1`, keyed by node. Membership is what has been heard of. */
export type NodeRecord = z.infer<typeof schema>;

/** A collector says this often that it is there, milliseconds. */
export const HEARTBEAT_MS = 2_000;

/** A node not heard of for this long is INACTIVE, milliseconds. */
export const NODE_TIMEOUT_MS = 8_000;

export function encodeNodeRecord(record: NodeRecord): EncodedRecord {
  const { value, encoding } = compress(Buffer.from(JSON.stringify(record)));
  return { value, headers: { [ENCODING_HEADER]: encoding } };
}

export function decodeNodeRecord(value: Uint8Array, headers: Readonly<Record<string, string>> = {}): NodeRecord {
  const result = schema.safeParse(parseRecordJson(value, headers[ENCODING_HEADER]));
  if (result.success) return result.data;
  throw shapeError('node record', result.error.issues[0]);
}
