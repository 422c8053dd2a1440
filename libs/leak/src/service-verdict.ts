import type { LeakState } from '@tidemark/contracts';
import type { DetectorProfile } from './profile.js';
import { regionalKendall, weightedMedian } from './regional-kendall.js';
import { isExhaustion, lifetime, type ServiceEpoch } from './service-epoch.js';
import type { Growth } from './types.js';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

export interface ServiceVerdict {
  state: LeakState;
  confidence: number;
  growth: Growth | null;
  evidence: Record<string, number | null>;
}

interface Standing {
  state: LeakState;
  epochs: readonly ServiceEpoch[];
  clearedAt: number;
}

/**
 * The verdict over a service's ended lives: a regional Kendall test against uptime, and the count of lives that ended
 * for want of memory while growing. Services of short lives must run back to back, else they are batch jobs, whose every
 * run grows and is none the worse for it.
 */
export function judgeService(profile: DetectorProfile, standing: Standing): ServiceVerdict {
  const { service } = profile;
  const lives = standing.epochs.filter((epoch) => epoch.startedAt > standing.clearedAt);
  const tested = lives.filter((epoch) => epoch.variance > 0);
  const { z, slope } = regional(tested);
  const recent = regional(tested.slice(-Math.max(service.minimumEpochs, 8)));
  const exhaustions = lives.filter(isExhaustion).length;
  const suspected = lives.filter((epoch) => epoch.suspected).length;
  const rising = tested.length === 0 ? 0 : tested.filter((epoch) => epoch.slope > 0).length / tested.length;
  const life = medianOfLives(lives);
  const duty = dutyOf(lives);
  const continuous = !isBatch(profile, lives);
  const material = slope * DAY >= profile.suspected.bytes;
  // One life's tail is noisy; that of most of them is not.
  const tail = weightedMedian(tested.map((epoch) => ({ slope: epoch.tail, weight: lifetime(epoch) })));
  const persists = rising >= 2 / 3 && tail >= profile.suspected.tail;
  const leaks = tested.length >= service.minimumEpochs && z >= service.z && persists && material && continuous;
  const proven = exhaustions >= service.exhaustions || (leaks && suspected >= profile.confirmed.epochs);
  return {
    state: nextServiceState(standing.state, { leaks, proven, enough: lives.length >= service.minimumEpochs }, () =>
      tested.length > service.minimumEpochs ? recent.z < service.clearedZ : false,
    ),
    confidence: proven ? 0.9 : leaks ? 0.5 + 0.3 * (z / (z + 3)) : Math.max(0, Math.min(0.4, z / 20)),
    growth: tested.length === 0 ? null : serviceGrowth(tested, slope),
    evidence: {
      ...{ epochs: lives.length, testedEpochs: tested.length, z, risingShare: rising, tailRatio: tail, exhaustions },
      ...{ suspectedEpochs: suspected, medianLifeSeconds: life / 1000, duty, recentZ: recent.z },
    },
  };
}

/** Short lives with pauses between them: jobs, of which each run grows. */
export function isBatch(profile: DetectorProfile, epochs: readonly ServiceEpoch[]): boolean {
  const { shortLife, duty } = profile.service;
  return epochs.length > 0 && medianOfLives(epochs) < shortLife && dutyOf(epochs) < duty;
}

function nextServiceState(
  state: LeakState,
  { leaks, proven, enough }: { leaks: boolean; proven: boolean; enough: boolean },
  isOver: () => boolean,
): LeakState {
  if (state === 'SUSPECTED' || state === 'CONFIRMED') {
    if (isOver()) return 'CLEARED';
    return proven ? 'CONFIRMED' : state;
  }
  if (proven) return 'CONFIRMED';
  if (leaks) return 'SUSPECTED';
  if (state === 'CLEARED') return state;
  return enough ? 'STABLE' : 'LEARNING';
}

function regional(epochs: readonly ServiceEpoch[]): { z: number; slope: number } {
  return regionalKendall(epochs.map((epoch) => ({ ...epoch, weight: lifetime(epoch) })));
}

/** Slope with the range of the middle half of the lives: an interval of the sample, over the sum of the uptimes. */
function serviceGrowth(epochs: readonly ServiceEpoch[], slope: number): Growth {
  const slopes = epochs.map((epoch) => epoch.slope).sort((a, b) => a - b);
  const at = (share: number): number =>
    slopes[Math.min(slopes.length - 1, Math.floor(share * slopes.length))] as number;
  const uptime = epochs.reduce((sum, epoch) => sum + lifetime(epoch), 0);
  return {
    bytesPerHour: slope * HOUR,
    low: Math.min(slope, at(0.25)) * HOUR,
    high: Math.max(slope, at(0.75)) * HOUR,
    window: Math.round(uptime / 1000),
  };
}

function medianOfLives(epochs: readonly ServiceEpoch[]): number {
  const lives = epochs.map(lifetime).sort((a, b) => a - b);
  return lives[lives.length >>> 1] ?? 0;
}

/** Share of the time from the first start to the last end that some process of it ran; above 1 for several at once. */
function dutyOf(epochs: readonly ServiceEpoch[]): number {
  let first = Infinity;
  let last = -Infinity;
  let ran = 0;
  for (const epoch of epochs) {
    first = Math.min(first, epoch.startedAt);
    last = Math.max(last, epoch.endedAt);
    ran += lifetime(epoch);
  }
  return last > first ? ran / (last - first) : 0;
}
