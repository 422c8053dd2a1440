import type { Finding, NodeId } from '@tidemark/contracts';
import type { PartitionContext } from '@tidemark/event-log';
import type { Logger } from '@tidemark/service';
import type { DetectMetrics } from './detect-metrics.js';
import { noDetectorHistory, type DetectorHistory, type KeptSeries } from './detector-history.js';
import { keptFindings, keptProcess, keptServices } from './memory-of-before.js';
import { settledWithin } from './settled-within.js';
import type { WatchedNode } from './watched-node.js';

/** When what is known is brought to history, milliseconds. */
export interface KeepTimes {
  /** Between two savings, while chunks come. */
  everyMs: number;
  /** After the last chunk. */
  idleMs: number;
  /** Between two looks whether something is to be done; also between two commits. */
  lookMs: number;
  /** What a conclusion waits at most before it is told, so that history has it first. */
  newsMs: number;
  /** How long the position waits for a history that takes nothing. Then a restart forgets, but the log need not keep all. */
  holdMs: number;
  /** For everything, when the partition is given up. Less than a group gives for that. */
  closeMs: number;
}

export interface StateKeeperDeps {
  context: PartitionContext;
  history: DetectorHistory;
  nodes: ReadonlyMap<NodeId, WatchedNode>;
  /** Findings of a node that are concluded and that the log does not have yet. */
  untold(node: NodeId): readonly Finding[];
  logger: Logger;
  metrics: DetectMetrics;
  times: KeepTimes;
  /** Series kept when the partition is given up, at most: what is left out begins again from the rollups. */
  keepAtMost: number;
}

/** Rows of one insert when the partition is given up. */
const SLICE_ROWS = 2_000;

/**
 * Brings what is known to history, and moves the partition's position after it: whoever goes on from there finds in history
 * what all earlier records made. The position is never ahead of that, so a kill loses nothing.
 */
export class StateKeeper {
  readonly #deps: StateKeeperDeps;
  readonly #keeps: boolean;
  #next = -1;
  #committed = -1;
  #judging = false;
  #closed = false;
  #busy = false;
  #judgedAt = 0;
  #savedAt = performance.now();
  #committedAt = performance.now();
  #timer: NodeJS.Timeout | undefined;
  /** Savings go one after another, so that an older state never comes after a newer one. */
  #queue: Promise<unknown> = Promise.resolve();
  /** History did not take the last news in time: the next ones do not wait for it. */
  #slow = false;

  constructor(deps: StateKeeperDeps) {
    this.#deps = deps;
    this.#keeps = deps.history !== noDetectorHistory;
  }

  /** The record at the offset is about to be judged: nothing is saved until `judged`. A promise when that must wait. */
  begin(offset: number): Promise<void> | undefined {
    this.#judging = true;
    this.#next = Math.max(this.#next, offset);
    // From the first commit on, what is acknowledged frees the window and moves no position.
    return this.#committed < 0 ? this.#commit(offset) : undefined;
  }

  /** Everything before the offset is judged and told. */
  judged(next: number): void {
    this.#next = next;
    this.#judging = false;
    this.#judgedAt = performance.now();
    this.#look();
  }

  /** Keeps conclusions before they are told, so that the next owner can tell them; waits for it in bounded time. */
  async keepNews({ node, detector, open, missing }: WatchedNode): Promise<void> {
    if (!this.#keeps || missing) return;
    const untold = this.#deps.untold(node);
    const pids = new Set(untold.map(({ process }) => process?.pid));
    const concerned = [...detector.notable].filter(({ pid }) => pids.has(pid));
    const saved = this.#save([
      keptFindings(node, detector.at, open, untold),
      ...concerned.map((process) => keptProcess(node, detector, process)),
    ]);
    if (!this.#slow) this.#slow = (await settledWithin(this.#deps.times.newsMs, saved)) === undefined;
  }

  /** Saves everything, what matters most first, and commits; in bounded time. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    const { closeMs } = this.#deps.times;
    const deadline = performance.now() + closeMs;
    const isSafe = await settledWithin(
      closeMs,
      this.#queue.then(() => this.#saveNotable()),
    );
    if (!isSafe) return;
    if (this.#next >= 0) await this.#commit(this.#next);
    if (this.#keeps) await this.#saveOthers(deadline);
  }

  #save(rows: KeptSeries[]): Promise<boolean> {
    const saved = this.#queue.then(() => saveRows(this.#deps, rows));
    this.#queue = saved.then(() => (this.#slow = false));
    return saved;
  }

  async #commit(offset: number): Promise<void> {
    if (offset !== this.#committed) await this.#deps.context.commit(offset);
    this.#committed = offset;
    this.#committedAt = performance.now();
  }

  #look(): void {
    if (this.#closed) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      void this.#settle();
    }, this.#deps.times.lookMs);
  }

  /** Saves what is due and moves the position. */
  async #settle(): Promise<void> {
    const { times, logger, context } = this.#deps;
    const now = performance.now();
    const isDue = now - this.#savedAt >= times.everyMs || now - this.#judgedAt >= times.idleMs;
    if (this.#judging || this.#busy || (this.#isDirty && !isDue)) return this.#look();
    this.#busy = true;
    const safe = this.#next;
    try {
      if ((await this.#saveNotable()) || this.#isHeldTooLong) await this.#commit(safe);
    } catch (error) {
      logger.debug({ partition: context.partition, error: (error as Error).message }, 'position was not committed');
    }
    this.#busy = false;
    if (this.#committed < this.#next) this.#look();
  }

  get #isHeldTooLong(): boolean {
    if (performance.now() - this.#committedAt < this.#deps.times.holdMs) return false;
    const { partition } = this.#deps.context;
    this.#deps.logger.warn(
      { partition },
      'history has not taken the detector state for long: a restart would forget it',
    );
    return true;
  }

  get #isDirty(): boolean {
    return this.#keeps && [...this.#deps.nodes.values()].some((one) => one.missing !== undefined || isWorthSaving(one));
  }

  /** Whether history has everything now that it should have. */
  async #saveNotable(): Promise<boolean> {
    if (!this.#keeps) return true;
    const nodes = [...this.#deps.nodes.values()];
    const dirty = nodes.filter(isWorthSaving);
    const isWhole = nodes.every(({ missing }) => !missing);
    const rows = dirty.flatMap((watched) => notableRows(watched, this.#deps.untold(watched.node)));
    if (rows.length === 0) return isWhole;
    this.#savedAt = performance.now();
    const undo = dirty.map(clearFlags);
    if (await this.#save(rows)) return isWhole;
    for (const again of undo) again();
    return false;
  }

  /** Those that would begin again from the rollups, as far as there is time. */
  async #saveOthers(deadline: number): Promise<void> {
    let left = this.#deps.keepAtMost;
    for (const rows of slices(this.#deps.nodes.values())) {
      const ms = deadline - performance.now();
      if (ms <= 0 || left <= 0) break;
      left -= rows.length;
      if (!(await settledWithin(ms, this.#save(rows)))) break;
    }
  }
}

/** What history could not tell of is not overwritten there. */
function isWorthSaving({ missing, dirty, book, bookDirty, openDirty, detector }: WatchedNode): boolean {
  if (missing) return false;
  return (bookDirty && book.services.size > 0) || openDirty || (dirty && detector.notable.size > 0);
}

function notableRows(watched: WatchedNode, untold: readonly Finding[]): KeptSeries[] {
  const { node, detector, book, open, bookDirty, openDirty } = watched;
  return [
    ...(openDirty ? [keptFindings(node, detector.at, open, untold)] : []),
    ...(bookDirty ? keptServices(node, detector.at, book) : []),
    ...Array.from(detector.notable, (process) => keptProcess(node, detector, process)),
  ];
}

function clearFlags(watched: WatchedNode): () => void {
  const { dirty, bookDirty, openDirty } = watched;
  Object.assign(watched, { dirty: false, bookDirty: false, openDirty: false });
  return () => {
    watched.dirty ||= dirty;
    watched.bookDirty ||= bookDirty;
    watched.openDirty ||= openDirty;
  };
}

function* slices(nodes: Iterable<WatchedNode>): Generator<KeptSeries[]> {
  let rows: KeptSeries[] = [];
  for (const { node, detector, missing } of nodes) {
    if (missing) continue;
    for (const process of detector.processes()) {
      if (detector.notable.has(process)) continue;
      rows.push(keptProcess(node, detector, process));
      if (rows.length < SLICE_ROWS) continue;
      yield rows;
      rows = [];
    }
  }
  if (rows.length > 0) yield rows;
}

/** History that is away must not hold up judging: false when it did not take the rows. */
async function saveRows({ history, logger, metrics, context }: StateKeeperDeps, rows: KeptSeries[]): Promise<boolean> {
  try {
    await history.saveSeries(rows);
    metrics.saved.inc(rows.length);
    return true;
  } catch (error) {
    const { partition } = context;
    logger.warn({ partition, error: (error as Error).message }, 'detector state was not kept; will try again');
    return false;
  }
}
