import { MAX_PARTITIONS } from '@tidemark/contracts';

/** What the committed position says of the batches of a partition. */
export interface BatchMetadata {
  /** Number of the newest batch. */
  batch: number;
  /** Its last offset while it is under way: the position is then its first. Absent once it is done. */
  last?: number;
}

const VERSION = 1;

export function encodeMetadata({ batch, last }: BatchMetadata): string {
  return JSON.stringify(last === undefined ? { v: VERSION, batch } : { v: VERSION, batch, last });
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
  const { v, batch, last } = json as Record<string, unknown>;
  if (v !== VERSION || !Number.isSafeInteger(batch)) return undefined;
  if (last === undefined) return { batch: batch as number };
  return Number.isSafeInteger(last) ? { batch: batch as number, last: last as number } : undefined;
}

/** The number that rows carry: no two batches of one topic have the same. */
export function rowBatch(batch: number, partition: number): number {
  return batch * MAX_PARTITIONS + (partition % MAX_PARTITIONS);
}
