/** A block and the key it is ranked by: the smallest is the best, and among equals the lowest address. */
export interface RankedBlock {
  key: number;
  address: number;
  size: number;
  time: number;
}

/** Keeps the best of what it is offered, at most `room`. */
export interface Ranking {
  offer(key: number, address: number, size: number, time: number): void;
  /** Best first. */
  best(): RankedBlock[];
}

/** A heap with the worst at its root, so that what is not good enough costs one comparison and no memory. */
export function createRanking(room: number): Ranking {
  const heap: RankedBlock[] = [];

  const offer = (key: number, address: number, size: number, time: number): void => {
    if (heap.length < room) {
      heap.push({ key, address, size, time });
      rise(heap, heap.length - 1);
      return;
    }
    const worst = heap[0];
    if (worst === undefined || key > worst.key || (key === worst.key && address >= worst.address)) return;
    worst.key = key;
    worst.address = address;
    worst.size = size;
    worst.time = time;
    sink(heap);
  };

  return { offer, best: () => [...heap].sort(compare) };
}

function compare(a: RankedBlock, b: RankedBlock): number {
  return a.key - b.key || a.address - b.address;
}

function rise(heap: RankedBlock[], from: number): void {
  let at = from;
  while (at > 0) {
    const parent = (at - 1) >> 1;
    if (compare(heap[at]!, heap[parent]!) <= 0) return;
    swap(heap, at, parent);
    at = parent;
  }
}

function sink(heap: RankedBlock[]): void {
  let at = 0;
  for (;;) {
    let worst = at;
    for (let child = 2 * at + 1; child <= 2 * at + 2 && child < heap.length; child++) {
      if (compare(heap[child]!, heap[worst]!) > 0) worst = child;
    }
    if (worst === at) return;
    swap(heap, at, worst);
    at = worst;
  }
}

function swap(heap: RankedBlock[], a: number, b: number): void {
  const block = heap[a]!;
  heap[a] = heap[b]!;
  heap[b] = block;
}
