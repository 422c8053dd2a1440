import { cutAllocationChunk, processKey, type AllocationChunk, type NodeId, type SiteStack } from '@tidemark/contracts';
import { createChunkDiffer } from './chunk-differ.js';
import { createFakeProcess, fakeSymbolize } from './fake-source.oracle.js';

const NODE = 'web-1' as NodeId;
const T0 = 1_770_000_000_000;

export const PROGRAM = { node: NODE, boot: 'boot-1', key: processKey(NODE, 'boot-1', 7, 4000), from: T0 };
export const SITES = { LEAK: 2, CHURN: 3, CACHE: 4 };

export interface Recording {
  /** The chunks of each second, by their parts. */
  looks: AllocationChunk[][];
  stacks: Map<number, SiteStack>;
}

/** A program that leaks a block every second (or every so many) at one site, churns at another and fills a cache at a third; then `after`. */
export async function recordProgram(
  seconds: number,
  over: Partial<AllocationChunk> = {},
  after: (second: number, free: (site: number) => void) => void = () => {},
  from = T0,
  every = 1,
): Promise<Recording> {
  const { LEAK, CHURN, CACHE } = SITES;
  let now = from;
  const process = createFakeProcess(7, () => now);
  const differ = createChunkDiffer();
  const stacks = new Map<number, SiteStack>();
  const looks: AllocationChunk[][] = [];
  let seq = 0;
  for (let second = 0; second < seconds; second++) {
    now = from + second * 1_000;
    if (second % every === 0) process.allocate(LEAK, 1, 4_096);
    process.allocate(CHURN, 3, 1_000);
    for (let count = 0; count < 3; count++) process.free(CHURN);
    if (second < 5) process.allocate(CACHE, 10, 100_000);
    after(second, (site) => process.free(site));
    for (const site of second === 0 ? [LEAK, CHURN, CACHE] : []) {
      const frames = (await fakeSymbolize(process.source.stackOf(site)!.frames)).flat();
      stacks.set(site, { site, frames, truncated: false });
    }
    const look = await process.source.observe();
    const keyframe = second % 60 === 0;
    const lists = differ.next(look, (site) => stacks.get(site), keyframe);
    const chunk: AllocationChunk = {
      ...{ v: 1, node: NODE, boot: PROGRAM.boot, pid: 7, start: 4000, key: PROGRAM.key, program: 'server' },
      ...{ commandLine: 'server -x', run: 'run-1', seq, part: 0, parts: 1, keyframe, trace: 'trace-1', at: now },
      ...{ state: 'ACTIVE', means: 'LIBRARY', mode: 'EXACT', sampleInterval: null, startedAt: from },
      ...{ totals: look.totals, birthsUntil: now, anonymousBytes: 1e6, survivorsTotal: look.survivorsTotal },
      ...{ warnings: [], ...lists, ...over },
    };
    const parts = cutAllocationChunk(chunk);
    seq += parts.length;
    looks.push(parts);
  }
  return { looks, stacks };
}
