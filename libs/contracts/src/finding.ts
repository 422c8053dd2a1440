import { z } from 'zod';
import { compress, ENCODING_HEADER, parseRecordJson } from './encoding.js';
import { shapeError } from './errors.js';
import { isNodeId, type NodeId, type ProcessKey } from './ids.js';
import { MAX_TIME } from './time.js';
import type { EncodedRecord } from './sample-chunk.js';

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

const count = z.number().int().nonnegative();
const time = count.max(MAX_TIME);
const finite = z.number();
const text = z.string().max(4096);
/** More numbers than this explain nothing to anybody. */
const MAX_EVIDENCE = 200;

const findingSchema = z.object({
  v: z.literal(1),
  type: z.literal('finding'),
  /** One id for one growth of one subject; every change of its state is a further record with the same id. */
  id: z.string().min(1).max(600),
  kind: z.enum(['PROCESS_LEAK', 'SERVICE_LEAK', 'EXHAUSTION', 'SITE_LEAK']),
  /** Process key, service name, or `siteSubject`. */
  subject: z.string().min(1).max(4096),
  node: z.custom<NodeId>((value) => typeof value === 'string' && isNodeId(value), 'must be a node id'),
  process: z
    .object({
      key: z
        .string()
        .max(600)
        .transform((key) => key as ProcessKey),
      pid: count.max(0xffff_ffff),
      program: text,
      commandLine: z.string().max(65_536).nullable(),
      user: text.nullable(),
    })
    .nullable(),
  service: text,
  /** The allocation site of a SITE_LEAK: `siteId`, and what a person reads of its innermost frames. */
  site: z
    .object({ id: z.string().min(1).max(64), frames: z.array(text).max(10) })
    .nullable()
    .optional(),
  state: z.enum(LEAK_STATES),
  previous: z.enum(LEAK_STATES),
  imminent: z.boolean(),
  /** 0 to 1. */
  confidence: z.number().min(0).max(1),
  /** When the id began, and when this state was entered; data time, epoch milliseconds. */
  openedAt: time,
  at: time,
  /** rssAnon + swap now, or the live bytes of the site; bytes. */
  bytes: count,
  /** What it would exhaust, bytes; null when nothing bounds it. */
  limit: count.nullable(),
  /** Theil–Sen slope with its 95 % interval, bytes per hour, over `window` seconds. */
  growth: z.object({ bytesPerHour: finite, low: finite, high: finite, window: count }).nullable(),
  /** Pessimistic: from the interval's upper end. */
  secondsToExhaustion: z.number().nonnegative().nullable(),
  /** One sentence for a person. */
  message: z.string().max(2000),
  /** The numbers that the verdict was made of, by name. */
  evidence: z
    .record(z.string().max(100), z.number().nullable())
    .refine((evidence) => Object.keys(evidence).length <= MAX_EVIDENCE, `must have at most ${MAX_EVIDENCE} numbers`),
});

const acknowledgementSchema = z.object({
  v: z.literal(1),
  type: z.literal('acknowledgement'),
  id: z.string().min(1).max(600),
  /** Subject of the finding. */
  subject: z.string().min(1).max(4096),
  at: time,
  note: z.string().max(4000).nullable(),
});

/** A verdict on a process, service or node, with its evidence: record of `mem.findings.v1`. */
export type Finding = z.infer<typeof findingSchema>;
/** What a person said of a finding: record of `mem.findings.v1`. */
export type Acknowledgement = z.infer<typeof acknowledgementSchema>;
export type FindingRecord = Finding | Acknowledgement;

/**
 * Key of a record of `mem.findings.v1`, of which compaction leaves the newest: of a finding its subject, since a subject
 * has at most one growth that is not over; of an acknowledgement the id of its finding, so that neither takes the other's
 * place. Subjects begin with a node's name, which has no colon.
 */
export function findingKey(record: FindingRecord): string {
  return record.type === 'finding' ? record.subject : `ack:${record.id}`;
}

const schema = z.discriminatedUnion('type', [findingSchema, acknowledgementSchema]);

export function encodeFindingRecord(record: FindingRecord): EncodedRecord {
  const { value, encoding } = compress(Buffer.from(JSON.stringify(record)));
  return { value, headers: { [ENCODING_HEADER]: encoding } };
}

export function decodeFindingRecord(value: Uint8Array, headers: Readonly<Record<string, string>> = {}): FindingRecord {
  return checkFindingRecord(parseRecordJson(value, headers[ENCODING_HEADER]));
}

/** Narrows parsed JSON to a finding or an acknowledgement, or throws ContractError naming the field. */
export function checkFindingRecord(json: unknown): FindingRecord {
  const result = schema.safeParse(json);
  if (result.success) return result.data;
  throw shapeError('finding', result.error.issues[0]);
}
