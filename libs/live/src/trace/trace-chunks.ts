import type { AllocationChunk, SiteFigures, SiteStack } from '@tidemark/contracts';
import { nameOfSite, survivorName, type TraceEntry, type TraceFigures } from './trace-entry.js';
import type { TraceLedger } from './trace-ledger.js';

export interface TraceBounds {
  /** Sites kept of one trace; of more, those that come last are left out and counted. */
  maxSites: number;
  /** Allocations at risk kept of one trace. */
  maxSurvivors: number;
}

export type ChunkOutcome = 'applied' | 'duplicate' | 'superseded';

const PAST = 8;
const nameOf = ({ run, trace }: Pick<AllocationChunk, 'run' | 'trace'>): string => `${run} ${trace}`;

/** Takes a chunk of the entry's process. Cumulative as they are, chunks may come twice, late, or with gaps. */
export function applyToTrace(
  entry: TraceEntry,
  chunk: AllocationChunk,
  bounds: TraceBounds,
  createLedger: () => TraceLedger,
): ChunkOutcome {
  const known = entry.figures;
  if (known && nameOf(known.head) === nameOf(chunk) && chunk.seq <= known.head.seq) return 'duplicate';
  if (known?.past.includes(nameOf(chunk))) return 'superseded';
  const figures = continueTrace(known, chunk, createLedger);
  entry.figures = figures;
  beginPart(figures, chunk);
  takeStacks(figures, chunk.stacks);
  for (const one of chunk.sites) takeSite(figures, one, bounds);
  takeSurvivors(figures, chunk, bounds);
  const { sites: _sites, stacks: _stacks, survivors: _survivors, freed: _freed, ...head } = chunk;
  figures.head = head;
  if (chunk.part === chunk.parts - 1) {
    completeKeyframe(figures, chunk);
    judgeLook(figures);
  }
  return 'applied';
}

/** The figures that the chunk goes on; new ones for another trace, or when the tracing began anew. */
function continueTrace(
  known: TraceFigures | null,
  chunk: AllocationChunk,
  createLedger: () => TraceLedger,
): TraceFigures {
  const { sites: _sites, stacks: _stacks, survivors: _survivors, freed: _freed, ...head } = chunk;
  if (!known || known.head.trace !== chunk.trace || chunk.startedAt > known.head.startedAt) {
    return {
      ...{ head, ledger: createLedger(), sites: new Map(), stacks: new Map(), survivors: new Map() },
      ...{ sitesLeftOut: new Set<number>(), keyframe: null, look: { at: chunk.at, sites: [], judged: false } },
      partial: !(chunk.keyframe && chunk.part === 0),
      past: known ? [nameOf(known.head), ...known.past].slice(0, PAST) : [],
    };
  }
  const follows = known.head.run === chunk.run && chunk.seq === known.head.seq + 1;
  if (!follows) {
    known.partial = true;
    known.keyframe = null;
  }
  if (known.head.run !== chunk.run) {
    known.past.unshift(nameOf(known.head));
    known.past.length = Math.min(known.past.length, PAST);
  }
  // Totals only fall when the tracing began anew; then the numbers of the sites are others.
  if (chunk.totals.allocations < known.head.totals.allocations) forgetSites(known, createLedger);
  return known;
}

function forgetSites(figures: TraceFigures, createLedger: () => TraceLedger): void {
  for (const map of [figures.sites, figures.stacks, figures.survivors]) map.clear();
  figures.sitesLeftOut = new Set();
  figures.ledger = createLedger();
  figures.look.sites = [];
}

function beginPart(figures: TraceFigures, chunk: AllocationChunk): void {
  if (chunk.at !== figures.look.at) {
    // The rest of the look before it never came.
    if (!figures.look.judged) judgeLook(figures);
    figures.look = { at: chunk.at, sites: [], judged: false };
  }
  if (!chunk.keyframe) return;
  if (chunk.part === 0) {
    figures.keyframe = { next: 0, sites: new Set(), survivors: new Set() };
    figures.sitesLeftOut = new Set();
  }
  const { keyframe } = figures;
  if (!keyframe) return;
  if (chunk.part !== keyframe.next++) {
    figures.keyframe = null;
    return;
  }
  for (const { site } of chunk.sites) keyframe.sites.add(site);
  for (const survivor of chunk.survivors) keyframe.survivors.add(survivorName(survivor));
}

function takeStacks({ sites, stacks }: TraceFigures, given: readonly SiteStack[]): void {
  for (const stack of given) {
    const known = sites.get(stack.site);
    if (!known) stacks.set(stack.site, stack);
    else Object.assign(known, { stack, id: nameOfSite(stack.site, stack) });
  }
}

function takeSite(figures: TraceFigures, given: SiteFigures, { maxSites }: TraceBounds): void {
  const { sites, stacks, sitesLeftOut, look } = figures;
  const { site } = given;
  const known = sites.get(site);
  if (!known && sites.size >= maxSites) {
    sitesLeftOut.add(site);
    stacks.delete(site);
    return;
  }
  look.sites.push(given);
  if (known) {
    known.figures = given;
    return;
  }
  const stack = stacks.get(site) ?? null;
  stacks.delete(site);
  sites.set(site, { figures: given, stack, id: nameOfSite(site, stack) });
}

function takeSurvivors({ survivors }: TraceFigures, chunk: AllocationChunk, { maxSurvivors }: TraceBounds): void {
  for (const freed of chunk.freed) survivors.delete(survivorName(freed));
  for (const survivor of chunk.survivors) {
    if (survivors.size >= maxSurvivors && !survivors.has(survivorName(survivor))) break;
    survivors.set(survivorName(survivor), survivor);
  }
}

/** What a whole keyframe did not name is gone. */
function completeKeyframe(figures: TraceFigures, { keyframe: isKeyframe, parts }: AllocationChunk): void {
  const { keyframe, sites, survivors, stacks, ledger } = figures;
  figures.keyframe = null;
  if (!isKeyframe || !keyframe || keyframe.next !== parts) return;
  for (const site of sites.keys()) {
    if (keyframe.sites.has(site)) continue;
    sites.delete(site);
    ledger.forget(site);
  }
  for (const name of survivors.keys()) if (!keyframe.survivors.has(name)) survivors.delete(name);
  stacks.clear();
  figures.partial = false;
}

function judgeLook({ look, head, ledger }: TraceFigures): void {
  const { birthsUntil, mode, state } = head;
  ledger.observe({ at: look.at, ended: state !== 'ACTIVE', birthsUntil, mode, sites: look.sites });
  Object.assign(look, { sites: [], judged: true });
}
