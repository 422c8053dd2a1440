/** What one partition got of a fetch; `batches` is what lies in the log, to be read by `readBatches`. */
export interface FetchedPartition {
  topic: string;
  partition: number;
  errorCode: number;
  /** The offset behind the last record that every replica in sync has. */
  highWatermark: number;
  logStart: number;
  batches: Buffer;
}

/** Reads the answer to a Fetch of version 10. Source: kafka.apache.org/protocol, "Fetch API". */
export function readFetchAnswer(payload: Buffer): { errorCode: number; partitions: FetchedPartition[] } {
  let at = 4;
  const int16 = (): number => payload.readInt16BE((at += 2) - 2);
  const int32 = (): number => payload.readInt32BE((at += 4) - 4);
  const int64 = (): number => Number(payload.readBigInt64BE((at += 8) - 8));
  const bytes = (length: number): Buffer => payload.subarray(at, (at += Math.max(0, length)));
  const errorCode = int16();
  at += 4;
  const partitions: FetchedPartition[] = [];
  for (let topics = int32(); topics > 0; topics--) {
    const topic = bytes(int16()).toString('utf8');
    for (let count = int32(); count > 0; count--) {
      const partition = int32();
      const code = int16();
      const highWatermark = int64();
      at += 8;
      const logStart = int64();
      // Aborted transactions, 16 bytes each; −1 is none.
      const aborted = int32();
      at += Math.max(0, aborted) * 16;
      partitions.push({ topic, partition, errorCode: code, highWatermark, logStart, batches: bytes(int32()) });
    }
  }
  return { errorCode, partitions };
}
