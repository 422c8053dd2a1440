/**
 * The ring file, as `preload/include/alloc_trace.h` defines it: the only definition; `format.test.ts` holds every number
 * here against it. All integers are little endian.
 */

export const MAGIC = 0x4b52_414d_4544_4954n;
export const VERSION = 1;

export const PAGE = 4096;
export const GROUP = 65_536;
export const MAX_FRAMES = 64;
export const MAX_SITES = 32_768;
export const MAX_MODULES = 2048;
export const MAX_LANES = 256;
export const LEVELS = 4;
export const MAX_INTERVALS = 255;
export const BUILD_ID_BYTES = 32;
export const SITE_OVERFLOW = 1;
export const FIRST_SITE = 2;

export const MODE = { DORMANT: 0, SAMPLED: 1, EXACT: 2 } as const;
export const STACKS = { FULL: 0, CALLER: 1 } as const;
export const STATE = { STARTING: 0, READY: 1, EXITED: 2, EXECED: 3 } as const;
export const REFUSAL = { NONE: 0, SPACE: 1, ADDRESS: 2, MODE: 3 } as const;
export const CLOCK = { TSC: 1, MONOTONIC: 2 } as const;
export const KIND = { HEAP: 0, MAP: 1 } as const;
export const SITE_FLAG = { TRUNCATED: 1, CALLER: 2, MAP: 4 } as const;

export const HEADER = {
  magic: 0,
  version: 8,
  headerBytes: 12,
  fileBytes: 16,
  pid: 24,
  parent: 28,
  startTime: 32,
  image: 40,
  clock: 44,
  state: 48,
  refusal: 52,
  applied: 56,
  activatedTicks: 64,
  first: 72,
  last: 104,
  moduleCount: 136,
  siteCount: 140,
  frameCount: 144,
  intervalCount: 148,
  populatedBytes: 152,
  droppedSites: 160,
  droppedBlocks: 168,
  activation: 176,
  control: 256,
  modules: 320,
  sites: 352,
  frames: 384,
  lanes: 416,
  live: 448,
  intervals: 576,
  program: 2624,
} as const;
export const HEADER_BYTES = 2752;
export const PROGRAM_BYTES = 128;

/** Offsets from `HEADER.control`. */
export const CONTROL = {
  mode: 0,
  pulse: 4,
  sampleInterval: 8,
  stacks: 16,
  maxFrames: 20,
  maxBytes: 24,
  leaseUntil: 32,
  youngNs: 40,
  generation: 48,
} as const;
export const CONTROL_BYTES = 64;

export const REGION = { offset: 0, bytes: 8, bitmap: 16, capacity: 24, stride: 28 } as const;
export const REGION_BYTES = 32;

export const MOMENT = { sequence: 0, ticks: 8, monotonicNs: 16, realtimeNs: 24 } as const;
export const MOMENT_BYTES = 32;

export const MODULE = {
  start: 0,
  end: 8,
  bias: 16,
  unloaded: 24,
  buildIdBytes: 28,
  pathBytes: 30,
  buildId: 32,
  path: 64,
} as const;
export const MODULE_BYTES = 512;
export const MODULE_PATH_BYTES = 448;

export const SITE = { hash: 0, firstFrame: 8, depth: 12, flags: 14, firstTicks: 16 } as const;
export const SITE_BYTES = 32;
export const FRAME_BYTES = 8;

export const COUNTS = {
  allocations: 0,
  frees: 8,
  allocatedBytes: 16,
  freedBytes: 24,
  oldFrees: 32,
  oldFreedBytes: 40,
} as const;
export const COUNTS_BYTES = 64;

export const ESTIMATES = {
  samples: 0,
  freedSamples: 8,
  allocations: 16,
  allocatedBytes: 24,
  frees: 32,
  freedBytes: 40,
  varianceCount: 48,
  varianceBytes: 56,
} as const;
export const ESTIMATES_BYTES = 64;

export const LANE = {
  owner: 0,
  activation: 4,
  allocations: 8,
  frees: 16,
  passedAllocations: 24,
  passedFrees: 32,
  cancelled: 40,
  dropped: 48,
  unmatchedFrees: 56,
  failed: 64,
  remaining: 72,
  random: 80,
  ticks: 88,
  ticksUses: 96,
  ticksPulse: 100,
  countsGroups: 104,
  estimatesGroups: 112,
} as const;
/** The part of a lane's first page that is in use. */
export const LANE_HEAD_BYTES = 120;
export const LANE_COUNTS_OFFSET = GROUP;
export const LANE_COUNTS_BYTES = MAX_SITES * COUNTS_BYTES;
export const LANE_ESTIMATES_OFFSET = LANE_COUNTS_OFFSET + LANE_COUNTS_BYTES;
export const LANE_ESTIMATES_BYTES = MAX_SITES * ESTIMATES_BYTES;
export const LANE_BYTES = LANE_ESTIMATES_OFFSET + LANE_ESTIMATES_BYTES;

export const LIVE = { address: 0, size: 8, ticks: 16, site: 24, check: 28, interval: 30, kind: 31 } as const;
export const LIVE_BYTES = 32;
export const WINDOW = 8;

/** Entries of each level of the table of live blocks. */
export function levelEntries(level: number): number {
  return 65_536 * 8 ** level;
}

/** First entry of the window of an address in a level. */
export function homeOf(address: bigint, level: number): number {
  const mixed = BigInt.asUintN(64, (address >> 3n) * 0x9e37_79b9_7f4a_7c15n);
  return (Number(mixed >> 32n) & (levelEntries(level) - 1) & ~(WINDOW - 1)) >>> 0;
}

/**
 * `at_check` on halves of 32 bits, since it runs for every live block of every scan. Takes address, size and ticks as low
 * and high words.
 */
export function checkOf(
  addressLow: number,
  addressHigh: number,
  sizeLow: number,
  sizeHigh: number,
  ticksLow: number,
  ticksHigh: number,
  site: number,
): number {
  const low = addressLow ^ (sizeLow << 7) ^ (ticksLow << 1);
  const high =
    addressHigh ^ ((sizeHigh << 7) | (sizeLow >>> 25)) ^ ((ticksHigh << 1) | (ticksLow >>> 31)) ^ (site << 8);
  // Upper word of (high:low) × 0xff51afd7ed558ccd, of which the upper half is wanted.
  const carried = upperProduct(low >>> 0, 0xed55_8ccd);
  const upper = (carried + Math.imul(low, 0xff51_afd7) + Math.imul(high, 0xed55_8ccd)) >>> 0;
  return (upper >>> 16) | 1;
}

/** Upper 32 bits of the product of two unsigned words. */
function upperProduct(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  const cross = aLow * bHigh + (middle & 0xffff);
  return (aHigh * bHigh + Math.floor(middle / 65_536) + Math.floor(cross / 65_536)) >>> 0;
}
