import type { LeakState } from '@tidemark/contracts';
import type { SiteJudgement, SiteReason } from './site-judge.js';
import type { SiteProfile } from './site-profile.js';
import type { SiteRecord } from './site-record.js';
import type { SiteVerdict } from './site-types.js';

const HOUR = 3_600_000;
/** Ninety-five per cent, two-sided. */
const NORMAL_95 = 1.96;

export const UNKNOWN_SITE: SiteVerdict = {
  ...{ state: 'LEARNING', bytesPerHour: null, low: null, high: null, generations: 0, oldFreeRate: null, confidence: 0 },
  ...{ message: 'Nothing was heard of this site.', evidence: {} },
};

export function tellVerdict(record: SiteRecord, judgement: SiteJudgement, profile: SiteProfile): SiteVerdict {
  return {
    state: record.state,
    ...slopeOf(record, judgement, profile),
    generations: judgement.shape.generations,
    oldFreeRate: judgement.oldFreeRate,
    confidence: confidenceOf(record.state, record, judgement),
    message: messageOf(record, judgement),
    evidence: evidenceOf(record, judgement),
  };
}

type Slope = Pick<SiteVerdict, 'bytesPerHour' | 'low' | 'high'>;

/**
 * Of the trend, widened by the variance of the sampled figure. Without one, of survivors born evenly: live bytes over the
 * life; n births that come by themselves have a relative standard error of 1/√n.
 */
function slopeOf(record: SiteRecord, { life, trend, signal, shape }: SiteJudgement, profile: SiteProfile): Slope {
  const { liveBytes, liveVariance } = record;
  if (trend) {
    const reach = (NORMAL_95 * Math.sqrt(liveVariance) * HOUR) / trend.window;
    const low = trend.slope - Math.hypot(trend.slope - trend.low, reach);
    return { bytesPerHour: trend.slope, low, high: trend.slope + Math.hypot(trend.high - trend.slope, reach) };
  }
  if (life < profile.slopeLife || (signal !== 'leaking' && signal !== 'growing')) {
    return { bytesPerHour: null, low: null, high: null };
  }
  const error = NORMAL_95 * Math.sqrt(liveVariance + liveBytes ** 2 / shape.blocks);
  const [slope, reach] = [(liveBytes * HOUR) / life, (error * HOUR) / life];
  return { bytesPerHour: slope, low: slope - reach, high: slope + reach };
}

/** More blocks of more ages, over more of the life, are surer; what few blocks say is not sure either way. */
function confidenceOf(state: LeakState, { liveSamples }: SiteRecord, { shape, oldFreeRate }: SiteJudgement): number {
  const many = 1 - Math.exp(-liveSamples / 16);
  if (state === 'LEARNING') return 0;
  if (state !== 'SUSPECTED' && state !== 'CONFIRMED') return 0.5 + 0.4 * many;
  const spread = Math.min(1, shape.span) * Math.min(1, shape.coverage);
  const score = many * (0.6 + 0.4 * spread) * (1 - 0.5 * (oldFreeRate ?? 0));
  return state === 'CONFIRMED' ? Math.max(0.9, score) : Math.min(0.95, 0.3 + 0.65 * score);
}

function evidenceOf(record: SiteRecord, { life, shape, trend, freeRate, oldFreeRate }: SiteJudgement) {
  const [firstThird, middleThird, lastThird] = shape.thirds;
  return {
    ...{ lifeSeconds: life / 1000, blocks: record.liveSamples, liveBytes: record.liveBytes },
    standardError: Math.sqrt(record.liveVariance),
    ...{ generations: shape.generations, head: shape.head, tail: shape.tail, span: shape.span },
    ...{ coverage: shape.coverage, firstThird, middleThird, lastThird, freeRate, oldFreeRate },
    ...{ points: trend?.points ?? null, windowSeconds: trend ? trend.window / 1000 : null, z: trend?.z ?? null },
    ...{ growthShare: trend?.share ?? null, tailSlope: finite(trend?.tail), fall: trend?.fall ?? null },
    level: trend?.level ?? null,
  };
}

function finite(value: number | undefined): number | null {
  return value !== undefined && Number.isFinite(value) ? value : null;
}

const WHY: Record<SiteReason, string> = {
  few: 'too few for a leak to be told from blocks that live long',
  even: 'and those that live were born all along',
  rising: 'and their number goes on rising, though the oldest were freed',
  freed: 'and blocks as old as these were freed after all',
  drains: 'and their number falls again after it has risen',
  plateau: 'and their number has stopped rising',
  unclear: 'and it is not clear yet where that leads',
  'few-ages': 'all born at a few moments',
  recent: 'all but few born lately: older ones were freed',
  past: 'nearly all born long ago: it has stopped allocating, as what is set up or filled once does',
  gaps: 'born at some moments with nothing from the long times between',
};

function messageOf(record: SiteRecord, { life, shape, oldFreeRate, reason }: SiteJudgement): string {
  const about = record.sampled ? 'About ' : '';
  const blocks = Math.round(record.liveCount);
  const alive = `${about}${blocks} ${blocks === 1 ? 'block' : 'blocks'} (${size(record.liveBytes)})`;
  const ages = reason === 'even' ? ` (${shape.generations} ages over ${duration(life)})` : '';
  const freed =
    oldFreeRate !== null && reason === 'freed' ? ` (${Math.round(100 * oldFreeRate)} % of those that got old)` : '';
  return `${alive} ${blocks === 1 ? 'is' : 'are'} alive, ${WHY[reason]}${ages}${freed}.`;
}

function size(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  let value = bytes;
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024;
  return `${unit === 0 ? Math.round(value) : value.toPrecision(3)} ${units[unit]}`;
}

function duration(ms: number): string {
  if (ms < 1000) return `${ms < 10 ? ms.toPrecision(2) : Math.round(ms)} ms`;
  if (ms < 120_000) return `${Math.round(ms / 1000)} s`;
  return ms < 2 * HOUR ? `${Math.round(ms / 60_000)} min` : `${Math.round(ms / HOUR)} h`;
}
