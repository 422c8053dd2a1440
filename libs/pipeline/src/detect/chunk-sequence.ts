import type { SampleChunk } from '@tidemark/contracts';

export interface Arrival {
  /** Chunks of this run were missed, or came twice; nothing is known of what they said. */
  gap: boolean;
  /** True for a chunk that was seen before: it must change nothing. */
  repeated: boolean;
}

/** Follows the numbers of one node's chunks. */
export interface ChunkSequence {
  arrive(chunk: SampleChunk): Arrival;
}

export function createChunkSequence(): ChunkSequence {
  let run: string | undefined;
  let last = -1;
  return {
    arrive(chunk) {
      const first = chunk.run !== run;
      const repeated = !first && chunk.seq <= last;
      const gap = first ? chunk.seq !== 0 : chunk.seq > last + 1;
      if (!repeated) {
        run = chunk.run;
        last = chunk.seq;
      }
      return { gap, repeated };
    },
  };
}
