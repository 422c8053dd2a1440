import { MAX_PARTITIONS } from '@tidemark/contracts';

/** What the committed position says of the batches of a partition. */
export interface BatchMetadata {
  /** Number of the newest batch. */
  batch: number;
  /** Its last offset while it is under way: the position is then its first. Absent once it is done. */
  last?: number;
  /** Names the insert that it shares with batches of other partitions, while it is under way. */
  shared?: string;
}

const VERSION = 1;

export function encodeMetadata({ batch, last, shared }: BatchMetadata): string {
  return JSON.stringify({ v: VERSION, batch, last, shared });
}

/** Undefined when the text was not written by this stage. */
export function decodeMetadata(text: string): BatchMetadata | undefined {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof json !== 'object' || json === null) return undefined;
  const { v, batch, last, shared } = json as Record<string, unknown>;
  if (v !== VERSION || !Number.isSafeInteger(batch)) return undefined;
  if (last === undefined) return { batch: batch as number };
  if (!Number.isSafeInteger(last)) return undefined;
  return { batch: batch as number, last: last as number, ...(typeof shared === 'string' && { shared }) };
}

/** The number that rows carry: no two batches of one topic have the same. */
export function rowBatch(batch: number, partition: number): number {
  return batch * MAX_PARTITIONS + (partition % MAX_PARTITIONS);
}
