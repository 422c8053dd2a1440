/** Points kept of one site: 12 bytes each. */
export const POINTS = 48;
const FIELDS = 3;

/**
 * How the live figures of a site went, thinned: the life so far in at most POINTS blocks of equal length, of each the
 * reading with the fewest live bytes. Minima, because a queue that grows and drains has low ones and a leak has not.
 * When it is full, neighbours are joined and the blocks are twice as long.
 */
export interface LivePoints {
  /** Triples: milliseconds since `origin`, live bytes, live blocks. */
  readonly cells: Float32Array;
  count: number;
  /** Length of a block, milliseconds. */
  step: number;
  /** Epoch milliseconds. */
  readonly origin: number;
}

/** `step` is the shortest time between two points, milliseconds. */
export function createLivePoints(origin: number, step: number): LivePoints {
  return { cells: new Float32Array(POINTS * FIELDS), count: 0, step, origin };
}

/** Times must not fall. */
export function addPoint(points: LivePoints, at: number, bytes: number, blocks: number): void {
  const { cells } = points;
  const time = at - points.origin;
  const last = (points.count - 1) * FIELDS;
  if (points.count > 0 && blockOf(points, time) === blockOf(points, cells[last] as number)) {
    if (bytes < (cells[last + 1] as number)) setPoint(points, points.count - 1, time, bytes, blocks);
    return;
  }
  if (points.count === POINTS) {
    thin(points);
    addPoint(points, at, bytes, blocks);
    return;
  }
  setPoint(points, points.count++, time, bytes, blocks);
}

/** The figures stayed as the last point has them until `until`: a block that saw no change has a point all the same. */
export function carryPoints(points: LivePoints, until: number): void {
  while (points.count > 0) {
    const last = (points.count - 1) * FIELDS;
    const { cells, step } = points;
    const next = (blockOf(points, cells[last] as number) + 1) * step;
    if (!(next <= until - points.origin)) return;
    addPoint(points, points.origin + next, cells[last + 1] as number, cells[last + 2] as number);
  }
}

/** Writes times in hours, bytes and blocks of the points from the `first` on into the arrays; returns how many. */
export function readPoints(
  { cells, count }: LivePoints,
  out: { hours: Float64Array; bytes: Float64Array; blocks: Float64Array },
): number {
  for (let i = 0; i < count; i++) {
    out.hours[i] = (cells[i * FIELDS] as number) / 3_600_000;
    out.bytes[i] = cells[i * FIELDS + 1] as number;
    out.blocks[i] = cells[i * FIELDS + 2] as number;
  }
  return count;
}

function blockOf({ step }: LivePoints, time: number): number {
  // Half a millisecond of slack: float32 keeps times of days to some ten milliseconds only, blocks are longer by then.
  return Math.floor((time + 0.5) / step);
}

function setPoint({ cells }: LivePoints, index: number, time: number, bytes: number, blocks: number): void {
  cells[index * FIELDS] = time;
  cells[index * FIELDS + 1] = bytes;
  cells[index * FIELDS + 2] = blocks;
}

function thin(points: LivePoints): void {
  const { cells } = points;
  points.step *= 2;
  let kept = 0;
  for (let i = 0; i < points.count; i++) {
    const [time, bytes, blocks] = cells.subarray(i * FIELDS, (i + 1) * FIELDS) as unknown as [number, number, number];
    const last = (kept - 1) * FIELDS;
    const joined = kept > 0 && blockOf(points, time) === blockOf(points, cells[last] as number);
    if (!joined) setPoint(points, kept++, time, bytes, blocks);
    else if (bytes < (cells[last + 1] as number)) setPoint(points, kept - 1, time, bytes, blocks);
  }
  points.count = kept;
}
