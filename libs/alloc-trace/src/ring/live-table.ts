import * as format from './format.js';
import { checkOf, LIVE } from './format.js';
import type { Region, RingLayout } from './header.js';
import type { RingFile } from './ring-file.js';
import { createWordBuffer, setBits, u64At, type WordBuffer } from './words.js';

/** A live block, in numbers: addresses and sizes above 2^53 lose their lowest bits. */
export type LiveVisitor = (
  address: number,
  size: number,
  ticks: number,
  site: number,
  interval: number,
  kind: number,
) => void;

export interface ScanOptions {
  visit: LiveVisitor;
  /** Blocks that were allocated before belong to an earlier activation, and are passed over. */
  sinceTicks: number;
  /** Monotonic milliseconds. */
  clock: () => number;
  /** Gives the event loop a turn. */
  pause: () => Promise<void>;
}

export interface ScanResult {
  /** Blocks that were visited. */
  blocks: number;
  /** Entries that were being written at each try. */
  torn: number;
  /** Time that the scan itself took, without the pauses, milliseconds. */
  cost: number;
}

/** The event loop is not held longer, milliseconds. */
const SLICE_MS = 5;
const TRIES = 3;
const WORDS = format.LIVE_BYTES / 4;
const SITE_WORD = LIVE.site / 4;
const TICKS_WORD = LIVE.ticks / 4;
const SIZE_WORD = LIVE.size / 4;

/**
 * Visits every live block once. Only groups that the bitmaps name are read. Blocks come and go meanwhile: what lived all the
 * time is seen, what was freed or allocated during the scan may be.
 */
export async function scanLive(file: RingFile, layout: RingLayout, options: ScanOptions): Promise<ScanResult> {
  const group = createWordBuffer(format.GROUP);
  const single = createWordBuffer(format.LIVE_BYTES);
  const result: ScanResult = { blocks: 0, torn: 0, cost: 0 };
  let began = options.clock();
  for (const region of layout.live) {
    for (const index of groupsOf(file, region)) {
      scanGroup(file, region, index, { group, single, result, options });
      const spent = options.clock() - began;
      if (spent < SLICE_MS) continue;
      result.cost += spent;
      await options.pause();
      began = options.clock();
    }
  }
  result.cost += options.clock() - began;
  return result;
}

function groupsOf(file: RingFile, { bitmap, capacity }: Region): Iterable<number> {
  const groups = Math.ceil((capacity * format.LIVE_BYTES) / format.GROUP);
  const bits = Buffer.alloc(Math.ceil(groups / 8));
  if (groups > 0) file.read(bits, bits.length, bitmap);
  return setBits(bits, groups);
}

interface Scan {
  group: WordBuffer;
  single: WordBuffer;
  result: ScanResult;
  options: ScanOptions;
}

function scanGroup(file: RingFile, region: Region, index: number, scan: Scan): void {
  const first = index * (format.GROUP / format.LIVE_BYTES);
  const entries = Math.min(format.GROUP / format.LIVE_BYTES, region.capacity - first);
  const at = region.offset + first * format.LIVE_BYTES;
  file.read(scan.group.bytes, entries * format.LIVE_BYTES, at);
  const { words } = scan.group;
  for (let word = 0; word < entries * WORDS; word += WORDS) {
    if ((words[word]! | words[word + 1]!) === 0) continue;
    if (isWhole(words, word)) take(words, word, scan);
    else again(file, at + word * 4, scan);
  }
}

/** An entry that was caught half-written is read again by itself: its owner is done within a moment. */
function again(file: RingFile, at: number, scan: Scan): void {
  const { bytes, words } = scan.single;
  for (let tries = 0; tries < TRIES; tries++) {
    file.read(bytes, bytes.length, at);
    if ((words[0]! | words[1]!) === 0) return;
    if (isWhole(words, 0)) return take(words, 0, scan);
  }
  scan.result.torn++;
}

function isWhole(words: Uint32Array, at: number): boolean {
  if ((words[at]! & 1) !== 0) return false;
  const check = checkOf(
    words[at]!,
    words[at + 1]!,
    words[at + SIZE_WORD]!,
    words[at + SIZE_WORD + 1]!,
    words[at + TICKS_WORD]!,
    words[at + TICKS_WORD + 1]!,
    words[at + SITE_WORD]!,
  );
  return check === (words[at + SITE_WORD + 1]! & 0xffff);
}

function take(words: Uint32Array, at: number, { result, options }: Scan): void {
  const ticks = u64At(words, at + TICKS_WORD);
  if (ticks < options.sinceTicks) return;
  const site = words[at + SITE_WORD]!;
  if (site === 0 || site >= format.MAX_SITES) {
    result.torn++;
    return;
  }
  const tail = words[at + SITE_WORD + 1]!;
  result.blocks++;
  options.visit(u64At(words, at), u64At(words, at + SIZE_WORD), ticks, site, (tail >>> 16) & 0xff, tail >>> 24);
}
