import { LEAK_STATES } from '@tidemark/contracts';
import type { DetectorProfile } from './profile.js';
import { get, Q, R, registerCount, ringRegister, type SeriesRecord } from './registers.js';
import type { Series } from './series.js';
import { LAST_INSTANT } from './timeline.js';

const VERSION = 1;

/** A series as JSON: reviving it and going on gives the same as never having stopped, bit for bit. */
export interface SeriesSnapshot {
  v: number;
  /** Name of the profile it was made under. */
  profile: string;
  service: string;
  /** Registers; null is none. */
  n: (number | null)[];
  /** Cells of the rings, float32 little-endian, base64. */
  cells: string;
}

export function serializeSeries(series: Series): SeriesSnapshot {
  return {
    v: VERSION,
    profile: series.profile.name,
    service: series.service,
    n: series.n.map((value) => (Number.isNaN(value) ? null : value)),
    cells: encodeCells(series.cells),
  };
}

/**
 * @throws RangeError for a snapshot of another version or profile, or one whose arrays do not fit: begin the series
 * anew, or from history with `seedSeries`.
 */
export function reviveSeries(profile: DetectorProfile, snapshot: SeriesSnapshot): Series {
  const { v, profile: name, service, n, cells } = snapshot;
  if (v !== VERSION)
    throw new RangeError(`series snapshot: version ${String(v)} is not ${VERSION}; seed it from history`);
  if (name !== profile.name) {
    throw new RangeError(
      `series snapshot: made under profile ${String(name)}, not ${profile.name}; seed it from history`,
    );
  }
  const count = registerCount(profile);
  if (typeof service !== 'string' || !Array.isArray(n) || n.length !== count || typeof cells !== 'string') {
    throw new RangeError(`series snapshot: needs a service, ${count} registers and cells; seed it from history`);
  }
  const registers = n.map(toRegister);
  const series: SeriesRecord = { profile, service, n: registers, cells: decodeCells(cells, profile) };
  checkRanges(series);
  return series as Series;
}

/** Registers that address something must lie within it: a damaged snapshot may not become a damaged series. */
function checkRanges(series: SeriesRecord): void {
  const { rings } = series.profile;
  checkInteger(series, R.state, 0, LEAK_STATES.length - 1);
  checkInteger(series, R.imminent, 0, 1);
  checkInteger(series, R.lead, 0, rings.length - 1);
  if (!Number.isNaN(get(series, R.findingRing))) checkInteger(series, R.findingRing, 0, rings.length - 1);
  for (const [ring, { block }] of rings.entries()) {
    const newest = ringRegister(ring, Q.newest);
    if (!Number.isNaN(get(series, newest))) checkInteger(series, newest, 0, LAST_INSTANT / block);
    checkInteger(series, ringRegister(ring, Q.first), 0, LAST_INSTANT / block);
    checkInteger(series, ringRegister(ring, Q.marks), 0, 15);
  }
}

function checkInteger(series: SeriesRecord, register: number, least: number, most: number): void {
  const value = get(series, register);
  if (Number.isInteger(value) && value >= least && value <= most) return;
  throw new RangeError(
    `series snapshot: register ${register} is ${value}, must be ${least} to ${most}; seed it from history`,
  );
}

function toRegister(value: unknown): number {
  if (value === null) return NaN;
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  throw new RangeError(`series snapshot: register ${JSON.stringify(value)} must be a finite number or null`);
}

function encodeCells(cells: Float32Array): string {
  const bytes = Buffer.alloc(cells.length * 4);
  for (let i = 0; i < cells.length; i++) bytes.writeFloatLE(cells[i] as number, i * 4);
  return bytes.toString('base64');
}

/** As many cells as some number of whole rings. */
function decodeCells(text: string, profile: DetectorProfile): Float32Array {
  const bytes = Buffer.from(text, 'base64');
  const sizes = profile.rings.map((_, i) =>
    profile.rings.slice(0, i + 1).reduce((sum, ring) => sum + ring.capacity, 0),
  );
  const length = bytes.length / 4;
  if (!sizes.includes(length)) {
    throw new RangeError(`series snapshot: ${length} cells, must be one of ${sizes.join(', ')}; seed it from history`);
  }
  return Float32Array.from({ length }, (_, i) => bytes.readFloatLE(i * 4));
}
