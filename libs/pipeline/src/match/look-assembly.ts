import type { AllocationChunk } from '@tidemark/contracts';

/** One look at a process, put together from its parts. */
export interface Look {
  /** The head of all parts; its lists hold everything. */
  chunk: AllocationChunk;
  /** Offset of the record with its first part. */
  offset: number;
}

/**
 * Follows the numbers of one trace's chunks. Gives a look when its last part is there, and nothing that would not follow on
 * what was given before: after a gap it waits for the next keyframe.
 */
export interface LookAssembly {
  add(chunk: AllocationChunk, offset: number): Look | undefined;
}

export function createLookAssembly(): LookAssembly {
  let run: string | undefined;
  let trace: string | undefined;
  let last = -1;
  /** Nothing is known of what came before; only a keyframe helps. */
  let lost = true;
  let look: Look | undefined;

  function begins(chunk: AllocationChunk): boolean {
    return chunk.part === 0 && (chunk.keyframe || !lost);
  }

  return {
    add(chunk, offset) {
      const isOther = chunk.run !== run || chunk.trace !== trace;
      if (isOther || chunk.seq > last + 1) {
        lost = true;
        look = undefined;
      } else if (chunk.seq <= last) return undefined;
      if (isOther && !begins(chunk)) return undefined;
      [run, trace, last] = [chunk.run, chunk.trace, chunk.seq];
      if (chunk.part === 0) look = begins(chunk) ? { chunk: withOwnLists(chunk), offset } : undefined;
      else if (look) addLists(look.chunk, chunk);
      if (!look || chunk.part < chunk.parts - 1) return undefined;
      const whole = look;
      look = undefined;
      lost = false;
      return whole;
    },
  };
}

/** Decoded chunks are shared by all who read the record: what is added to is copied. */
function withOwnLists(chunk: AllocationChunk): AllocationChunk {
  if (chunk.parts === 1) return chunk;
  const { sites, stacks, survivors, freed } = chunk;
  return { ...chunk, sites: [...sites], stacks: [...stacks], survivors: [...survivors], freed: [...freed] };
}

function addLists(to: AllocationChunk, { sites, stacks, survivors, freed }: AllocationChunk): void {
  for (const one of sites) to.sites.push(one);
  for (const one of stacks) to.stacks.push(one);
  for (const one of survivors) to.survivors.push(one);
  for (const one of freed) to.freed.push(one);
}
