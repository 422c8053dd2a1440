/** What `tidemark trace --json` writes, as far as tests look at it. */
export interface TraceReportJson {
  process: { pid: number; program: string; exit: { code: number | null; signal: string | null } | null };
  mode: string;
  means: string;
  startedAt: string;
  endedAt: string;
  totals: Record<
    | 'allocations'
    | 'frees'
    | 'allocatedBytes'
    | 'freedBytes'
    | 'liveBytes'
    | 'liveCount'
    | 'issued'
    | 'recorded'
    | 'cancelled'
    | 'dropped',
    number
  > & { standardError?: Record<'allocations' | 'allocatedBytes' | 'liveCount' | 'liveBytes', number> };
  anonymousBytes: number | null;
  explained: number | null;
  sites: SiteJson[];
  atRisk: { time: string; pid: number; size: number; address: string; caller: string; site: string }[];
  atRiskTotal: number;
  warnings: string[];
  children?: TraceReportJson[];
}

export interface SiteJson {
  id: string;
  frames: { function: string | null; file: string | null; line: number | null; module: string | null }[];
  allocations: number;
  frees: number;
  allocatedBytes: number;
  freedBytes: number;
  liveBytes: number;
  liveCount: number;
  verdict: string;
}

export function leakingSites(report: TraceReportJson): SiteJson[] {
  return report.sites.filter(({ verdict }) => verdict === 'SUSPECTED' || verdict === 'CONFIRMED');
}

/** The site whose stack goes through a function. */
export function siteThrough(report: TraceReportJson, name: string): SiteJson {
  const found = report.sites.filter(({ frames }) => frames.some((frame) => frame.function === name));
  if (found.length !== 1) throw new Error(`${found.length} sites go through ${name}, not one`);
  return found[0]!;
}
