import { SURVIVAL_MS, type Survivor, type TraceMode } from '@tidemark/contracts';
import type { RawStack, TraceObservation } from '../trace-source.js';
import { createCatalog, type FileOfModule } from './catalog.js';
import { countLiveSites, figuresOf, totalsOf } from './figures.js';
import * as format from './format.js';
import { readState, type RingLayout, type RingState } from './header.js';
import { createLaneReader, type LaneReader, type LaneTotals } from './lanes.js';
import { scanLive } from './live-table.js';
import { createLiveTally, type LiveSite } from './live-tally.js';
import type { RingFile } from './ring-file.js';
import { ringWarnings } from './ring-warnings.js';
import { createSiteSums, hasSamples } from './site-sums.js';
import { createTickClock } from './tick-clock.js';

export interface RingReaderDeps {
  file: RingFile;
  layout: RingLayout;
  fileOf: FileOfModule;
  survivorsPerSite: number;
  maxSurvivors: number;
  /** Epoch milliseconds. */
  now: () => number;
  /** Monotonic milliseconds. */
  clock: () => number;
  pause: () => Promise<void>;
}

export interface RingReader {
  /** Reads the header alone. */
  state(): RingState;
  /**
   * Reads what there is. `ended`: nobody writes any more, so that everything is read to its end and all live blocks are
   * named. `isVoid` says that the figures belong to an activation before this trace, and count nothing.
   */
  observe(ended: boolean, isVoid?: (state: RingState) => boolean): Promise<TraceObservation>;
  stackOf(site: number): RawStack | undefined;
  /** Reads all stacks, so that they are known after the file is closed. */
  keepStacks(): void;
}

/** The scan of the live blocks takes no more than this part of the time. */
const SCAN_SHARE = 0.02;

interface Scan {
  at: number;
  live: ReadonlyMap<number, LiveSite>;
  survivors: Survivor[];
  survivorsTotal: number;
  activation: number;
  /** Calls up to the scan, when all that live had outlived the survival window by then: without another call, nothing changes. */
  settledAt: number | null;
  /** Not before this, monotonic milliseconds. */
  next: number;
}

const NOTHING: Scan = {
  at: 0,
  live: new Map(),
  survivors: [],
  survivorsTotal: 0,
  activation: -1,
  settledAt: null,
  next: 0,
};

export function createRingReader(deps: RingReaderDeps): RingReader {
  const { file, layout } = deps;
  const page = Buffer.alloc(format.HEADER_BYTES);
  const catalog = createCatalog(file, layout, deps.fileOf);
  const lanes = createLaneReader(file, layout);
  const ticks = createTickClock(layout.clock);
  let scan = NOTHING;

  const state = (): RingState => readState(file, layout, page);

  const observe = async (
    ended: boolean,
    isVoid: (state: RingState) => boolean = () => false,
  ): Promise<TraceObservation> => {
    const now = deps.now();
    const found = state();
    const active = found.activation !== 0 && !isVoid(found);
    ticks.add(found.first);
    ticks.add(found.last);
    catalog.update(found);
    const totals = lanes.read(active ? found : { ...found, activation: 0 }, ended);
    const firstAt = (site: number): number =>
      ticks.toTime(Math.max(catalog.firstTicks(site), found.activatedTicks), now);
    if (!active) scan = NOTHING;
    else if (ended || isStale(scan, found, totals, deps.clock())) {
      const until = ended ? lastSign(totals, found, (at) => ticks.toTime(at, now)) : now;
      const times = { ended, until, firstAt, toTime: (at: number) => ticks.toTime(at, until) };
      scan = await scanBlocks(deps, found, lanes, totals, times);
    }
    return observationOf({ now, ended, state: found, totals, scan, lanes, firstAt });
  };

  return { state, observe, stackOf: catalog.stackOf, keepStacks: catalog.keepAll };
}

function isStale(scan: Scan, { activation }: RingState, totals: LaneTotals, clock: number): boolean {
  if (scan.activation !== activation) return true;
  return clock >= scan.next && scan.settledAt !== callsOf(totals);
}

function callsOf({ allocations, frees }: LaneTotals): number {
  return allocations + frees;
}

/** The latest clock that a thread took for a call. */
function lastSign(totals: LaneTotals, { activatedTicks }: RingState, toTime: (ticks: number) => number): number {
  return toTime(Math.max(totals.lastTicks, activatedTicks));
}

interface ScanTimes {
  ended: boolean;
  until: number;
  firstAt: (site: number) => number;
  toTime: (ticks: number) => number;
}

async function scanBlocks(
  deps: RingReaderDeps,
  state: RingState,
  lanes: LaneReader,
  totals: LaneTotals,
  times: ScanTimes,
): Promise<Scan> {
  const youngMs = state.control.youngNs > 0 ? state.control.youngNs / 1e6 : SURVIVAL_MS;
  const tally = createLiveTally({
    until: times.until,
    survivalMs: times.ended ? Number.NEGATIVE_INFINITY : youngMs,
    survivorsPerSite: deps.survivorsPerSite,
    maxSurvivors: deps.maxSurvivors,
    liveSites: countLiveSites(lanes.sums),
    toTime: times.toTime,
    firstAt: times.firstAt,
    intervals: state.intervals,
  });
  const { cost, blocks, torn } = await scanLive(deps.file, deps.layout, {
    visit: tally.add,
    sinceTicks: state.activatedTicks,
    clock: deps.clock,
    pause: deps.pause,
  });
  return {
    at: times.until,
    live: tally.sites,
    survivors: tally.survivors(),
    survivorsTotal: tally.survivorsTotal(),
    activation: state.activation,
    settledAt: torn === 0 && tally.survivorsTotal() === blocks ? callsOf(totals) : null,
    next: deps.clock() + cost / SCAN_SHARE,
  };
}

interface ObservationInputs {
  now: number;
  ended: boolean;
  state: RingState;
  totals: LaneTotals;
  scan: Scan;
  lanes: LaneReader;
  firstAt: (site: number) => number;
}

function observationOf(inputs: ObservationInputs): TraceObservation {
  const { now, ended, state, scan, totals, firstAt } = inputs;
  const active = scan !== NOTHING;
  const sums = active ? inputs.lanes.sums : createSiteSums();
  const mode = modeOf(state.control.mode);
  const sampled = mode === 'SAMPLED' || totals.passedAllocations + totals.passedFrees > 0 || hasSamples(sums);
  const base = { sums, live: scan.live, firstAt };
  const sites = figuresOf(base);
  return {
    at: now,
    ended,
    mode,
    sampleInterval: mode === 'SAMPLED' ? state.control.sampleInterval : null,
    totals: totalsOf({ ...base, figures: sites, lanes: totals, sampled }),
    birthsUntil: active ? scan.at : now,
    sites,
    survivors: scan.survivors,
    survivorsTotal: scan.survivorsTotal,
    warnings: ringWarnings(state, totals),
  };
}

function modeOf(mode: number): TraceMode {
  if (mode === format.MODE.EXACT) return 'EXACT';
  return mode === format.MODE.SAMPLED ? 'SAMPLED' : 'DORMANT';
}
