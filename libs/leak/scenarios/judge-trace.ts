import {
  closeSeries,
  createSeries,
  createServiceBook,
  observe,
  takeServiceTransition,
  type DetectorProfile,
  type Transition,
} from '../src/index.js';
import type { Trace } from './scenario.js';

export interface Outcome {
  /** Time from the trace's start to the first of each, ms; null when it never came. Process and service alike. */
  suspectedAfter: number | null;
  confirmedAfter: number | null;
  imminentAfter: number | null;
  /** SUSPECTED entries, and state changes altogether. */
  suspicions: number;
  changes: number;
  /** Observed time, ms. */
  length: number;
}

/** Runs the detector over a trace as the detect stage would: one series a life, one book for the service. */
export function judgeTrace(profile: DetectorProfile, trace: Trace, step: number): Outcome {
  const outcome: Outcome = {
    ...{ suspectedAfter: null, confirmedAfter: null, imminentAfter: null, suspicions: 0, changes: 0, length: 0 },
  };
  const book = createServiceBook(profile);
  const begin = trace.lives[0]?.startedAt ?? 0;
  const note = (transition: Transition | null): void => {
    if (!transition) return;
    const after = transition.at - begin;
    if (transition.imminent) outcome.imminentAfter ??= after;
    if (transition.from === transition.to) return;
    outcome.changes++;
    if (transition.to === 'SUSPECTED') outcome.suspicions++;
    if (transition.to === 'SUSPECTED' || transition.to === 'CONFIRMED') outcome.suspectedAfter ??= after;
    if (transition.to === 'CONFIRMED') outcome.confirmedAfter ??= after;
  };
  for (const life of trace.lives) {
    const series = createSeries(profile, { startedAt: life.startedAt, service: 'scenario' });
    for (const { at, bytes } of life.readings(step)) note(observe(series, { at, bytes, limit: trace.limit }, book));
    outcome.length += life.length;
    if (life.cause === null) continue;
    note(closeSeries(series, life.startedAt + life.length, life.cause, book));
    note(takeServiceTransition(book, 'scenario'));
  }
  return outcome;
}
