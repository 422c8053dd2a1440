import { SURVIVAL_MS } from '@tidemark/contracts';
import type { ActivityClock } from './activity-clock.js';
import { birthShape, unevenness, unevennessOfBlink, type BirthShape, type Unevenness } from './birth-shape.js';
import type { SiteProfile } from './site-profile.js';
import { pointsUntil, type SiteRecord } from './site-record.js';
import { siteTrend, type SiteTrend } from './site-trend.js';

/** What the figures speak for at one time. */
export type SiteSignal = 'few' | 'still' | 'saturating' | 'growing' | 'leaking';

/** Why: what made the signal. */
export type SiteReason =
  'few' | 'even' | 'rising' | 'freed' | 'drains' | 'plateau' | 'unclear' | NonNullable<Unevenness>;

export interface SiteJudgement {
  signal: SiteSignal;
  reason: SiteReason;
  /** From the site's first allocation until now, or until the process's last one when it is gone; milliseconds. */
  life: number;
  shape: BirthShape;
  /** Undefined while too short to tell. */
  trend: SiteTrend | undefined;
  /** Share of all blocks that were freed. */
  freeRate: number;
  oldFreeRate: number | null;
}

/** `until`: now, or the last sign of allocation of a process that is gone. */
export function judgeSite(
  record: SiteRecord,
  profile: SiteProfile,
  { at, until, clock }: { at: number; until: number; clock: () => ActivityClock },
): SiteJudgement {
  const shape = birthShape(record.births, record.firstAt, record.birthsUntil, until);
  // Of a few blocks nothing is said: most sites are such, and trends cost most.
  const points = isFew(record, profile) ? null : pointsUntil(record, at, profile.step);
  const given = points ? siteTrend(points) : undefined;
  const { growth } = profile;
  const trend = given && given.points >= growth.points && given.window >= growth.window ? given : undefined;
  const facts = {
    life: Math.max(0, Math.max(until, record.birthsUntil) - record.firstAt),
    ...{ shape, trend, freeRate: record.allocations > 0 ? Math.min(1, record.frees / record.allocations) : 0 },
    oldFreeRate: oldFreeRate(record, until),
  };
  return { ...signalOf(record, profile, facts, clock), ...facts };
}

type Facts = Omit<SiteJudgement, 'signal' | 'reason'>;
type Signal = Pick<SiteJudgement, 'signal' | 'reason'>;

function signalOf(record: SiteRecord, profile: SiteProfile, facts: Facts, clock: () => ActivityClock): Signal {
  const { shape, trend, freeRate } = facts;
  const { freed } = profile;
  if (isFew(record, profile)) return { signal: 'few', reason: 'few' };
  const nothingFreed = freeRate < freed.nothing;
  const uneven =
    facts.life < profile.ages.blink
      ? unevennessOfBlink(shape, clock().shapeOf(record), profile.ages, nothingFreed)
      : unevenness(shape, profile.ages, nothingFreed);
  const oldRate = facts.oldFreeRate ?? 0;
  if (trend) return weighTrend(record, profile, { trend, uneven, oldRate, life: facts.life });
  if (uneven) return { signal: 'still', reason: uneven };
  // Blocks of the same age were freed: only time tells whether these will be.
  if (oldRate >= freed.some) return { signal: oldRate < freed.most ? 'growing' : 'still', reason: 'freed' };
  return { signal: 'leaking', reason: 'even' };
}

function weighTrend(
  record: SiteRecord,
  profile: SiteProfile,
  { trend, uneven, oldRate, life }: { trend: SiteTrend; uneven: Unevenness; oldRate: number; life: number },
): Signal {
  const { growth, freed } = profile;
  const grew = (trend.slope * trend.window) / 3_600_000;
  const rises =
    trend.z >= growth.z &&
    trend.low > 0 &&
    trend.share >= growth.share &&
    grew >= growth.errors * Math.sqrt(record.liveVariance);
  if (trend.fall > growth.fall) return { signal: 'still', reason: 'drains' };
  if (!rises) return uneven ? { signal: 'still', reason: uneven } : { signal: 'still', reason: 'plateau' };
  if (!(trend.tail >= growth.tail)) return { signal: 'saturating', reason: 'plateau' };
  if (!uneven && oldRate < freed.most) return { signal: 'leaking', reason: 'even' };
  const reason = uneven ?? 'freed';
  if (reason === 'past' || reason === 'few-ages') return { signal: 'still', reason };
  if (trend.window < growth.alone) return { signal: 'growing', reason };
  const leaks = oldRate < freed.most || !uneven || isEvenBefore(record, profile, life / 2);
  return leaks ? { signal: 'leaking', reason: 'rising' } : { signal: 'growing', reason };
}

/** Whether blocks born in the first `ms` of the life still live in numbers and evenly: those that come and go hide it. */
function isEvenBefore(record: SiteRecord, { ages, blocks }: SiteProfile, ms: number): boolean {
  const { births, firstAt, birthsUntil, sampled } = record;
  const bins = Math.floor((births.length * ms) / Math.max(ms, birthsUntil - firstAt));
  const until = firstAt + (bins * (birthsUntil - firstAt)) / births.length;
  const shape = birthShape(births.subarray(0, bins), firstAt, until, until);
  return shape.blocks >= (sampled ? blocks.sampled : blocks.exact) && unevenness(shape, ages, false) === null;
}

function isFew({ liveSamples, sampled }: SiteRecord, { blocks }: SiteProfile): boolean {
  return liveSamples < (sampled ? blocks.sampled : blocks.exact);
}

/** Null when no block of the site ever got old. */
function oldFreeRate({ births, firstAt, birthsUntil, liveSamples, liveCount, oldFrees }: SiteRecord, until: number) {
  const bin = (birthsUntil - firstAt) / births.length;
  let young = 0;
  for (let i = 0; i < births.length; i++) {
    if (until - (firstAt + i * bin) < SURVIVAL_MS) young += births[i] as number;
  }
  const known = Math.max(liveSamples, 1);
  const old = (liveCount * Math.max(0, known - young)) / known;
  return oldFrees + old > 0 ? oldFrees / (oldFrees + old) : null;
}
