/**
 * Keeps the `limit` first of any number of items by `compare`, in O(n log limit): a heap whose root is the last of
 * those kept.
 */
export interface TopRows<Item> {
  offer(item: Item): void;
  /** In order; empties the heap. */
  take(): Item[];
  /** The item that the next one must come before; undefined while there is room. */
  worst(): Item | undefined;
}

export function createTopRows<Item>(limit: number, compare: (a: Item, b: Item) => number): TopRows<Item> {
  const heap: Item[] = [];
  const at = (index: number) => heap[index] as Item;
  const swap = (a: number, b: number) => {
    [heap[a], heap[b]] = [at(b), at(a)];
  };
  const sinkRoot = () => {
    let parent = 0;
    for (;;) {
      let largest = parent;
      for (const child of [2 * parent + 1, 2 * parent + 2]) {
        if (child < heap.length && compare(at(child), at(largest)) > 0) largest = child;
      }
      if (largest === parent) return;
      swap(parent, largest);
      parent = largest;
    }
  };
  return {
    offer(item) {
      if (limit <= 0) return;
      if (heap.length >= limit) {
        if (compare(item, at(0)) >= 0) return;
        heap[0] = item;
        sinkRoot();
        return;
      }
      heap.push(item);
      for (let child = heap.length - 1; child > 0;) {
        const parent = (child - 1) >>> 1;
        if (compare(at(child), at(parent)) <= 0) break;
        swap(child, parent);
        child = parent;
      }
    },
    take: () => heap.splice(0).sort(compare),
    worst: () => (limit > 0 && heap.length >= limit ? heap[0] : undefined),
  };
}
