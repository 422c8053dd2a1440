import type { SampleChunk } from '@tidemark/contracts';

/** Where the rows of each chunk go in a block that is sorted as its table is. */
export interface RowOrder {
  rows: number;
  /** Node and boot of consecutive rows. */
  runs: { node: string; boot: string; rows: number }[];
  chunks: { chunk: SampleChunk; places: Uint32Array }[];
}

interface Keys {
  pid: readonly number[];
  start: readonly number[];
}

/**
 * Sorts rows by node, boot, pid, start and time.
 *
 * The rollups keep the last value of a key by the order of its rows, and the server's own sorting of a block does not
 * keep that order; a block that is sorted already it leaves as it is.
 */
export function orderRows(chunks: readonly SampleChunk[], keysOf: (chunk: SampleChunk) => Keys): RowOrder {
  const groups = new Map<string, SampleChunk[]>();
  for (const chunk of chunks) {
    if (keysOf(chunk).pid.length === 0) continue;
    const name = `${chunk.node}\n${chunk.boot}`;
    const group = groups.get(name);
    if (group) group.push(chunk);
    else groups.set(name, [chunk]);
  }
  const order: RowOrder = { rows: 0, runs: [], chunks: [] };
  for (const [, group] of [...groups].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const sorted = group.toSorted((a, b) => a.at - b.at);
    const keys = sorted.map(keysOf);
    const places = placeRows(keys, order.rows);
    let from = 0;
    sorted.forEach((chunk, index) => {
      const to = from + keys[index]!.pid.length;
      order.chunks.push({ chunk, places: places.subarray(from, to) });
      from = to;
    });
    order.runs.push({ node: sorted[0]!.node, boot: sorted[0]!.boot, rows: places.length });
    order.rows += places.length;
  }
  return order;
}

/** The place of each row, in the order given, from `base` on: by pid, start, and the order given. */
function placeRows(keys: readonly Keys[], base: number): Uint32Array {
  const rows = keys.reduce((sum, { pid }) => sum + pid.length, 0);
  if (keys.length === 1 && ascends(keys[0]!.pid)) return inOrder(rows, base);
  if (keys.length <= MOST_MERGED && keys.every(({ pid }) => ascends(pid))) return mergeRows(keys, rows, base);
  // One number holds pid and position: a pid has 32 bits, which leaves 21 for the position.
  if (rows > 2 ** 21) throw new RangeError(`a block of ${rows} rows is too large: 2097152 are allowed`);
  const sorting = new Float64Array(rows);
  const starts = new Float64Array(rows);
  let row = 0;
  for (const { pid, start } of keys) {
    for (let index = 0; index < pid.length; index++, row++) {
      sorting[row] = pid[index]! * rows + row;
      starts[row] = start[index]!;
    }
  }
  sorting.sort();
  const order = Uint32Array.from(sorting, (key) => key % rows);
  for (let from = 0, to = 0; from < rows; from = to) {
    const pid = Math.floor(sorting[from]! / rows);
    let reused = false;
    for (to = from + 1; to < rows && Math.floor(sorting[to]! / rows) === pid; to++) {
      reused ||= starts[order[to]!] !== starts[order[from]!];
    }
    if (reused) order.subarray(from, to).sort((a, b) => starts[a]! - starts[b]! || a - b);
  }
  const places = new Uint32Array(rows);
  for (let place = 0; place < rows; place++) places[order[place]!] = base + place;
  return places;
}

function inOrder(rows: number, base: number): Uint32Array {
  const places = new Uint32Array(rows);
  for (let row = 0; row < rows; row++) places[row] = base + row;
  return places;
}

/** Looking at the heads of more chunks than these for each row costs more than sorting. */
const MOST_MERGED = 8;

/** What is merged now, copied: the arrays of different chunks are of different kinds to the engine. */
let pids = new Uint32Array(0);
let starts = new Float64Array(0);

/** The same for chunks that are in order themselves: row by row the least of what comes next. */
function mergeRows(keys: readonly Keys[], rows: number, base: number): Uint32Array {
  const places = new Uint32Array(rows);
  if (pids.length < rows) {
    pids = new Uint32Array(rows * 2);
    starts = new Float64Array(rows * 2);
  }
  const next = new Uint32Array(keys.length);
  const end = new Uint32Array(keys.length);
  let row = 0;
  keys.forEach(({ pid, start }, index) => {
    next[index] = row;
    pids.set(pid, row);
    starts.set(start, row);
    end[index] = row += pid.length;
  });
  for (let place = base; place < base + rows; place++) {
    let from = -1;
    let least = -1;
    for (let index = 0; index < next.length; index++) {
      const row = next[index]!;
      if (row === end[index]) continue;
      // Rows of one process stay in the order given.
      const precedes =
        least < 0 || pids[row]! < pids[least]! || (pids[row] === pids[least] && starts[row]! < starts[least]!);
      if (!precedes) continue;
      from = index;
      least = row;
    }
    places[least] = place;
    next[from]!++;
  }
  return places;
}

/** As the rows of a collector do that lists processes by pid. */
function ascends(pid: readonly number[]): boolean {
  for (let index = 1; index < pid.length; index++) if (pid[index - 1]! >= pid[index]!) return false;
  return true;
}
