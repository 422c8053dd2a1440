import { SURVIVAL_MS } from '@tidemark/contracts';
import type { RawStack } from '../trace-source.js';

/**
 * A time in which allocations were watched. It stands for itself and the gap before it, so what was seen in it counts
 * `weight` times: (gap + length) / length. Times are nanoseconds of the trace clock.
 */
export interface Window {
  number: number;
  openedAt: number;
  closedAt: number | null;
  gap: number;
  /** Nanoseconds watched before it was opened, in all. */
  before: number;
}

export interface Block {
  address: number;
  size: number;
  time: number;
  site: Site;
  window: Window;
  /** It was watched without a gap from its birth until it had outlived the survival time. */
  proved: boolean;
}

/** Sums over windows of what one of them stands for: of counts and of bytes. */
export interface Sums {
  count: number;
  bytes: number;
  /** Sum of squares over windows with a gap before, for the variance between windows. */
  countSquares: number;
  bytesSquares: number;
  countGapped: number;
  bytesGapped: number;
  /** Variance within windows as if allocations came independently: w (w - 1), of bytes w (w - 1) s^2. */
  countVariance: number;
  bytesVariance: number;
}

export interface Site {
  id: number;
  stack: RawStack;
  firstAt: number;
  /** `firstAt` in nanoseconds watched; undefined before its first allocation. */
  firstWatched?: number;
  sums: Sums;
  /** In the open window. */
  open: { count: number; bytes: number; squares: number };
  oldFrees: number;
}

export const SURVIVAL_NS = SURVIVAL_MS * 1e6;
/** Later windows in which a block's address must not show up again before the block passes as alive unproved. */
export const RECHECKS = 5;
/** Bounds what one block can be held up to: a window that was cut at once stands for no more than this. */
const MAX_WEIGHT = 10_000;

export function weightOf(window: Window, now: number): number {
  if (window.gap <= 0) return 1;
  const length = Math.max(1, (window.closedAt ?? now) - window.openedAt);
  return Math.min(MAX_WEIGHT, (window.gap + length) / length);
}

/** A time within a window, or after it, on a clock that runs only while allocations are watched; nanoseconds. */
export function watchedAt(window: Window, time: number): number {
  return window.before + Math.max(0, Math.min(time, window.closedAt ?? time) - window.openedAt);
}

export function emptySums(): Sums {
  return {
    count: 0,
    bytes: 0,
    countSquares: 0,
    bytesSquares: 0,
    countGapped: 0,
    bytesGapped: 0,
    countVariance: 0,
    bytesVariance: 0,
  };
}

export interface BlockLedger {
  readonly blocks: ReadonlyMap<number, Block>;
  readonly window: Window | null;
  /** Windows with a gap before them that are closed. */
  readonly gappedWindows: number;
  /** Calls seen, died young (two calls each), no room, freed unseen. */
  readonly counts: { calls: number; cancelled: number; noRoom: number; unseen: number; unknown: number };
  openWindow(at: number): void;
  closeWindow(at: number): void;
  /** Nanoseconds in which allocations were watched, until `now`. */
  watchedUntil(now: number): number;
  /** From here on every free is seen. */
  beginCoverage(at: number): void;
  /** From here on frees go unseen. */
  endCoverage(at: number): void;
  allocated(time: number, address: number, size: number, site: Site): void;
  released(time: number, address: number): (() => void) | null;
  unknown(): void;
  isSurvivor(block: Block, now: number): boolean;
}

export interface LedgerState {
  blocks: Map<number, Block>;
  window: Window | null;
  lastClosed: number;
  watched: number;
  windows: number;
  gapped: number;
  coveredFrom: number | null;
  touched: Set<Site>;
}

/** Blocks known alive, by address, and what sites have allocated. `begin` is when the tracing began. */
export function blockLedger(begin: number, maxBlocks: number): BlockLedger {
  const counts = { calls: 0, cancelled: 0, noRoom: 0, unseen: 0, unknown: 0 };
  const state: LedgerState = {
    blocks: new Map(),
    window: null,
    lastClosed: begin,
    watched: 0,
    windows: 0,
    gapped: 0,
    coveredFrom: null,
    touched: new Set(),
  };
  const released = (time: number, address: number): (() => void) | null => {
    counts.calls += 1;
    const block = state.blocks.get(address);
    if (block === undefined) return null;
    state.blocks.delete(address);
    const old = time - block.time >= SURVIVAL_NS ? weightOf(block.window, time) : 0;
    block.site.oldFrees += old;
    if (old === 0) counts.cancelled += 2;
    return () => {
      counts.calls -= 1;
      if (old === 0) counts.cancelled -= 2;
      block.site.oldFrees -= old;
      state.blocks.set(address, block);
    };
  };
  return {
    blocks: state.blocks,
    get window() {
      return state.window;
    },
    get gappedWindows() {
      return state.gapped;
    },
    counts,
    openWindow: (at) => openWindow(state, at),
    closeWindow: (at) => closeWindow(state, at),
    watchedUntil: (now) => (state.window === null ? state.watched : watchedAt(state.window, now)),
    beginCoverage: (at) => void (state.coveredFrom ??= at),
    endCoverage: (at) => endCoverage(state, at),
    allocated: (time, address, size, site) => {
      if (state.window === null || !(size <= Number.MAX_SAFE_INTEGER)) return;
      counts.calls += 1;
      site.firstWatched ??= watchedAt(state.window, time);
      countAllocation(state, site, size);
      // The address is given out again: its free went unseen.
      if (state.blocks.delete(address)) counts.unseen += 1;
      if (state.blocks.size >= maxBlocks) counts.noRoom += 1;
      else state.blocks.set(address, { address, size, time, site, window: state.window, proved: false });
    },
    released,
    unknown: () => void (counts.unknown += 1),
    isSurvivor: (block, now) => isSurvivor(state, block, now),
  };
}

function countAllocation(state: LedgerState, site: Site, size: number): void {
  site.open.count += 1;
  site.open.bytes += size;
  site.open.squares += size * size;
  state.touched.add(site);
}

function openWindow(state: LedgerState, at: number): void {
  if (state.window !== null) return;
  const gap = Math.max(0, at - state.lastClosed);
  // The first window begins the trace: nothing lies before it.
  const { windows: number, watched: before } = state;
  state.window = { number, openedAt: at, closedAt: null, gap: number === 0 ? 0 : gap, before };
  state.windows += 1;
}

function closeWindow(state: LedgerState, at: number): void {
  const { window } = state;
  if (window === null) return;
  window.closedAt = Math.max(at, window.openedAt + 1);
  state.lastClosed = window.closedAt;
  state.watched = watchedAt(window, window.closedAt);
  state.window = null;
  if (window.gap > 0) state.gapped += 1;
  for (const site of state.touched) {
    addWindow(site.sums, site.open, window, at);
    site.open = { count: 0, bytes: 0, squares: 0 };
  }
  state.touched.clear();
}

/** Adds what an open or closed window saw, times what it stands for. */
export function addWindow(sums: Sums, seen: Site['open'], window: Window, now: number): void {
  const weight = weightOf(window, now);
  const [count, bytes] = [seen.count * weight, seen.bytes * weight];
  sums.count += count;
  sums.bytes += bytes;
  if (window.gap <= 0) return;
  sums.countGapped += count;
  sums.bytesGapped += bytes;
  sums.countSquares += count * count;
  sums.bytesSquares += bytes * bytes;
  sums.countVariance += weight * (weight - 1) * seen.count;
  sums.bytesVariance += weight * (weight - 1) * seen.squares;
}

function endCoverage(state: LedgerState, at: number): void {
  const from = state.coveredFrom;
  if (from === null) return;
  state.coveredFrom = null;
  for (const block of state.blocks.values()) {
    if (block.time >= from && at - block.time >= SURVIVAL_NS) block.proved = true;
  }
}

function isSurvivor(state: LedgerState, block: Block, now: number): boolean {
  if (now - block.time < SURVIVAL_NS) return false;
  if (block.proved || (state.coveredFrom !== null && state.coveredFrom <= block.time)) return true;
  return state.windows - 1 - block.window.number >= RECHECKS;
}
