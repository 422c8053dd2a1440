import { BIRTH_BINS, type LeakState, type SiteFigures } from '@tidemark/contracts';
import { addPoint, carryPoints, createLivePoints, type LivePoints } from './live-points.js';

/** All that is kept of one site: these registers, BIRTH_BINS counts and up to POINTS points. */
export interface SiteRecord {
  readonly site: number;
  firstAt: number;
  allocations: number;
  frees: number;
  liveCount: number;
  liveBytes: number;
  oldFrees: number;
  liveSamples: number;
  liveVariance: number;
  sampled: boolean;
  births: Float32Array;
  /** End of the bins of births. */
  birthsUntil: number;
  /** Most live bytes ever seen. */
  peakBytes: number;
  /** Made with the second reading: a program that is judged once needs none. */
  points: LivePoints | null;
  /** Time of the newest figures. */
  seenAt: number;
  state: LeakState;
  evaluatedAt: number;
  /** When the evidence for a leak that still stands was first seen, and the state last changed; NaN when never. */
  leakingSince: number;
  changedAt: number;
  /** Evaluations in a row without evidence, and when the first of them was. */
  quiet: number;
  quietSince: number;
}

export function createRecord(site: number): SiteRecord {
  return {
    ...{ site, firstAt: NaN, allocations: 0, frees: 0, liveCount: 0, liveBytes: 0, oldFrees: 0, liveSamples: 0 },
    ...{ liveVariance: 0, sampled: false, births: new Float32Array(BIRTH_BINS), birthsUntil: NaN, peakBytes: 0 },
    ...{ points: null, seenAt: NaN, state: 'LEARNING', evaluatedAt: NaN, leakingSince: NaN, changedAt: NaN },
    ...{ quiet: 0, quietSince: NaN },
  };
}

/** Takes new figures of the site. `before` is the time of the reading before, until which the old ones stood. */
export function takeFigures(
  record: SiteRecord,
  figures: SiteFigures,
  time: { at: number; before: number; birthsUntil: number; step: number; sampled: boolean },
): void {
  if (!Number.isNaN(record.seenAt)) {
    record.points ??= beginPoints(record, time.step);
    carryPoints(record.points, time.before);
  }
  record.firstAt = timeBefore(figures.firstAt, time.at);
  record.allocations = natural(figures.allocations);
  record.frees = natural(figures.frees);
  record.liveCount = natural(figures.liveCount);
  record.liveBytes = natural(figures.liveBytes);
  record.oldFrees = natural(figures.oldFrees);
  record.liveSamples = natural(figures.liveSamples);
  record.liveVariance = natural(figures.liveVariance);
  record.sampled = time.sampled || record.liveVariance > 0;
  for (let bin = 0; bin < BIRTH_BINS; bin++) record.births[bin] = natural(figures.births[bin]);
  record.birthsUntil = Math.max(record.firstAt, time.birthsUntil);
  record.peakBytes = Math.max(record.peakBytes, record.liveBytes);
  record.seenAt = time.at;
  if (record.points) addPoint(record.points, time.at, record.liveBytes, record.liveCount);
}

/** The points up to now: unchanged figures stand. Null when there was one reading only. */
export function pointsUntil(record: SiteRecord, at: number, step: number): LivePoints | null {
  if (at > record.seenAt) record.points ??= beginPoints(record, step);
  if (record.points) carryPoints(record.points, at);
  return record.points;
}

function beginPoints({ seenAt, liveBytes, liveCount }: SiteRecord, step: number): LivePoints {
  const points = createLivePoints(seenAt, step);
  addPoint(points, seenAt, liveBytes, liveCount);
  return points;
}

/** No figure of a process is larger; beyond, what is computed from it would not be a number. */
const MOST = 2 ** 60;

function natural(value: number | undefined): number {
  return value !== undefined && value > 0 ? Math.min(value, MOST) : 0;
}

function timeBefore(value: number, at: number): number {
  return value >= 0 && value <= at ? value : at;
}
