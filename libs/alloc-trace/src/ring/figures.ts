import { BIRTH_BINS, type SiteFigures, type TraceTotals } from '@tidemark/contracts';
import type { LaneTotals } from './lanes.js';
import type { LiveSite } from './live-tally.js';
import { SUM, SUM_WIDTH, type SiteSums } from './site-sums.js';

const NO_BIRTHS: readonly number[] = new Array<number>(BIRTH_BINS).fill(0);

export interface FigureInputs {
  sums: SiteSums;
  /** Of the last scan. */
  live: ReadonlyMap<number, LiveSite>;
  firstAt: (site: number) => number;
}

/** Figures of every site that ever allocated, by number. */
export function figuresOf({ sums, live, firstAt }: FigureInputs): SiteFigures[] {
  const figures: SiteFigures[] = [];
  for (let site = 1; site < sums.sites; site++) {
    const row = site * SUM_WIDTH;
    const at = (field: number): number => sums.rows[row + field]!;
    if (at(SUM.allocations) === 0 && at(SUM.samples) === 0) continue;
    const found = live.get(site);
    // Lanes are read one after the other: a block that moved from one to the next meanwhile may be seen freed alone.
    const exactLive = Math.max(0, at(SUM.allocations) - at(SUM.frees));
    const sampledLive = Math.max(0, at(SUM.samples) - at(SUM.freedSamples));
    figures.push({
      site,
      allocations: at(SUM.allocations) + at(SUM.estimatedAllocations),
      frees: at(SUM.frees) + at(SUM.estimatedFrees),
      allocatedBytes: at(SUM.allocatedBytes) + at(SUM.estimatedBytes),
      freedBytes: at(SUM.freedBytes) + at(SUM.estimatedFreedBytes),
      liveCount: exactLive + estimateLeft(sampledLive, at(SUM.estimatedAllocations), at(SUM.estimatedFrees)),
      liveBytes:
        (exactLive === 0 ? 0 : Math.max(0, at(SUM.allocatedBytes) - at(SUM.freedBytes))) +
        estimateLeft(sampledLive, at(SUM.estimatedBytes), at(SUM.estimatedFreedBytes)),
      oldFrees: at(SUM.oldFrees),
      liveSamples: exactLive + sampledLive,
      liveVariance: sampledLive === 0 ? 0 : (found?.varianceBytes ?? 0),
      firstAt: firstAt(site),
      births: found?.births ?? NO_BIRTHS,
    });
  }
  return figures;
}

/** Sums of doubles do not come back to 0 by themselves: when no sample is alive nothing is. */
function estimateLeft(samples: number, made: number, freed: number): number {
  return samples === 0 ? 0 : Math.max(0, made - freed);
}

export interface TotalInputs extends FigureInputs {
  figures: readonly SiteFigures[];
  lanes: LaneTotals;
  sampled: boolean;
}

export function totalsOf({ figures, lanes, sums, live, sampled }: TotalInputs): TraceTotals {
  const issued = lanes.allocations + lanes.frees + lanes.passedAllocations + lanes.passedFrees;
  const cancelled = lanes.cancelled + lanes.passedAllocations + lanes.passedFrees;
  const sum = (of: (figures: SiteFigures) => number): number => figures.reduce((total, one) => total + of(one), 0);
  return {
    // In exact mode the lanes count every call, those of no known block as well.
    allocations: sampled ? sum((one) => one.allocations) : lanes.allocations,
    frees: sampled ? sum((one) => one.frees) + lanes.unmatchedFrees : lanes.frees,
    allocatedBytes: sum((one) => one.allocatedBytes),
    freedBytes: sum((one) => one.freedBytes),
    liveCount: sum((one) => one.liveCount),
    liveBytes: sum((one) => one.liveBytes),
    issued,
    recorded: issued - cancelled - lanes.dropped,
    cancelled,
    dropped: lanes.dropped,
    standardError: sampled ? errorsOf(sums, live) : null,
  };
}

function errorsOf(sums: SiteSums, live: ReadonlyMap<number, LiveSite>): TraceTotals['standardError'] {
  let varianceCount = 0;
  let varianceBytes = 0;
  for (let row = SUM_WIDTH; row < sums.sites * SUM_WIDTH; row += SUM_WIDTH) {
    varianceCount += sums.rows[row + SUM.varianceCount]!;
    varianceBytes += sums.rows[row + SUM.varianceBytes]!;
  }
  let liveCount = 0;
  let liveBytes = 0;
  for (const site of live.values()) {
    liveCount += site.varianceCount;
    liveBytes += site.varianceBytes;
  }
  return {
    allocations: Math.sqrt(Math.max(0, varianceCount)),
    allocatedBytes: Math.sqrt(Math.max(0, varianceBytes)),
    liveCount: Math.sqrt(liveCount),
    liveBytes: Math.sqrt(liveBytes),
  };
}

/** Sites with more allocations than frees. */
export function countLiveSites(sums: SiteSums): number {
  let sites = 0;
  for (let row = SUM_WIDTH; row < sums.sites * SUM_WIDTH; row += SUM_WIDTH) {
    const exact = sums.rows[row + SUM.allocations]! > sums.rows[row + SUM.frees]!;
    if (exact || sums.rows[row + SUM.samples]! > sums.rows[row + SUM.freedSamples]!) sites++;
  }
  return sites;
}
