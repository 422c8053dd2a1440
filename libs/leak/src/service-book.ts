import type { LeakState } from '@tidemark/contracts';
import type { DetectorProfile } from './profile.js';
import { get, R, stateOf, type SeriesRecord } from './registers.js';
import { summarise, type ServiceEpoch } from './service-epoch.js';
import { isBatch, judgeService, type ServiceVerdict } from './service-verdict.js';
import type { ServiceWord } from './state-machine.js';
import type { EndCause, Transition } from './types.js';

/** A living process of the service that is suspected, known by its start. */
export interface Suspect {
  startedAt: number;
  at: number;
}

export interface ServiceRecord {
  /** Ended epochs, oldest first; bounded. */
  epochs: ServiceEpoch[];
  suspects: Suspect[];
  state: LeakState;
  since: number;
  openedAt: number | null;
  /** State that was last told by `takeServiceTransition`. */
  told: LeakState;
  /** When the last growth was over: earlier epochs are no evidence for the next one. */
  clearedAt: number;
}

/**
 * Evidence per service across restarts: what a process that is restarted every hour never lives long enough to show.
 * Holds the last 64 lives of at most `services` services; the one heard of longest ago makes room.
 */
export interface ServiceBook {
  readonly profile: DetectorProfile;
  /** In order of last change. */
  readonly services: Map<string, ServiceRecord>;
}

export function createServiceBook(profile: DetectorProfile): ServiceBook {
  return { profile, services: new Map() };
}

function touch(book: ServiceBook, service: string, at: number): ServiceRecord {
  const known = book.services.get(service);
  const record: ServiceRecord = known ?? {
    ...{ epochs: [], suspects: [], state: 'LEARNING', told: 'LEARNING' },
    ...{ since: at, openedAt: null, clearedAt: -1 },
  };
  book.services.delete(service);
  book.services.set(service, record);
  if (book.services.size > book.profile.service.services) {
    for (const oldest of book.services.keys()) {
      book.services.delete(oldest);
      break;
    }
  }
  return record;
}

/** An epoch of the series is over: it becomes evidence of its service. */
export function closeEpoch(book: ServiceBook, series: SeriesRecord, cause: EndCause): void {
  const at = get(series, R.at);
  const record = touch(book, series.service, at);
  const { epochs, retention } = book.profile.service;
  record.epochs.push(summarise(series, cause));
  const oldest = at - retention;
  record.epochs = record.epochs.filter((epoch) => epoch.endedAt >= oldest).slice(-epochs);
  forgetSuspect(record, get(series, R.startedAt));
  const verdict = judgeService(book.profile, record);
  if (verdict.state === record.state) return;
  record.state = verdict.state;
  record.since = at;
  if (verdict.state === 'SUSPECTED' || verdict.state === 'CONFIRMED') record.openedAt ??= at;
  if (verdict.state === 'CLEARED') record.clearedAt = at;
}

function forgetSuspect(record: ServiceRecord, startedAt: number): void {
  record.suspects = record.suspects.filter((suspect) => suspect.startedAt !== startedAt);
}

/** Keeps which living processes are suspected. */
export function noteState(book: ServiceBook, series: SeriesRecord, transition: Transition): void {
  const startedAt = get(series, R.startedAt);
  const suspected = transition.to === 'SUSPECTED' || transition.to === 'CONFIRMED';
  if (!suspected && !book.services.has(series.service)) return;
  const record = touch(book, series.service, transition.at);
  const known = record.suspects.find((suspect) => suspect.startedAt === startedAt);
  if (!suspected) forgetSuspect(record, startedAt);
  if (!suspected || known) return;
  // One that was never closed (its collector died) must not testify for ever.
  const oldest = transition.at - book.profile.cleared.rearm;
  record.suspects.push({ startedAt, at: transition.at });
  record.suspects = record.suspects.filter(({ at }) => at >= oldest).slice(-book.profile.service.epochs);
}

/** What the book has to say to the judgement of one of the service's processes. */
export function serviceWord(series: SeriesRecord, book: ServiceBook | undefined): ServiceWord {
  const { gate, confirmed } = series.profile;
  const record = book?.services.get(series.service);
  if (!record) return { gate: gate.minimum, leaks: false, corroborated: false, usual: 0 };
  const state = stateOf(series);
  const plateau = state === 'LEARNING' ? gate.plateauFactor * learnedPlateau(record.epochs) : 0;
  return {
    gate: Math.min(gate.maximum, Math.max(gate.minimum, plateau)),
    leaks: record.state === 'SUSPECTED' || record.state === 'CONFIRMED',
    corroborated: state === 'SUSPECTED' && isCorroborated(series, record, confirmed),
    usual: usualPeak(series.profile, record),
  };
}

/**
 * Instances count when they began at different times and were suspected at different times: processes of one age share
 * their warm-up, and a wave of load lifts all of them at once.
 */
function isCorroborated(
  series: SeriesRecord,
  record: ServiceRecord,
  { instances, instanceSpread, epochs }: DetectorProfile['confirmed'],
): boolean {
  const startedAt = get(series, R.startedAt);
  const since = get(series, R.since);
  const others = record.suspects.filter(
    (suspect) =>
      Math.abs(suspect.startedAt - startedAt) >= instanceSpread && Math.abs(suspect.at - since) >= instanceSpread,
  );
  if (others.length + 1 >= instances) return true;
  if (isBatch(series.profile, record.epochs)) return false;
  return record.epochs.filter((epoch) => epoch.suspected && epoch.startedAt > record.clearedAt).length + 1 >= epochs;
}

/** A batch job may exceed its highest run by a tenth before it is remarkable. */
const REMARKABLE = 1.1;

function usualPeak(profile: DetectorProfile, { epochs }: ServiceRecord): number {
  if (!isBatch(profile, epochs)) return 0;
  return REMARKABLE * epochs.reduce((highest, epoch) => Math.max(highest, epoch.peak), 0);
}

/** Ninetieth percentile of the ages at which lives that did not leak levelled off, ms; 0 for none. */
function learnedPlateau(epochs: readonly ServiceEpoch[]): number {
  const ages = epochs.flatMap(({ suspected, plateauAge }) => (suspected || plateauAge === null ? [] : [plateauAge]));
  ages.sort((a, b) => a - b);
  return ages[Math.min(ages.length - 1, Math.floor(ages.length * 0.9))] ?? 0;
}

/** Where a service stands; null for one that is not known. */
export interface ServiceStatus extends ServiceVerdict {
  since: number;
  openedAt: number | null;
}

export function serviceStatus(book: ServiceBook, service: string): ServiceStatus | null {
  const record = book.services.get(service);
  if (!record) return null;
  const verdict = judgeService(book.profile, record);
  return { ...verdict, state: record.state, since: record.since, openedAt: record.openedAt };
}

/** The change of a service's verdict since it was last taken; null when there is none. For a SERVICE_LEAK finding. */
export function takeServiceTransition(book: ServiceBook, service: string): Transition | null {
  const record = book.services.get(service);
  if (!record || record.told === record.state) return null;
  const from = record.told;
  const verdict = judgeService(book.profile, record);
  const last = record.epochs.at(-1);
  record.told = record.state;
  const transition: Transition = {
    ...{ at: record.since, from, to: record.state, imminentBefore: false, imminent: false },
    openedAt: record.openedAt ?? record.since,
    growth: verdict.growth,
    secondsToExhaustion: null,
    confidence: verdict.confidence,
    bytes: last?.bytes ?? 0,
    limit: last?.limit ?? null,
    evidence: verdict.evidence,
  };
  if (record.state === 'CLEARED') record.openedAt = null;
  return transition;
}
