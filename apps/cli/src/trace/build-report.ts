import type { RawFrame, RawStack, Symbolizer } from '@tidemark/alloc-trace';
import type { SiteVerdict } from '@tidemark/leak';
import { siteId, type SiteStack, type StackFrame, type Survivor } from '@tidemark/contracts';
import { setupIn } from './setup-stacks.js';
import {
  isLeaking,
  orderSites,
  type ProcessEnd,
  type ReportSite,
  type ReportVerdict,
  type TraceReport,
} from './trace-report.js';
import type { TraceWatch } from './watch-trace.js';

export interface TracedProcess {
  pid: number;
  program: string;
  command: string;
  end: ProcessEnd | null;
}

/** Puts names to the stacks and verdicts to the sites of what was watched. */
export async function buildReport(
  watch: TraceWatch,
  traced: TracedProcess,
  symbolizer: Pick<Symbolizer, 'symbolize' | 'problems'>,
): Promise<TraceReport> {
  const { observation, ledger, source } = watch;
  const stacks = new Map<number, RawStack>();
  for (const { site } of observation.sites) stacks.set(site, source.stackOf(site) ?? { frames: [], truncated: true });
  const named = await nameFrames(stacks, symbolizer);
  const survivors = groupBySite(observation.survivors);
  const sites = observation.sites.map((figures): ReportSite => {
    const frames = named.get(figures.site) ?? [];
    const verdict = verdictOf(ledger.verdict(figures.site), frames, observation.birthsUntil - figures.firstAt);
    return {
      id: siteId(frames),
      frames,
      truncated: stacks.get(figures.site)?.truncated ?? true,
      figures,
      verdict,
      survivors: survivors.get(figures.site) ?? [],
    };
  });
  return {
    ...traced,
    means: source.means,
    mode: observation.mode,
    sampleInterval: observation.sampleInterval,
    startedAt: watch.startedAt,
    endedAt: observation.at,
    totals: observation.totals,
    sites: orderSites(sites),
    survivorsTotal: observation.survivorsTotal,
    memory: watch.memory,
    warnings: [...observation.warnings, ...symbolizer.problems()],
  };
}

function verdictOf(
  { state, bytesPerHour, generations, oldFreeRate, message }: SiteVerdict,
  frames: readonly StackFrame[],
  lifeMs: number,
): ReportVerdict {
  const verdict = { state, bytesPerHour, generations, oldFreeRate, message };
  const setup = isLeaking({ verdict }) ? setupIn(frames, lifeMs) : null;
  if (setup === null) return verdict;
  return { ...verdict, state: 'STABLE', message: `${message} But ${setup} allocated them, which sets up once.` };
}

/** All frames of all stacks in one question, since many stacks share them. */
async function nameFrames(
  stacks: ReadonlyMap<number, RawStack>,
  symbolizer: Pick<Symbolizer, 'symbolize'>,
): Promise<Map<number, SiteStack['frames']>> {
  const raw: RawFrame[] = [];
  for (const { frames } of stacks.values()) raw.push(...frames);
  const answers = await symbolizer.symbolize(raw);
  const named = new Map<number, StackFrame[]>();
  let next = 0;
  for (const [site, { frames }] of stacks) {
    named.set(site, answers.slice(next, next + frames.length).flat());
    next += frames.length;
  }
  return named;
}

function groupBySite(survivors: readonly Survivor[]): Map<number, Survivor[]> {
  const groups = new Map<number, Survivor[]>();
  for (const survivor of [...survivors].sort((a, b) => a.time - b.time)) {
    const group = groups.get(survivor.site);
    if (group) group.push(survivor);
    else groups.set(survivor.site, [survivor]);
  }
  return groups;
}
