import { BIRTH_BINS, type Survivor } from '@tidemark/contracts';
import { createRanking, type Ranking } from './ranked-blocks.js';

/** What a scan of the live blocks found of one site. */
export interface LiveSite {
  /** Blocks, each for itself. */
  blocks: number;
  /** Variances of the estimates that the blocks stand for; 0 for exact ones. */
  varianceCount: number;
  varianceBytes: number;
  births: number[];
  survivors: number;
}

export interface TallyOptions {
  /** End of the bins of births, and what ages are counted from; epoch milliseconds. */
  until: number;
  /** A block older than this is a survivor, milliseconds; negative: all are. */
  survivalMs: number;
  survivorsPerSite: number;
  maxSurvivors: number;
  /** About how many sites have live blocks: the more there are, the fewer blocks of each are kept. */
  liveSites: number;
  /** Epoch milliseconds, at most `until`. */
  toTime: (ticks: number) => number;
  firstAt: (site: number) => number;
  /** Mean bytes between samples, by number; what is not there is exact. */
  intervals: Float64Array;
}

export interface LiveTally {
  add(address: number, size: number, ticks: number, site: number, interval: number): void;
  readonly sites: ReadonlyMap<number, LiveSite>;
  /** The oldest and the largest of each site, sorted by address; at most `maxSurvivors`. */
  survivors(): Survivor[];
  survivorsTotal(): number;
}

interface SiteTally extends LiveSite {
  firstAt: number;
  binsPerMs: number;
  oldest: Ranking;
  largest: Ranking;
}

/** So many of the oldest and of the largest blocks are kept even of the last of very many sites. */
const MIN_ROOM = 8;

export function createLiveTally(options: TallyOptions): LiveTally {
  const { until, survivalMs, toTime, intervals } = options;
  const sites = new Map<number, SiteTally>();
  let total = 0;
  let last: SiteTally | undefined;
  let lastSite = -1;

  const add = (address: number, size: number, ticks: number, site: number, interval: number): void => {
    // Neighbours in the table are seldom of one site, but a leaking program has few sites with many blocks.
    const tally = site === lastSite ? last! : tallyOf(site);
    last = tally;
    lastSite = site;
    const time = Math.min(until, toTime(ticks));
    tally.blocks++;
    const bin = Math.floor((time - tally.firstAt) * tally.binsPerMs);
    const birth = bin < 0 ? 0 : bin >= BIRTH_BINS ? BIRTH_BINS - 1 : bin;
    tally.births[birth] = tally.births[birth]! + 1;
    const mean = intervals[interval] ?? 0;
    if (mean > 0) addVariance(tally, size, mean);
    if (until - time < survivalMs) return;
    tally.survivors++;
    total++;
    if (address > Number.MAX_SAFE_INTEGER) return;
    tally.oldest.offer(time, address, size, time);
    tally.largest.offer(-size, address, size, time);
  };

  const tallyOf = (site: number): SiteTally => {
    const known = sites.get(site);
    if (known !== undefined) return known;
    const made = createSiteTally(options, site);
    sites.set(site, made);
    return made;
  };

  return {
    add,
    sites,
    survivors: () => chooseSurvivors(sites, options.maxSurvivors),
    survivorsTotal: () => total,
  };
}

function createSiteTally(options: TallyOptions, site: number): SiteTally {
  const { until, survivorsPerSite, maxSurvivors, liveSites } = options;
  const first = Math.min(options.firstAt(site), until);
  const share = Math.max(MIN_ROOM, Math.ceil((2 * maxSurvivors) / Math.max(1, liveSites)));
  const room = Math.min(survivorsPerSite, maxSurvivors, share);
  return {
    blocks: 0,
    varianceCount: 0,
    varianceBytes: 0,
    births: new Array<number>(BIRTH_BINS).fill(0),
    survivors: 0,
    firstAt: first,
    binsPerMs: until > first ? BIRTH_BINS / (until - first) : 0,
    oldest: createRanking(room),
    largest: createRanking(room),
  };
}

/** A block of s bytes is sampled with P = 1 − exp(−s / R): it stands for 1 / P blocks, with variance (1 − P) / P². */
function addVariance(tally: SiteTally, size: number, mean: number): void {
  const chance = -Math.expm1(-size / mean);
  if (!(chance > 0)) return;
  const variance = (1 - chance) / (chance * chance);
  tally.varianceCount += variance;
  tally.varianceBytes += variance * size * size;
}

/** Each site gives its oldest and its largest by turns; when there are too many, every site gives as many turns. */
function chooseSurvivors(sites: ReadonlyMap<number, SiteTally>, most: number): Survivor[] {
  const queues = [...sites].map(([site, tally]) => queueOf(site, tally));
  const chosen: Survivor[] = [];
  for (let turn = 0, left = queues.length; left > 0 && chosen.length < most; turn++) {
    left = 0;
    for (const queue of queues) {
      const survivor = queue[turn];
      if (survivor === undefined) continue;
      left++;
      if (chosen.length < most) chosen.push(survivor);
    }
  }
  return chosen.sort((a, b) => a.address - b.address || a.time - b.time);
}

function queueOf(site: number, { oldest, largest }: SiteTally): Survivor[] {
  const byAge = oldest.best();
  const bySize = largest.best();
  const seen = new Set<string>();
  const queue: Survivor[] = [];
  for (let rank = 0; rank < Math.max(byAge.length, bySize.length); rank++) {
    for (const block of [byAge[rank], bySize[rank]]) {
      if (block === undefined) continue;
      const name = `${block.address}:${block.time}`;
      if (seen.has(name)) continue;
      seen.add(name);
      queue.push({ time: block.time, size: block.size, address: block.address, site });
    }
  }
  return queue;
}
