import {
  siteId,
  type AllocationChunk,
  type Finding,
  type LeakState,
  type ProcessKey,
  type SiteFigures,
  type SiteStack,
  type Survivor,
} from '@tidemark/contracts';
import type { SiteLedger, SiteVerdict } from '@tidemark/leak';
import type { KeptLedger, RememberedLedger } from './kept-ledgers.js';
import type { Look } from './look-assembly.js';
import { isSuspicion, siteFinding } from './site-findings.js';

/** Allocations at risk that are kept of one process. */
const MAX_SURVIVORS = 20_000;

/** What is known of the allocations of one traced process. */
export interface MatchedProcess {
  readonly key: ProcessKey;
  /** Head of the newest look. */
  readonly newest: AllocationChunk;
  readonly sites: ReadonlyMap<number, SiteFigures>;
  readonly stacks: ReadonlyMap<number, SiteStack>;
  /** Unmatched: allocated, grown old, and not freed as far as is known. */
  readonly survivors: ReadonlyMap<string, Survivor>;
  /** Where reading must begin again to know all this: the offset of the newest whole keyframe. */
  readonly keyframeOffset: number;
  /** Takes a look that follows on the one before, or a keyframe. Gives the findings that it makes. */
  take(look: Look): Finding[];
  verdict(site: number): SiteVerdict | undefined;
  /** What of the ledger is worth keeping over a restart. */
  kept(): KeptLedger;
}

export interface MatchedProcessDeps {
  first: AllocationChunk;
  /** Of an earlier life of this stage; its judgements were told. */
  remembered: RememberedLedger | undefined;
  createLedger(): SiteLedger;
}

interface State extends MatchedProcessDeps {
  ledger: SiteLedger;
  /** Total of the newest look: when it falls back, the tracing began anew. */
  allocations: number;
  newest: AllocationChunk;
  sites: Map<number, SiteFigures>;
  stacks: Map<number, SiteStack>;
  survivors: Map<string, Survivor>;
  /** State of each site as it was last told, where that was more than nothing. */
  told: Map<number, LeakState>;
  /** Sites that changed since their verdict was last asked for. */
  waiting: Set<number>;
  /** The site whose suspicion goes by the name of a stack: two numbers may share one. */
  openBy: Map<string, number>;
  keyframeOffset: number;
}

export function createMatchedProcess(deps: MatchedProcessDeps): MatchedProcess {
  const { first, remembered, createLedger } = deps;
  const state: State = {
    ...deps,
    ledger: remembered?.ledger ?? createLedger(),
    allocations: remembered?.allocations ?? 0,
    newest: first,
    sites: new Map(),
    stacks: new Map(),
    survivors: new Map(),
    told: new Map(remembered?.sites.map((site) => [site, remembered.ledger.verdict(site).state])),
    waiting: new Set(),
    openBy: new Map(),
    keyframeOffset: Infinity,
  };
  return {
    key: first.key,
    get newest() {
      return state.newest;
    },
    sites: state.sites,
    stacks: state.stacks,
    survivors: state.survivors,
    get keyframeOffset() {
      return state.keyframeOffset;
    },
    take: (look) => take(state, look),
    verdict: (site) => (state.sites.has(site) ? state.ledger.verdict(site) : undefined),
    kept: () => keptLedger(state),
  };
}

/**
 * Verdicts cost more than figures: those of sites that changed are asked for when a step of the site's life has passed, a
 * sixteenth of it at most. By the data's time, so that a look judged twice is judged alike.
 */
const STEP_SHARE = 1 / 16;
const LEAST_STEP_MS = 1_000;

function isDue(at: number, before: number, firstAt: number): boolean {
  const step = 2 ** Math.floor(Math.log2(Math.max(LEAST_STEP_MS, (at - firstAt) * STEP_SHARE)));
  return Math.floor(at / step) !== Math.floor(before / step);
}

function take(state: State, { chunk, offset }: Look): Finding[] {
  const before = state.newest.at;
  // A restart reads from the keyframe on what the ledger that was kept has judged already.
  const isRead = chunk.at <= (state.remembered?.until ?? -Infinity);
  if (chunk.keyframe) {
    for (const known of [state.sites, state.stacks, state.survivors]) known.clear();
    state.keyframeOffset = offset;
    if (!isRead && chunk.totals.allocations < state.allocations) state.ledger = state.createLedger();
  }
  if (!isRead) state.allocations = chunk.totals.allocations;
  // The lists are in the maps from here on.
  state.newest = { ...chunk, sites: [], stacks: [], survivors: [], freed: [] };
  for (const figures of chunk.sites) state.sites.set(figures.site, figures);
  for (const stack of chunk.stacks) state.stacks.set(stack.site, stack);
  matchSurvivors(state, chunk);
  const { at, mode, birthsUntil, sites } = chunk;
  state.ledger.observe({ at, ended: chunk.state !== 'ACTIVE', birthsUntil, mode, sites });
  return changes(state, chunk, before);
}

/** Every free takes its allocation out; what is left has no free seen yet. */
function matchSurvivors({ survivors }: State, chunk: AllocationChunk): void {
  for (const { address, time } of chunk.freed) survivors.delete(`${address}@${time}`);
  for (const survivor of chunk.survivors) {
    if (survivors.size >= MAX_SURVIVORS) break;
    survivors.set(`${survivor.address}@${survivor.time}`, survivor);
  }
}

/** Of what changed, when it is due, and of what is under suspicion: that may be dropped by time alone. At the end, of all. */
function changes(state: State, chunk: AllocationChunk, before: number): Finding[] {
  const { told, sites, ledger, waiting } = state;
  if (chunk.state === 'ACTIVE') for (const { site } of chunk.sites) waiting.add(site);
  else for (const site of sites.keys()) waiting.add(site);
  const candidates = new Set<number>();
  for (const site of waiting) {
    if (chunk.state === 'ACTIVE' && !isDue(chunk.at, before, sites.get(site)?.firstAt ?? 0)) continue;
    candidates.add(site);
    waiting.delete(site);
  }
  for (const [site, before] of told) if (isSuspicion(before)) candidates.add(site);
  const findings: Finding[] = [];
  for (const site of candidates) {
    const figures = sites.get(site);
    if (!figures) continue;
    const verdict = ledger.verdict(site);
    const finding = change(state, chunk, figures, verdict);
    if (finding) findings.push(finding);
  }
  return findings;
}

function change(state: State, chunk: AllocationChunk, figures: SiteFigures, verdict: SiteVerdict): Finding | undefined {
  const { told, stacks, openBy } = state;
  const { site } = figures;
  const previous = told.get(site) ?? 'LEARNING';
  if (verdict.state === previous) return undefined;
  if (!isSuspicion(verdict.state) && !isSuspicion(previous)) {
    told.set(site, verdict.state);
    return undefined;
  }
  // A stack that has no name yet is told of as soon as it has one.
  const stack = stacks.get(site);
  if (!stack) return undefined;
  told.set(site, verdict.state);
  const name = siteId(stack.frames);
  if ((openBy.get(name) ?? site) !== site) return undefined;
  if (isSuspicion(verdict.state)) openBy.set(name, site);
  else openBy.delete(name);
  return siteFinding({ chunk, figures, stack, previous, verdict });
}

/** Sites whose judgement is kept over a restart: those under suspicion, then those that hold most. */
const KEPT_SITES = 256;

function keptLedger({ ledger, sites, newest, told, allocations }: State): KeptLedger {
  const worth = ({ site, liveBytes }: SiteFigures): number =>
    isSuspicion(told.get(site) ?? 'LEARNING') ? Infinity : liveBytes;
  const order = [...sites.values()].sort((a, b) => (worth(a) < worth(b) ? 1 : worth(a) > worth(b) ? -1 : 0));
  const chosen = new Set(order.slice(0, KEPT_SITES).map(({ site }) => site));
  const snapshot = ledger.snapshot();
  return {
    key: newest.key,
    at: newest.at,
    trace: newest.trace,
    allocations,
    snapshot: { ...snapshot, sites: snapshot.sites.filter(({ site }) => chosen.has(site)) },
  };
}
