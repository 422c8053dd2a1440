/**
 * Growth over the last few minutes, for processes of which the leak detector does not know enough yet: a ring of
 * snapshots of the leak signal, common to all processes of a node, and a straight line through one process's column.
 */
export interface RecentRing {
  /** Bytes; NaN is unknown. Single precision: an error of 1 in 16 million does not show in a slope. */
  rows: Float32Array[];
  /** Data time of each row; NaN is none. */
  times: number[];
  next: number;
  newest: number;
}

export interface Growth {
  bytesPerHour: number;
  /** 95 % interval, bytes per hour. */
  low: number;
  high: number;
  /** Seconds. */
  window: number;
}

const ROWS = 10;
const EVERY_MS = 20_000;
/** Two points always lie on a line. */
const LEAST_POINTS = 4;
const HOUR_MS = 3_600_000;

export function createRecentRing(): RecentRing {
  return {
    rows: Array.from({ length: ROWS }, () => new Float32Array(0)),
    times: Array.from({ length: ROWS }, () => NaN),
    next: 0,
    newest: NaN,
  };
}

export function growRecentRing(ring: RecentRing, wider: (column: Float32Array) => Float32Array): void {
  ring.rows = ring.rows.map(wider);
}

/** Takes a snapshot when it is time for one; a clock that went back starts the ring anew. */
export function snapshotRecent(ring: RecentRing, at: number, end: number, signal: (slot: number) => number): void {
  if (at < ring.newest) ring.times.fill(NaN);
  else if (at - ring.newest < EVERY_MS) return;
  const row = ring.rows[ring.next];
  if (!row) return;
  for (let slot = 0; slot < end; slot++) row[slot] = signal(slot);
  ring.times[ring.next] = at;
  ring.newest = at;
  ring.next = (ring.next + 1) % ROWS;
}

/** Two-sided 95 % quantiles of Student's t for 1 … 9 degrees of freedom (any table of it). */
const T95 = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262];

/** Least-squares slope with its interval from the residuals; null below four points. */
export function recentGrowth(ring: RecentRing, slot: number, now: number, bytes: number): Growth | null {
  let count = 0;
  let meanX = 0;
  let meanY = 0;
  let first = Infinity;
  const xs: number[] = [];
  const ys: number[] = [];
  const add = (at: number, value: number) => {
    if (Number.isNaN(at) || Number.isNaN(value)) return;
    count++;
    const x = at / HOUR_MS - now / HOUR_MS;
    xs.push(x);
    ys.push(value);
    meanX += (x - meanX) / count;
    meanY += (value - meanY) / count;
    first = Math.min(first, at);
  };
  ring.rows.forEach((row, index) => add(ring.times[index] ?? NaN, row[slot] ?? NaN));
  if (now > ring.newest) add(now, bytes);
  if (count < LEAST_POINTS) return null;
  let sxx = 0;
  let sxy = 0;
  let syy = 0;
  for (let i = 0; i < count; i++) {
    const dx = (xs[i] ?? 0) - meanX;
    const dy = (ys[i] ?? 0) - meanY;
    sxx += dx * dx;
    sxy += dx * dy;
    syy += dy * dy;
  }
  if (!(sxx > 0)) return null;
  const slope = sxy / sxx;
  const variance = Math.max(0, syy - slope * sxy) / (count - 2);
  const margin = (T95[Math.min(count - 2, T95.length) - 1] ?? 2) * Math.sqrt(variance / sxx);
  return { bytesPerHour: slope, low: slope - margin, high: slope + margin, window: Math.round((now - first) / 1000) };
}
