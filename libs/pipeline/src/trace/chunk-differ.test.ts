import type { TraceObservation } from '@tidemark/alloc-trace';
import type { SiteFigures, SiteStack, Survivor } from '@tidemark/contracts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createChunkDiffer, type ChunkLists } from './chunk-differ.js';
import { createFakeProcess } from './fake-source.oracle.js';

const stackOf = (site: number): SiteStack => ({ site, frames: [], truncated: false });

/** What a reader knows who takes one chunk after the other. */
function createReader() {
  const sites = new Map<number, SiteFigures>();
  const survivors = new Map<string, Survivor>();
  const stacks = new Set<number>();
  return {
    sites,
    survivors,
    stacks,
    take(lists: ChunkLists, keyframe: boolean): void {
      if (keyframe) for (const list of [sites, survivors, stacks]) list.clear();
      for (const one of lists.sites) sites.set(one.site, one);
      for (const one of lists.stacks) stacks.add(one.site);
      for (const { address, time } of lists.freed) survivors.delete(`${address}@${time}`);
      for (const one of lists.survivors) survivors.set(`${one.address}@${one.time}`, one);
    },
  };
}

const withoutBirths = (figures: Iterable<SiteFigures>): object[] =>
  [...figures].map((one) => ({ ...one, births: undefined })).toSorted((a, b) => a.site - b.site);

describe('a differ', () => {
  it('tells a reader all that one look after the other saw, whenever the reader began', async () => {
    const step = fc.record({
      site: fc.integer({ min: 2, max: 6 }),
      allocate: fc.nat(4),
      free: fc.nat(3),
      keyframe: fc.boolean(),
      wait: fc.nat(5_000),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 30 }), async (steps) => {
        let now = 1_770_000_000_000;
        const process = createFakeProcess(7, () => now);
        const differ = createChunkDiffer();
        const readers = [createReader()];
        for (const [index, one] of steps.entries()) {
          now += one.wait;
          process.allocate(one.site, one.allocate);
          for (let count = 0; count < one.free; count++) process.free(one.site);
          const look = await process.source.observe();
          const keyframe = one.keyframe || index === 0;
          const lists = differ.next(look, stackOf, keyframe);
          if (keyframe) readers.push(createReader());
          for (const reader of readers) {
            reader.take(lists, keyframe);
            expect(withoutBirths(reader.sites.values())).toEqual(withoutBirths(look.sites));
            expect(new Set(reader.survivors.values())).toEqual(new Set(look.survivors));
            expect(reader.stacks).toEqual(new Set(look.sites.map(({ site }) => site)));
          }
        }
      }),
      { numRuns: 50 },
    );
  });

  it('tells a site that stands still again only as its bins of births stretch', async () => {
    let now = 1_770_000_000_000;
    const process = createFakeProcess(7, () => now);
    const differ = createChunkDiffer();
    process.allocate(2, 3);
    const look = (): Promise<TraceObservation> => process.source.observe();
    now += 1_000;
    differ.next(await look(), stackOf, true);
    let told = 0;
    for (let second = 0; second < 1_000; second++) {
      now += 1_000;
      told += differ.next(await look(), stackOf, false).sites.length;
    }
    // Each time its life is at least a quarter longer: log(1,000) / log(1.25) times at the most.
    expect(told).toBeGreaterThan(10);
    expect(told).toBeLessThanOrEqual(31);
  });

  it('names a stack once it has one, and not again before the next keyframe', async () => {
    const process = createFakeProcess(7);
    process.allocate(2, 1);
    const differ = createChunkDiffer();
    const look = await process.source.observe();
    expect(differ.next(look, () => undefined, true).stacks).toEqual([]);
    expect(differ.next(look, stackOf, false).stacks).toEqual([stackOf(2)]);
    expect(differ.next(look, stackOf, false).stacks).toEqual([]);
    expect(differ.next(look, stackOf, true).stacks).toEqual([stackOf(2)]);
  });
});
