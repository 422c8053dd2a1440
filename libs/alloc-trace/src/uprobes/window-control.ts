import type { BlockLedger } from './block-ledger.js';
import type { ProbeSession } from './probe-session.js';
import { SURVIVAL_NS } from './block-ledger.js';
import {
  chargedCost,
  costOf,
  planWindow,
  type Follow,
  type Hits,
  type PlanLimits,
  type ProbeCosts,
  type WindowPlan,
} from './window-plan.js';

/** Opens and closes windows so that the probes keep within their budget. Times are nanoseconds of the trace clock. */
export interface WindowControl {
  /** Whether an allocation at a time falls into the open window. */
  allocating(time: number): boolean;
  /** Looks at what was spent and lost, and opens or closes what is due. */
  steer(): Promise<void>;
  /** Closes the window and switches all off, until `resume`. */
  pause(): Promise<void>;
  resume(): void;
  /** The window has just been opened: what it costs is to be seen soon. */
  readonly fresh: boolean;
  /** Up to now. */
  readonly report: ControlReport;
}

export interface ControlReport {
  windows: number;
  /** Windows that cost more than was planned and were closed early. */
  cut: number;
  /** Windows that lost events. */
  lossy: number;
  /** Nanoseconds in which allocations, and in which frees, were watched. */
  watched: number;
  covered: number;
  /** Of all processes of the host, and of the traced one and its children. */
  hits: Hits;
  own: Hits;
}

export interface WindowControlOptions {
  session: ProbeSession;
  ledger: BlockLedger;
  limits: PlanLimits;
  costs: ProbeCosts;
  stackWords: number;
  now(): number;
  random(): number;
  /** Takes what the buffers hold into the ledger. */
  drain(): void;
  /** The window is closed: calls that have not returned will not be seen to. */
  forget(): void;
}

/** What a window may cost beyond the budget before it is cut, in seconds of the budget. */
const BURST_SECONDS = 2;
/** A rate needs at least so long to be known, seconds. */
const KNOWN_AFTER = 0.05;
/** Switching keeps the kernel busy: nanoseconds between two windows at least. */
const SHORTEST_PAUSE = 2e8;
const FRESH = 3e8;

const NO_HITS: Hits = { enter: 0, leave: 0, drop: 0 };

interface State {
  on: { enter: boolean; leave: boolean; drop: boolean };
  paused: boolean;
  openedAt: number;
  closedAt: number;
  coveredFrom: number;
  plan: WindowPlan;
  /** CPU seconds spent beyond the budget; never below 0: time that was quiet is not saved up. */
  debt: number;
  reopenAt: number;
  /** At the last look. */
  time: number;
  lost: number;
  /** Cost a second, of frees alone. */
  freesRate: number;
  /** Seconds counted against the budget since the start, and what they come from when the window was opened. */
  charged: number;
  atOpening: { charged: number; own: Hits; hits: Hits };
  cutAt: number | null;
}

export function windowControl(options: WindowControlOptions): WindowControl {
  const { ledger, now, limits } = options;
  const state = freshState(now());
  const report: ControlReport = {
    windows: 0,
    cut: 0,
    lossy: 0,
    watched: 0,
    covered: 0,
    hits: { ...NO_HITS },
    own: { ...NO_HITS },
  };
  const burst = limits.share * BURST_SECONDS;
  const steer = async (): Promise<void> => {
    const lost = options.session.pipes.lost();
    const before = state.time;
    account(options, state, report);
    const lossy = lost > state.lost;
    state.lost = lost;
    if (state.paused) return;
    if (lossy) await afterLoss(options, state, report, before);
    else if (ledger.window !== null) await steerWindow(options, state, report, burst);
    else await steerPause(options, state, report, burst);
    const rested = state.time - state.closedAt >= SHORTEST_PAUSE;
    if (ledger.window === null && rested && state.debt <= state.reopenAt) await open(options, state, report);
  };
  return {
    allocating: (time) =>
      ledger.window !== null && time >= state.openedAt && (state.cutAt === null || time <= state.cutAt),
    steer,
    pause: async () => {
      state.paused = true;
      await close(options, state, report, now(), 'none');
      await uncover(options, state, report, now());
    },
    resume: () => void (state.paused = false),
    get fresh() {
      return ledger.window !== null && now() - state.openedAt < FRESH;
    },
    get report() {
      // With what is open now.
      const watched = ledger.window === null ? 0 : Math.max(0, now() - state.openedAt);
      const covered = state.on.drop ? Math.max(0, now() - state.coveredFrom) : 0;
      return { ...report, watched: report.watched + watched, covered: report.covered + covered };
    },
  };
}

function freshState(time: number): State {
  return {
    on: { enter: false, leave: false, drop: false },
    paused: false,
    openedAt: 0,
    closedAt: 0,
    coveredFrom: 0,
    plan: { length: Infinity, follow: 'always' },
    debt: 0,
    reopenAt: 0,
    time,
    lost: 0,
    freesRate: 0,
    charged: 0,
    atOpening: { charged: 0, own: { ...NO_HITS }, hits: { ...NO_HITS } },
    cutAt: null,
  };
}

function account(options: WindowControlOptions, state: State, report: ControlReport): void {
  const { session, limits, now } = options;
  const hits = session.hits();
  const own = { ...session.pipes.seen };
  own.leave += state.lost;
  const time = now();
  const seconds = Math.max(1e-6, (time - state.time) / 1e9);
  const frees = chargeOf(options, onlyDrops(own, report.own), onlyDrops(hits, report.hits)) / seconds;
  if (state.on.drop && seconds > 0.005) state.freesRate = state.freesRate * 0.8 + frees * 0.2;
  const charged = chargeOf(options, own, hits);
  state.debt = Math.max(0, state.debt + (charged - state.charged) - limits.share * seconds);
  state.time = time;
  state.charged = charged;
  report.hits = hits;
  report.own = own;
}

function chargeOf({ costs, stackWords, limits }: WindowControlOptions, own: Hits, all: Hits): number {
  return chargedCost(costOf(own, costs, stackWords), costOf(all, costs, stackWords), limits);
}

function onlyDrops(now: Hits, before: Hits): Hits {
  return { enter: 0, leave: 0, drop: now.drop - before.drop };
}

async function steerWindow(
  options: WindowControlOptions,
  state: State,
  report: ControlReport,
  burst: number,
): Promise<void> {
  const length = (state.time - state.openedAt) / 1e9;
  const over = state.debt > burst * 2;
  if (length < state.plan.length && !over) return;
  const seconds = Math.max(KNOWN_AFTER, length);
  const { own, hits } = state.atOpening;
  const frees = chargeOf(options, onlyDrops(report.own, own), onlyDrops(report.hits, hits)) / seconds;
  const rates = { all: (state.charged - state.atOpening.charged) / seconds, frees };
  state.freesRate = frees;
  const next = planWindow(rates, options.limits);
  if (next.length === Infinity && !over) {
    state.plan = next;
    return;
  }
  if (length < state.plan.length && state.plan.length !== Infinity) report.cut += 1;
  // A burst in a quiet process: the rate over the whole window says nothing of what comes.
  state.plan = next.length === Infinity ? { length: options.limits.shortest, follow: next.follow } : next;
  await close(options, state, report, state.time, state.plan.follow);
  state.reopenAt = state.debt * 0.3 * options.random();
}

async function steerPause(
  options: WindowControlOptions,
  state: State,
  report: ControlReport,
  burst: number,
): Promise<void> {
  if (!state.on.drop) return;
  const sinceClosing = state.time - state.closedAt;
  const enough = state.plan.follow === 'survival' && sinceClosing >= SURVIVAL_NS * 1.05;
  const tooDear =
    state.plan.follow === 'always'
      ? state.debt > burst * 4
      : sinceClosing > 2e8 && state.freesRate > options.limits.followShare * 2;
  if (enough || tooDear) await uncover(options, state, report, state.time);
}

async function open(options: WindowControlOptions, state: State, report: ControlReport): Promise<void> {
  const { session, ledger, now } = options;
  await session.record(true);
  if (!state.on.drop) {
    await toggle(session, state, 'drop', true);
    state.coveredFrom = now();
    ledger.beginCoverage(state.coveredFrom);
  }
  await toggle(session, state, 'leave', true);
  await toggle(session, state, 'enter', true);
  state.openedAt = now();
  state.cutAt = null;
  account(options, state, report);
  state.atOpening = { charged: state.charged, own: report.own, hits: report.hits };
  ledger.openWindow(state.openedAt);
  report.windows += 1;
}

/** Allocations after `at` do not count. Frees are watched on unless `follow` says otherwise. */
async function close(
  options: WindowControlOptions,
  state: State,
  report: ControlReport,
  at: number,
  follow: Follow,
): Promise<void> {
  const { session, ledger } = options;
  state.cutAt = at;
  await toggle(session, state, 'enter', false);
  await toggle(session, state, 'leave', false);
  options.drain();
  options.forget();
  if (ledger.window !== null) report.watched += Math.max(0, at - state.openedAt);
  ledger.closeWindow(at);
  state.closedAt = at;
  if (follow === 'none') await uncover(options, state, report, at);
}

async function uncover(options: WindowControlOptions, state: State, report: ControlReport, at: number): Promise<void> {
  if (!state.on.drop) return;
  await toggle(options.session, state, 'drop', false);
  await options.session.record(false);
  options.drain();
  options.ledger.endCoverage(at);
  report.covered += Math.max(0, at - state.coveredFrom);
}

/** Between two looks events were lost: what was watched ends at the first of them. */
async function afterLoss(
  options: WindowControlOptions,
  state: State,
  report: ControlReport,
  before: number,
): Promise<void> {
  report.lossy += 1;
  await options.session.record(false);
  const at = Math.max(before, Math.min(state.time, state.openedAt + 1));
  if (options.ledger.window !== null) {
    state.plan = { length: options.limits.shortest / 2, follow: 'none' };
    await close(options, state, report, at, 'none');
    state.reopenAt = 0;
  } else await uncover(options, state, report, at);
  // Those lost until recording was off are of what ended here.
  state.lost = options.session.pipes.lost();
}

async function toggle(
  session: ProbeSession,
  state: State,
  event: 'enter' | 'leave' | 'drop',
  on: boolean,
): Promise<void> {
  if (state.on[event] === on) return;
  await session.enable(event, on);
  state.on[event] = on;
}
