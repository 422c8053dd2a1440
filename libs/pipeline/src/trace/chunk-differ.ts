import type { TraceObservation } from '@tidemark/alloc-trace';
import { traceTime, type AllocationChunk, type SiteFigures, type SiteStack, type Survivor } from '@tidemark/contracts';

export type ChunkLists = Pick<AllocationChunk, 'sites' | 'stacks' | 'survivors' | 'freed'>;

/** What of one look after the other has to be told. */
export interface ChunkDiffer {
  /** What differs from the look before; in a keyframe, all there is. `stackOf` knows the stacks that have names by now. */
  next(look: TraceObservation, stackOf: (site: number) => SiteStack | undefined, keyframe: boolean): ChunkLists;
}

/** The bins of births stretch as time passes: a site that stands still is told again when they are this much wider. */
const STRETCH = 1.25;

interface Told {
  figures: SiteFigures;
  /** Length of its life, by which its bins of births were cut, milliseconds. */
  life: number;
}

export function createChunkDiffer(): ChunkDiffer {
  let sites = new Map<number, Told>();
  let stacks = new Set<number>();
  let survivors = new Map<string, Survivor>();

  function changedSites(look: TraceObservation): SiteFigures[] {
    return look.sites.filter((figures) => {
      const life = look.birthsUntil - figures.firstAt;
      const told = sites.get(figures.site);
      const isSame = told !== undefined && sameFigures(told.figures, figures) && life < told.life * STRETCH;
      if (!isSame) sites.set(figures.site, { figures, life });
      return !isSame;
    });
  }

  function newStacks(look: TraceObservation, stackOf: (site: number) => SiteStack | undefined): SiteStack[] {
    const found: SiteStack[] = [];
    for (const { site } of look.sites) {
      if (stacks.has(site)) continue;
      const stack = stackOf(site);
      if (!stack) continue;
      stacks.add(site);
      found.push(stack);
    }
    return found;
  }

  /** A keyframe names all that are there, and those that are no more since the look before like any other. */
  function changedSurvivors(look: TraceObservation, all: boolean): Pick<ChunkLists, 'survivors' | 'freed'> {
    const now = new Map<string, Survivor>();
    const came: Survivor[] = [];
    for (const survivor of look.survivors) {
      const rounded = { ...survivor, time: traceTime(survivor.time) };
      const name = `${rounded.address}@${rounded.time}`;
      now.set(name, rounded);
      if (all || !survivors.has(name)) came.push(rounded);
    }
    const freed = [...survivors].filter(([name]) => !now.has(name)).map(([, { address, time }]) => ({ address, time }));
    survivors = now;
    return { survivors: came, freed };
  }

  return {
    next(look, stackOf, keyframe) {
      if (keyframe) {
        sites = new Map();
        stacks = new Set();
      }
      const named = newStacks(look, stackOf);
      return { sites: changedSites(look), stacks: named, ...changedSurvivors(look, keyframe) };
    },
  };
}

/** But for the births, whose bins move with time, and the variance, which follows the rest. */
function sameFigures(a: SiteFigures, b: SiteFigures): boolean {
  return (
    a.allocations === b.allocations &&
    a.frees === b.frees &&
    a.allocatedBytes === b.allocatedBytes &&
    a.freedBytes === b.freedBytes &&
    a.liveCount === b.liveCount &&
    a.liveBytes === b.liveBytes &&
    a.oldFrees === b.oldFrees &&
    a.liveSamples === b.liveSamples
  );
}
