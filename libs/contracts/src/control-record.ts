import { z } from 'zod';
import { TRACE_MEANS, TRACE_STATES } from './allocation-trace.js';
import { compress, ENCODING_HEADER, parseRecordJson } from './encoding.js';
import { shapeError } from './errors.js';
import { isNodeId, parseProcessKey, type NodeId, type ProcessKey } from './ids.js';
import { MAX_TIME } from './time.js';
import type { EncodedRecord } from './sample-chunk.js';

const count = z.number().int().nonnegative();
const time = count.max(MAX_TIME);
const pid = count.max(0xffff_ffff);
const node = z.custom<NodeId>((value) => typeof value === 'string' && isNodeId(value), 'must be a node id');
/** Names one request; whoever asks makes it up. */
const id = z.string().min(1).max(200);
const mode = z.enum(['SAMPLED', 'EXACT']);
/** Mean bytes between samples: below a page nothing is won over exact tracing. */
const sampleInterval = count.min(4096).max(2 ** 40);

const requestSchema = z.object({
  v: z.literal(1),
  type: z.literal('trace-request'),
  id,
  node,
  pid,
  /** Start ticks of the process that is meant, so that whoever got its pid later is left alone; null: whoever has it. */
  start: count.nullable(),
  action: z.enum(['START', 'STOP']),
  mode,
  /** Null takes the tracer's own. */
  sampleInterval: sampleInterval.nullable(),
  /** Null takes the tracer's own; 1 takes the caller only. */
  maxFrames: count.min(1).max(64).nullable(),
  /** Epoch milliseconds of the node's clock, as far as the asker knows it. Not begun past `expiresAt`: then it is EXPIRED. */
  requestedAt: time,
  expiresAt: time,
});

const statusSchema = z.object({
  v: z.literal(1),
  type: z.literal('trace-status'),
  /** Of the request that this answers; a trace that ends by itself repeats the one that began it. */
  id,
  node,
  pid,
  /** The process that was found under the pid; null when there was none. */
  key: z
    .custom<ProcessKey>(
      (value) => typeof value === 'string' && parseProcessKey(value) !== undefined,
      'must be a process key',
    )
    .nullable(),
  state: z.enum(TRACE_STATES),
  means: z.enum(TRACE_MEANS).nullable(),
  mode,
  sampleInterval: sampleInterval.nullable(),
  maxFrames: count.min(1).max(64).nullable().default(null),
  /** One sentence for a person, and a code for programs, when it is not as asked for. */
  reason: z.string().max(2000).nullable(),
  code: z.string().max(100).nullable(),
  /** Epoch milliseconds of the node's clock. */
  at: time,
});

/** Asks the node of a process to trace it, or to stop: record of `mem.control.v1`, keyed by `controlKey`. */
export type TraceRequestRecord = z.infer<typeof requestSchema>;
/** The node's answer, and every later change: record of `mem.control.v1` under the same key, which it replaces. */
export type TraceStatusRecord = z.infer<typeof statusSchema>;
export type ControlRecord = TraceRequestRecord | TraceStatusRecord;

/** A request that no collector took up within this is answered EXPIRED, milliseconds. */
export const TRACE_REQUEST_MS = 60_000;

/** What there is to say of a request that expired, for a person. */
export function expiredReason({ node, requestedAt, expiresAt }: TraceRequestRecord): string {
  return `Node ${node} did not answer within ${Math.max(0, Math.round((expiresAt - requestedAt) / 1_000))} s.`;
}

const schema = z.discriminatedUnion('type', [requestSchema, statusSchema]);

/** A request and its answers share a key: they keep their order, and the newest is what compaction leaves. */
export function controlKey(node: NodeId, pid: number): string {
  return `${node}/${pid}`;
}

export function encodeControlRecord(record: ControlRecord): EncodedRecord {
  const { value, encoding } = compress(Buffer.from(JSON.stringify(record)));
  return { value, headers: { [ENCODING_HEADER]: encoding } };
}

/** Throws ContractError naming the field when it is no record of `mem.control.v1`. */
export function decodeControlRecord(value: Uint8Array, headers: Readonly<Record<string, string>> = {}): ControlRecord {
  const result = schema.safeParse(parseRecordJson(value, headers[ENCODING_HEADER]));
  if (result.success) return result.data;
  throw shapeError('control record', result.error.issues[0]);
}
