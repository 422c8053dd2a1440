import type { LeakState } from '@tidemark/contracts';
import {
  createSeries,
  createServiceBook,
  leakStatus,
  observe,
  type DetectorProfile,
  type Series,
  type Transition,
} from '@tidemark/leak';
import type { SeriesRow } from './series-row.js';

type Time = number | string;

/** A line of the output: one change of the state of one series. */
export interface StateChange {
  series: string;
  at: Time;
  from: LeakState;
  to: LeakState;
  bytesPerHour: number | null;
  secondsToExhaustion: number | null;
  imminent: boolean;
  evidence: Record<string, number | null>;
}

/** The last word on one series. A time is null when that never happened. */
export interface SeriesSummary {
  series: string;
  state: LeakState;
  suspectedAt: Time | null;
  confirmedAt: Time | null;
  clearedAt: Time | null;
  imminentAt: Time | null;
  samples: number;
}

interface Judged {
  series: Series;
  newest: number;
  summary: SeriesSummary;
}

/** Judges rows of any number of series, mixed; of each series the rows must be in the order of time. */
export interface RowJudge {
  /** The change that the row brings about, if any. */
  judge(row: SeriesRow): StateChange | undefined;
  summaries(): SeriesSummary[];
  /** Rows that were no newer than one before them of the same series, and so could not be used. */
  readonly stale: number;
}

export function createRowJudge(profile: DetectorProfile): RowJudge {
  const known = new Map<string, Judged>();
  const book = createServiceBook(profile);
  let stale = 0;

  function judged(row: SeriesRow): Judged {
    let one = known.get(row.series);
    if (!one) {
      const series = createSeries(profile, { startedAt: row.at, service: row.service ?? row.series });
      const times = { suspectedAt: null, confirmedAt: null, clearedAt: null, imminentAt: null };
      const summary = { series: row.series, state: leakStatus(series).state, ...times, samples: 0 };
      one = { series, newest: -1, summary };
      known.set(row.series, one);
    }
    return one;
  }

  return {
    judge(row) {
      const one = judged(row);
      if (row.at <= one.newest) {
        stale++;
        return undefined;
      }
      one.newest = row.at;
      one.summary.samples++;
      const transition = observe(one.series, { at: row.at, bytes: row.bytes, limit: row.limit }, book);
      if (!transition) return undefined;
      note(one.summary, transition, timeOf(row, transition.at));
      if (transition.from === transition.to) return undefined;
      return {
        series: row.series,
        at: timeOf(row, transition.at),
        from: transition.from,
        to: transition.to,
        bytesPerHour: transition.growth?.bytesPerHour ?? null,
        secondsToExhaustion: transition.secondsToExhaustion,
        imminent: transition.imminent,
        evidence: transition.evidence,
      };
    },
    summaries: () => [...known.values()].map(({ summary }) => summary),
    get stale() {
      return stale;
    },
  };
}

/** The first time of each verdict is the one that counts: later ones are repetitions. */
function note(summary: SeriesSummary, transition: Transition, at: Time): void {
  summary.state = transition.to;
  if (transition.imminent) summary.imminentAt ??= at;
  if (transition.to === 'SUSPECTED' || transition.to === 'CONFIRMED') summary.suspectedAt ??= at;
  if (transition.to === 'CONFIRMED') summary.confirmedAt ??= at;
  if (transition.to === 'CLEARED') summary.clearedAt = at;
}

function timeOf(row: SeriesRow, at: number): Time {
  return row.timeFormat === 'epoch' ? at : new Date(at).toISOString();
}
