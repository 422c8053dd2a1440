import type { GraphContext, GraphSources } from '../sources.js';
import type { FindingModel } from '../finding/finding-model.js';
import { siteModel, unknownSite, type SiteModel } from './trace-model.js';

/** The site that a finding is about: as it is now, as history has it, or as the finding tells of it. */
export async function findSite(
  { traces, history, logger }: GraphSources,
  { loaders }: GraphContext,
  finding: FindingModel,
): Promise<SiteModel | null> {
  const { processKey, siteName } = finding;
  if (!siteName) return null;
  const live = processKey && traces.site(processKey, siteName.id);
  if (live) return siteModel(processKey, live);
  if (processKey && history) {
    try {
      const stored = (await loaders.storedSites.load(processKey)).find(({ id }) => id === siteName.id);
      if (stored) return { ...stored, verdict: finding.state };
    } catch (error) {
      logger.debug({ finding: finding.id, error: (error as Error).message }, 'history does not tell of a site');
    }
  }
  return { ...unknownSite(processKey, 0), ...toldSite(finding, siteName) };
}

function toldSite(finding: FindingModel, { id, frames }: NonNullable<FindingModel['siteName']>): Partial<SiteModel> {
  const { bytes, growth, state, confidence, message, evidence } = finding;
  const number = (name: string): number | null => evidence.find((one) => one.name === name)?.value ?? null;
  return {
    ...{
      id,
      truncated: true,
      liveBytes: bytes,
      liveCount: number('liveCount') ?? 0,
      verdict: state,
      confidence,
      message,
    },
    ...{ bytesPerHour: growth?.bytesPerHour ?? null, low: growth?.low ?? null, high: growth?.high ?? null },
    ...{ generations: number('generations'), oldFreeRate: number('oldFreeRate') },
    frames: frames.map((text) => ({
      ...{ function: text, file: null, line: null, module: null, buildId: null, offset: '0x0', inlined: false },
    })),
  };
}
