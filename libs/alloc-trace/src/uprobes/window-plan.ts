import type { ProbeEvent } from './probe-group.js';

/**
 * What probes cost the processes that run into them, microseconds of CPU a hit, as `npm run bench -- uprobes` measured on a
 * virtual machine, where traps are dear.
 */
export interface ProbeCosts {
  enter: number;
  leave: number;
  drop: number;
  /** More for an entry or a drop at an instruction that the kernel does not emulate. */
  stepped: number;
  /** More for a leave with each word of the stack it copies. */
  word: number;
}

export const MEASURED_COSTS: ProbeCosts = { enter: 1, leave: 1.4, drop: 1, stepped: 3, word: 0.061 };

/** With what stepping adds, where malloc or free, which are nearly all calls, are stepped. */
export function costsAt(
  places: readonly { name: string; kind: string; stepped: boolean }[],
  costs: ProbeCosts,
): ProbeCosts {
  const stepped = (release: boolean): boolean =>
    places.some(
      (place) => /(^|_)(malloc|free)$/.test(place.name) && (place.kind === 'release') === release && place.stepped,
    );
  return {
    ...costs,
    enter: costs.enter + (stepped(false) ? costs.stepped : 0),
    drop: costs.drop + (stepped(true) ? costs.stepped : 0),
  };
}

export type Hits = Record<ProbeEvent, number>;

/** CPU time that hits have cost, seconds. */
export function costOf(hits: Hits, costs: ProbeCosts, stackWords: number): number {
  const leave = costs.leave + costs.word * stackWords;
  return (hits.enter * costs.enter + hits.leave * leave + hits.drop * costs.drop) / 1e6;
}

export interface PlanLimits {
  /** Share of one CPU that probes may cost the traced process in the long run. */
  share: number;
  /** The same of all processes of the host together: the kernel sets a probe in each that maps the probed file. */
  hostShare: number;
  /** Shortest window, seconds: what switching costs must be small against it. */
  shortest: number;
  /** Share of one CPU that watching frees alone may cost for the survival time after a window. */
  followShare: number;
}

/** Cost a second that was measured in the last windows: of all probes, and of those on frees alone. */
export interface MeasuredRates {
  all: number;
  frees: number;
}

/** What follows a window: frees are watched all the time, for the survival time, or not at all. */
export type Follow = 'always' | 'survival' | 'none';

export interface WindowPlan {
  /** Length of the next window, seconds; Infinity: it need not end. */
  length: number;
  follow: Follow;
}

/** Cost of one window, in seconds of the budget: long enough to see some thousand calls. */
const BURST_SECONDS = 2;

/**
 * The next window: without an end while all probes together stay in the budget, else as long as costs two seconds' budget.
 * Between windows frees are watched for as much of the time as can be had.
 */
export function planWindow(rates: MeasuredRates, limits: PlanLimits): WindowPlan {
  if (rates.all <= limits.share) return { length: Infinity, follow: 'always' };
  const length = Math.max(limits.shortest, (limits.share * BURST_SECONDS) / rates.all);
  if (rates.frees <= limits.share / 2) return { length, follow: 'always' };
  return { length, follow: rates.frees <= limits.followShare ? 'survival' : 'none' };
}

/**
 * What counts against `share`, seconds: what the traced process paid, or, when the others pay more for it than they may,
 * theirs brought to the same measure.
 */
export function chargedCost(own: number, all: number, { share, hostShare }: PlanLimits): number {
  return Math.max(own, (all * share) / hostShare);
}
