import type { z } from 'zod';
import { compress, ENCODING_HEADER, parseRecordJson } from './encoding.js';
import { shapeError } from './errors.js';
import { isPlainNodeRecord, nodeSchema } from './node-record-check.js';
import type { EncodedRecord } from './sample-chunk.js';

/** Registration and heartbeat of a node, record of `mem.nodes.v1`, keyed by node. Membership is what has been heard of. */
export type NodeRecord = z.infer<typeof nodeSchema>;

/** A collector says this often that it is there, milliseconds. */
export const HEARTBEAT_MS = 2_000;

/** A node not heard of for this long is INACTIVE, milliseconds. */
export const NODE_TIMEOUT_MS = 8_000;

export function encodeNodeRecord(record: NodeRecord): EncodedRecord {
  const { value, encoding } = compress(Buffer.from(JSON.stringify(record)));
  return { value, headers: { [ENCODING_HEADER]: encoding } };
}

export function decodeNodeRecord(value: Uint8Array, headers: Readonly<Record<string, string>> = {}): NodeRecord {
  const json = parseRecordJson(value, headers[ENCODING_HEADER]);
  // The schema says what is right; a cluster's heartbeats are many, and asking it of each would take longer than all the rest.
  if (isPlainNodeRecord(json)) return json;
  const result = nodeSchema.safeParse(json);
  if (result.success) return result.data;
  throw shapeError('node record', result.error.issues[0]);
}
