import * as format from './format.js';
import { LANE } from './format.js';
import type { RingLayout, RingState } from './header.js';
import type { RingFile } from './ring-file.js';
import { copySums, createSiteSums, growSums, SUM, SUM_WIDTH, type SiteSums } from './site-sums.js';
import { createWordBuffer, setBits, u64, u64At, type WordBuffer } from './words.js';

/** Sums over the lanes that belong to the activation. */
export interface LaneTotals {
  allocations: number;
  frees: number;
  passedAllocations: number;
  passedFrees: number;
  cancelled: number;
  dropped: number;
  unmatchedFrees: number;
  failed: number;
  /** The latest clock that a thread cached: the last sign of life of the allocator. */
  lastTicks: number;
  /** Lanes with figures. */
  lanes: number;
}

export interface LaneReader {
  /** Reads the head of each lane, and the figures of those that went on since the last call. `ended` leaves none out. */
  read(state: RingState, ended?: boolean): LaneTotals;
  /** Sums of the sites as of the last `read`. Changes with the next one. */
  readonly sums: SiteSums;
}

/** Part of a lane's page that changes with every call: activation to failed. Clock and generator say nothing new. */
const COUNTS_END = LANE.remaining;
const NEVER = 0xffff_ffff;
/**
 * Lanes are begun in order, so that after some that never had an owner none is expected. But one that got no memory is passed
 * over and stays like that: every so many reads all lanes are looked at.
 */
const UNUSED_LANES = 8;
const WHOLE_EVERY = 16;

/**
 * Lanes go on for the life of the process, and most of them stand still most of the time. Lanes that did not move between two
 * reads are summed once and kept; only the others are read again. A kept lane that moves makes the kept sum void.
 */
export function createLaneReader(file: RingFile, layout: RingLayout): LaneReader {
  const lanes = layout.lanes.capacity;
  const head = Buffer.alloc(format.LANE_HEAD_BYTES);
  const group = createWordBuffer(format.GROUP);
  const last = Buffer.alloc(lanes * COUNTS_END);
  const kept = new Uint8Array(lanes);
  const still = createSiteSums();
  const sums = createSiteSums();
  let seen = { activation: NEVER, siteCount: 0 };
  let reads = 0;

  const read = (state: RingState, ended = false): LaneTotals => {
    const totals = createLaneTotals();
    const moved: number[] = [];
    const unmoved: number[] = [];
    const fresh = state.activation !== seen.activation || state.siteCount !== seen.siteCount;
    let valid = !fresh;
    const whole = ended || state.refusal !== format.REFUSAL.NONE || reads++ % WHOLE_EVERY === 0;
    let unused = 0;
    for (let lane = 0; lane < lanes && (whole || unused < UNUSED_LANES); lane++) {
      file.read(head, head.length, layout.lanes.offset + lane * format.LANE_BYTES);
      unused = lane > 0 && head.readUInt32LE(LANE.owner) === 0 ? unused + 1 : 0;
      const mine = head.readUInt32LE(LANE.activation) === state.activation && state.activation !== 0;
      const same = head.compare(last, lane * COUNTS_END, (lane + 1) * COUNTS_END, 0, COUNTS_END) === 0;
      if (!same) head.copy(last, lane * COUNTS_END, 0, COUNTS_END);
      if (kept[lane] === 1 && (!same || !mine)) valid = false;
      if (!mine) continue;
      addHead(totals, head);
      (same ? unmoved : moved).push(lane);
    }
    seen = { activation: state.activation, siteCount: state.siteCount };
    keepStill(unmoved, valid, state.siteCount);
    copySums(still, sums);
    growSums(sums, state.siteCount);
    for (const lane of moved) addLane(file, layout, lane, sums, group);
    return totals;
  };

  const keepStill = (unmoved: readonly number[], valid: boolean, siteCount: number): void => {
    growSums(still, siteCount);
    if (!valid) {
      still.rows.fill(0);
      kept.fill(0);
    }
    for (const lane of unmoved) {
      if (kept[lane] === 1) continue;
      addLane(file, layout, lane, still, group);
      kept[lane] = 1;
    }
  };

  return { read, sums };
}

function createLaneTotals(): LaneTotals {
  return {
    allocations: 0,
    frees: 0,
    passedAllocations: 0,
    passedFrees: 0,
    cancelled: 0,
    dropped: 0,
    unmatchedFrees: 0,
    failed: 0,
    lastTicks: 0,
    lanes: 0,
  };
}

function addHead(totals: LaneTotals, head: Buffer): void {
  totals.allocations += u64(head, LANE.allocations);
  totals.frees += u64(head, LANE.frees);
  totals.passedAllocations += u64(head, LANE.passedAllocations);
  totals.passedFrees += u64(head, LANE.passedFrees);
  totals.cancelled += u64(head, LANE.cancelled);
  totals.dropped += u64(head, LANE.dropped);
  totals.unmatchedFrees += u64(head, LANE.unmatchedFrees);
  totals.failed += u64(head, LANE.failed);
  totals.lastTicks = Math.max(totals.lastTicks, u64(head, LANE.ticks));
  totals.lanes++;
}

const SITES_PER_GROUP = format.GROUP / format.COUNTS_BYTES;
/** No estimate comes near. */
const ABSURD = 1e40;
const COUNTS_WORDS = format.COUNTS_BYTES / 4;

/** Adds what one lane says of the sites that `sums` has rows for. The bitmaps are read anew: they grow before the figures. */
function addLane(file: RingFile, layout: RingLayout, lane: number, sums: SiteSums, group: WordBuffer): void {
  const at = layout.lanes.offset + lane * format.LANE_BYTES;
  const bitmaps = Buffer.alloc(16);
  file.read(bitmaps, bitmaps.length, at + LANE.countsGroups);
  const groups = Math.ceil(sums.sites / SITES_PER_GROUP);
  for (const index of setBits(bitmaps.subarray(0, 8), groups)) {
    const sites = Math.min(SITES_PER_GROUP, sums.sites - index * SITES_PER_GROUP);
    file.read(group.bytes, sites * format.COUNTS_BYTES, at + format.LANE_COUNTS_OFFSET + index * format.GROUP);
    addCounts(group, sites, sums.rows, index * SITES_PER_GROUP * SUM_WIDTH);
  }
  for (const index of setBits(bitmaps.subarray(8, 16), groups)) {
    const sites = Math.min(SITES_PER_GROUP, sums.sites - index * SITES_PER_GROUP);
    file.read(group.bytes, sites * format.ESTIMATES_BYTES, at + format.LANE_ESTIMATES_OFFSET + index * format.GROUP);
    addEstimates(group, sites, sums.rows, index * SITES_PER_GROUP * SUM_WIDTH);
  }
}

function addCounts({ words }: WordBuffer, sites: number, rows: Float64Array, from: number): void {
  for (let site = 0, word = 0, row = from; site < sites; site++, word += COUNTS_WORDS, row += SUM_WIDTH) {
    for (let field = 0; field <= SUM.oldFreedBytes; field++) {
      rows[row + field] = rows[row + field]! + u64At(words, word + field * 2);
    }
  }
}

function addEstimates({ words, doubles }: WordBuffer, sites: number, rows: Float64Array, from: number): void {
  for (let site = 0, word = 0, row = from; site < sites; site++, word += COUNTS_WORDS, row += SUM_WIDTH) {
    const samples = u64At(words, word);
    if (samples === 0) continue;
    rows[row + SUM.samples] = rows[row + SUM.samples]! + samples;
    rows[row + SUM.freedSamples] = rows[row + SUM.freedSamples]! + u64At(words, word + 2);
    for (let field = 2; field < 8; field++) {
      const value = doubles[word / 2 + field]!;
      // A damaged file must not make every sum infinite or a NaN.
      if (Math.abs(value) < ABSURD) rows[row + SUM.samples + field] = rows[row + SUM.samples + field]! + value;
    }
  }
}
