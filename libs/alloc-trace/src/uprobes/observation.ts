import { BIRTH_BINS, type SiteFigures, type Survivor, type TraceErrors, type TraceTotals } from '@tidemark/contracts';
import { addWindow, watchedAt, weightOf, type Block, type BlockLedger, type Site, type Sums } from './block-ledger.js';

export interface ObservationInput {
  ledger: BlockLedger;
  sites: readonly Site[];
  /** Nanoseconds of the trace clock. */
  now: number;
  /** Epoch milliseconds of a time of the trace clock. */
  epochOf(time: number): number;
  /** Share of the time in which allocations were watched, 0 to 1. */
  watchedShare: number;
  /** Events that the kernel had no room for. */
  lost: number;
  /** All live blocks are survivors: the process is gone. */
  ended: boolean;
  survivorsPerSite: number;
  maxSurvivors: number;
}

export interface Observed {
  totals: TraceTotals;
  sites: SiteFigures[];
  survivors: Survivor[];
  survivorsTotal: number;
}

interface Live {
  count: number;
  bytes: number;
  samples: number;
  countVariance: number;
  bytesVariance: number;
  births: number[];
  survivors: Block[];
}

/** Adds everything up. Linear in the blocks known alive, which are bounded. */
export function observeLedger(input: ObservationInput): Observed {
  const { ledger, sites, now } = input;
  const live = sites.map((): Live => ({
    count: 0,
    bytes: 0,
    samples: 0,
    countVariance: 0,
    bytesVariance: 0,
    births: Array<number>(BIRTH_BINS).fill(0),
    survivors: [],
  }));
  for (const block of ledger.blocks.values()) addBlock(live[block.site.id]!, block, input);
  const figures = sites.map((site) => figuresOf(site, live[site.id]!, input));
  const survivorsTotal = live.reduce((sum, { survivors }) => sum + survivors.length, 0);
  const named = live.flatMap(({ survivors }) => oldestAndLargest(survivors, input.survivorsPerSite));
  named.sort((a, b) => a.time - b.time);
  return {
    totals: totalsOf(figures, sites, live, input),
    sites: figures,
    survivors: named.slice(0, input.maxSurvivors).map((block) => ({
      time: input.epochOf(block.time),
      size: block.size,
      address: block.address,
      site: block.site.id,
    })),
    survivorsTotal,
  };

  function addBlock(one: Live, block: Block, { ended }: ObservationInput): void {
    const weight = weightOf(block.window, now);
    one.count += weight;
    one.bytes += weight * block.size;
    one.samples += 1;
    one.countVariance += weight * (weight - 1);
    one.bytesVariance += weight * (weight - 1) * block.size ** 2;
    // Bins of the time that was watched: in all of it, births would come in as many heaps as there were windows.
    const first = block.site.firstWatched ?? 0;
    const span = Math.max(1, ledger.watchedUntil(now) - first);
    const bin = Math.floor(((watchedAt(block.window, block.time) - first) / span) * BIRTH_BINS);
    one.births[Math.min(BIRTH_BINS - 1, Math.max(0, bin))]! += 1;
    if (ended || ledger.isSurvivor(block, now)) one.survivors.push(block);
  }
}

/** With what the open window has seen up to now. */
function sumsOf(site: Site, ledger: BlockLedger, now: number): Sums {
  const sums = { ...site.sums };
  if (ledger.window !== null) addWindow(sums, site.open, ledger.window, now);
  return sums;
}

function figuresOf(site: Site, live: Live, { ledger, now, epochOf }: ObservationInput): SiteFigures {
  const sums = sumsOf(site, ledger, now);
  return {
    site: site.id,
    allocations: sums.count,
    frees: Math.max(0, sums.count - live.count),
    allocatedBytes: sums.bytes,
    freedBytes: Math.max(0, sums.bytes - live.bytes),
    liveCount: live.count,
    liveBytes: live.bytes,
    oldFrees: site.oldFrees,
    liveSamples: live.samples,
    liveVariance: live.bytesVariance,
    firstAt: epochOf(site.firstAt),
    births: live.births,
  };
}

/** Half of the places for the oldest; the rest for the largest of the others. */
function oldestAndLargest(blocks: Block[], each: number): Block[] {
  if (blocks.length <= each * 2) return blocks;
  blocks.sort((a, b) => a.time - b.time);
  const rest = blocks.slice(each).sort((a, b) => b.size - a.size);
  return [...blocks.slice(0, each), ...rest.slice(0, each)];
}

function totalsOf(
  figures: readonly SiteFigures[],
  sites: readonly Site[],
  live: readonly Live[],
  input: ObservationInput,
): TraceTotals {
  const { ledger, lost } = input;
  const add = (of: (one: SiteFigures) => number): number => figures.reduce((sum, one) => sum + of(one), 0);
  const dropped = lost + ledger.counts.noRoom + ledger.counts.unknown;
  const issued = ledger.counts.calls + lost + ledger.counts.unknown;
  return {
    allocations: add((one) => one.allocations),
    frees: add((one) => one.frees),
    allocatedBytes: add((one) => one.allocatedBytes),
    freedBytes: add((one) => one.freedBytes),
    liveCount: add((one) => one.liveCount),
    liveBytes: add((one) => one.liveBytes),
    issued,
    recorded: issued - ledger.counts.cancelled - dropped,
    cancelled: ledger.counts.cancelled,
    dropped,
    standardError: errorsOf(sites, live, input),
  };
}

/**
 * One standard error each. Allocations: the larger of two variances, as if calls came independently of each other, and
 * between windows, which sees bursts; live blocks: the first alone.
 */
function errorsOf(sites: readonly Site[], live: readonly Live[], input: ObservationInput): TraceErrors {
  const { ledger, now, watchedShare } = input;
  const windows = ledger.gappedWindows;
  const between = (squares: number, sum: number): number =>
    windows < 2 ? 0 : (1 - watchedShare) * Math.max(0, (windows / (windows - 1)) * (squares - (sum * sum) / windows));
  let [count, bytes] = [0, 0];
  for (const site of sites) {
    const sums = sumsOf(site, ledger, now);
    count += Math.max(sums.countVariance, between(sums.countSquares, sums.countGapped));
    bytes += Math.max(sums.bytesVariance, between(sums.bytesSquares, sums.bytesGapped));
  }
  const sum = (of: (one: Live) => number): number => live.reduce((total, one) => total + of(one), 0);
  return {
    allocations: Math.sqrt(count),
    allocatedBytes: Math.sqrt(bytes),
    liveCount: Math.sqrt(sum((one) => one.countVariance)),
    liveBytes: Math.sqrt(sum((one) => one.bytesVariance)),
  };
}
