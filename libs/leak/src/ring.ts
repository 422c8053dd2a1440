import { getRing, Q, ringRegister, setRing, type SeriesRecord } from './registers.js';

/** Where a ring begins in `cells`: rings lie one after the other, finest first. */
function ringOffset(series: SeriesRecord, ring: number): number {
  let offset = 0;
  for (let i = 0; i < ring; i++) offset += (series.profile.rings[i] as { capacity: number }).capacity;
  return offset;
}

/** Rings that have cells. */
export function liveRings(series: SeriesRecord): number {
  let cells = series.cells.length;
  let rings = 0;
  for (const { capacity } of series.profile.rings) {
    if (cells < capacity) break;
    cells -= capacity;
    rings++;
  }
  return rings;
}

/** The minimum of a block, NaN when it has none or is no longer kept. */
export function blockAt(series: SeriesRecord, ring: number, block: number): number {
  const capacity = (series.profile.rings[ring] as { capacity: number }).capacity;
  const newest = getRing(series, ring, Q.newest);
  if (!(block <= newest && block > newest - capacity && block >= getRing(series, ring, Q.first))) return NaN;
  return series.cells[ringOffset(series, ring) + (block % capacity)] as number;
}

/** A coarser ring comes to life with what the finer one holds, which is everything so far: it is just getting full. */
function addRing(series: SeriesRecord): void {
  const rings = liveRings(series);
  const profile = series.profile.rings[rings];
  if (!profile) return;
  const grown = new Float32Array(series.cells.length + profile.capacity).fill(NaN);
  grown.set(series.cells);
  series.cells = grown;
  series.n[ringRegister(rings, Q.newest)] = NaN;
  if (rings === 0) return;
  const finer = series.profile.rings[rings - 1] as { block: number; capacity: number };
  const newest = getRing(series, rings - 1, Q.newest);
  const first = Math.max(getRing(series, rings - 1, Q.first), newest - finer.capacity + 1);
  const ratio = profile.block / finer.block;
  for (let block = first; block <= newest; block++) {
    const value = blockAt(series, rings - 1, block);
    if (!Number.isNaN(value)) putBlock(series, rings, Math.floor(block / ratio), value);
  }
}

/** Puts a value into the newest block, or opens `block` as the newest and forgets the blocks that fall out. */
export function putBlock(series: SeriesRecord, ring: number, block: number, value: number): void {
  const { capacity } = series.profile.rings[ring] as { capacity: number };
  const newest = getRing(series, ring, Q.newest);
  if (Number.isNaN(newest)) {
    setRing(series, ring, Q.newest, block);
    setRing(series, ring, Q.first, block);
    series.cells[ringOffset(series, ring) + (block % capacity)] = value;
    return;
  }
  if (block < newest) return;
  if (block > newest) {
    const full = block - getRing(series, ring, Q.first) >= capacity;
    if (full && liveRings(series) === ring + 1) addRing(series);
  }
  const offset = ringOffset(series, ring);
  const cell = offset + (block % capacity);
  if (block === newest) {
    const known = series.cells[cell] as number;
    if (!(known <= value)) series.cells[cell] = value;
    return;
  }
  const from = Math.max(newest + 1, block - capacity + 1);
  for (let hole = from; hole < block; hole++) series.cells[offset + (hole % capacity)] = NaN;
  series.cells[cell] = value;
  setRing(series, ring, Q.newest, block);
}

/** Room for the first ring. */
export function openRings(series: SeriesRecord): void {
  for (let ring = 0; ring < series.profile.rings.length; ring++) setRing(series, ring, Q.newest, NaN);
  series.cells = new Float32Array(0);
  addRing(series);
}

/** Forgets the blocks after `at`, when time was set back. */
export function truncateRings(series: SeriesRecord, at: number): void {
  for (let ring = 0; ring < liveRings(series); ring++) {
    const { block: length, capacity } = series.profile.rings[ring] as { block: number; capacity: number };
    const newest = getRing(series, ring, Q.newest);
    const first = getRing(series, ring, Q.first);
    const block = Math.floor(at / length);
    if (!(newest > block)) continue;
    if (block < first || block <= newest - capacity) {
      setRing(series, ring, Q.newest, NaN);
      continue;
    }
    // What had fallen out of the ring is not there any more: the cells of the dropped future hold none of it.
    setRing(series, ring, Q.first, Math.max(first, newest - capacity + 1));
    for (let drop = block + 1; drop <= newest; drop++) {
      series.cells[ringOffset(series, ring) + (drop % capacity)] = NaN;
    }
    setRing(series, ring, Q.newest, block);
    setRing(series, ring, Q.evaluated, Math.min(getRing(series, ring, Q.evaluated), block));
  }
}

/** Block numbers and minima gathered for one evaluation; one is shared by all, evaluations do not nest. */
export interface Window {
  n: number;
  readonly t: Float64Array;
  readonly v: Float64Array;
}

/** Closed blocks with a value, oldest first, from block `from` on. */
export function gatherBlocks(series: SeriesRecord, ring: number, from: number, into: Window): void {
  const { capacity } = series.profile.rings[ring] as { capacity: number };
  const newest = getRing(series, ring, Q.newest);
  const offset = ringOffset(series, ring);
  const first = Math.max(getRing(series, ring, Q.first), newest - capacity + 1, from);
  let n = 0;
  for (let block = first; block < newest && n < into.t.length; block++) {
    const value = series.cells[offset + (block % capacity)] as number;
    if (Number.isNaN(value)) continue;
    into.t[n] = block;
    into.v[n] = value;
    n++;
  }
  into.n = n;
}

/** Room for all rings at once, when a past longer than the finest ones is put in. */
export function forceRings(series: SeriesRecord): void {
  while (liveRings(series) < series.profile.rings.length) addRing(series);
}
