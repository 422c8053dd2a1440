import type {
  NodeId,
  ProcessKey,
  SiteFigures,
  StackFrame,
  Survivor,
  TraceMeans,
  TraceMode,
  TraceState,
  TraceTotals,
} from '@tidemark/contracts';
import { nameOf, type KnownSite, type TraceEntry, type TraceFigures } from './trace-entry.js';
import type { TracedVerdict } from './trace-ledger.js';

/** How a process is or was traced; null is unknown. Epoch milliseconds, bytes. */
export interface LiveTrace {
  /** Names the trace in its book, also while the key is not known. */
  name: string;
  node: NodeId;
  pid: number;
  key: ProcessKey | null;
  state: TraceState;
  mode: TraceMode;
  means: TraceMeans | null;
  /** Why it is not as asked for, for a person and for programs. */
  reason: string | null;
  code: string | null;
  sampleInterval: number | null;
  startedAt: number | null;
  /** Time of the newest figures. */
  at: number | null;
  totals: TraceTotals | null;
  /** rssAnon + swap. */
  anonymous: number | null;
  /** Live bytes over anonymous memory, at most 1: blocks that were never touched take no memory. */
  explained: number | null;
  warnings: readonly string[];
  /** Some sites and blocks may be missing until the next keyframe, within a minute. */
  partial: boolean;
  sitesTotal: number;
  /** Allocations at risk that there are, named or not. */
  survivorsTotal: number;
}

export interface LiveSite {
  /** Number within its trace. */
  site: number;
  /** `siteId`, or `#` and the number while the stack is not known. */
  id: string;
  /** Innermost first. */
  frames: readonly StackFrame[];
  truncated: boolean;
  figures: SiteFigures;
  verdict: TracedVerdict;
}

export interface LiveSurvivor extends Survivor {
  pid: number;
}

/** Largest first. */
export type SiteOrderField = 'liveBytes' | 'liveCount' | 'allocations' | 'allocatedBytes' | 'bytesPerHour' | 'verdict';

const URGENCY = ['STABLE', 'LEARNING', 'CLEARED', 'SATURATING', 'GROWING', 'SUSPECTED', 'CONFIRMED'];

export function viewTrace(entry: TraceEntry, now: number): LiveTrace | undefined {
  const { status, figures } = entry;
  if (!status) return undefined;
  const head = figures?.head;
  const totals = head?.totals ?? null;
  const expired = status.expiry !== null && now > status.expiry.at ? status.expiry : null;
  return {
    ...{
      name: nameOf(entry),
      node: entry.node,
      pid: entry.pid,
      key: entry.key,
      means: status.means,
      mode: status.mode,
    },
    ...(expired
      ? { state: 'EXPIRED', code: 'TRACE_EXPIRED', reason: expired.reason }
      : { state: status.state, code: status.code, reason: status.reason }),
    ...{ sampleInterval: status.sampleInterval, startedAt: head?.startedAt ?? null, at: head?.at ?? null, totals },
    ...{ anonymous: head?.anonymousBytes ?? null, explained: explainedShare(totals, head?.anonymousBytes ?? null) },
    ...{ warnings: head?.warnings ?? [], partial: figures?.partial ?? false },
    sitesTotal: figures ? figures.sites.size + figures.sitesLeftOut.size : 0,
    survivorsTotal: head?.survivorsTotal ?? 0,
  };
}

export function explainedShare(totals: TraceTotals | null, anonymous: number | null): number | null {
  if (!totals || anonymous === null || anonymous <= 0) return null;
  return Math.min(1, totals.liveBytes / anonymous);
}

export function viewSite({ ledger }: TraceFigures, { figures, stack, id }: KnownSite): LiveSite {
  return {
    ...{ site: figures.site, id, frames: stack?.frames ?? [], truncated: stack?.truncated ?? false },
    ...{ figures, verdict: ledger.verdict(figures.site) },
  };
}

/** The first `limit` sites of the order. */
export function selectSites(
  figures: TraceFigures,
  { field, descending, limit }: { field: SiteOrderField; descending: boolean; limit: number },
): LiveSite[] {
  const { ledger } = figures;
  const value = ({ figures: of }: KnownSite): number => {
    if (field === 'verdict') return URGENCY.indexOf(ledger.verdict(of.site).state);
    if (field === 'bytesPerHour') return ledger.verdict(of.site).bytesPerHour ?? (descending ? -Infinity : Infinity);
    return of[field];
  };
  const sign = descending ? -1 : 1;
  return [...figures.sites.values()]
    .map((site) => ({ site, value: value(site) }))
    .sort(
      (a, b) =>
        (a.value === b.value ? 0 : sign * (a.value < b.value ? -1 : 1)) ||
        b.site.figures.liveBytes - a.site.figures.liveBytes ||
        a.site.figures.site - b.site.figures.site,
    )
    .slice(0, limit)
    .map(({ site }) => viewSite(figures, site));
}

/** Allocations at risk: those of sites under suspicion first, then the oldest. */
export function selectSurvivors(figures: TraceFigures, limit: number): { survivor: Survivor; site: LiveSite | null }[] {
  const { survivors, sites, ledger } = figures;
  const urgent = new Map<number, boolean>();
  const isUrgent = (site: number): boolean => {
    const known = urgent.get(site);
    if (known !== undefined) return known;
    const { state } = ledger.verdict(site);
    urgent.set(site, state === 'SUSPECTED' || state === 'CONFIRMED');
    return urgent.get(site) as boolean;
  };
  const views = new Map<number, LiveSite | null>();
  const siteOf = (site: number): LiveSite | null => {
    const known = sites.get(site);
    const view = views.get(site) ?? (known ? viewSite(figures, known) : null);
    views.set(site, view);
    return view;
  };
  return [...survivors.values()]
    .map((survivor) => ({ survivor, rank: isUrgent(survivor.site) ? 0 : 1 }))
    .sort((a, b) => a.rank - b.rank || a.survivor.time - b.survivor.time || a.survivor.address - b.survivor.address)
    .slice(0, limit)
    .map(({ survivor }) => ({ survivor, site: siteOf(survivor.site) }));
}
