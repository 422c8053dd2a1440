/**
 * What waits for one subscriber: the newest value per key, so that a subscriber who is too slow gets the present and
 * not the past, and costs no memory beyond `limit` keys. Above it the key that waits longest is dropped and counted.
 *
 * It is an iterator that ends at once in `return()`, also while a `next()` is waiting: an async generator would hold on
 * to its subscription until the next value.
 */
export interface ConflatingQueue<Value> extends AsyncIterableIterator<Value, undefined> {
  push(key: string, value: Value): void;
  /** What waits is still delivered, then the iteration ends. */
  finish(): void;
  return(): Promise<IteratorResult<Value, undefined>>;
}

export interface QueueCounters {
  /** A value that was replaced by a newer one of its key before it was delivered. */
  conflated(): void;
  /** A value that was dropped for want of room. */
  dropped(): void;
}

export function createConflatingQueue<Value>(options: {
  limit: number;
  counters: QueueCounters;
  /** Called once, when the iteration has ended for whatever reason. */
  onEnd: () => void;
}): ConflatingQueue<Value> {
  const waiting = new Map<string, Value>();
  const askers: ((result: IteratorResult<Value, undefined>) => void)[] = [];
  let finished = false;
  let ended = false;

  const end = () => {
    if (ended) return;
    ended = true;
    finished = true;
    waiting.clear();
    for (const answer of askers.splice(0)) answer({ done: true, value: undefined });
    options.onEnd();
  };

  return {
    push(key, value) {
      if (finished) return;
      const asker = askers.shift();
      if (asker) return asker({ done: false, value });
      if (waiting.has(key)) options.counters.conflated();
      waiting.set(key, value);
      if (waiting.size <= options.limit) return;
      const [oldest] = waiting.keys();
      if (oldest !== undefined) waiting.delete(oldest);
      options.counters.dropped();
    },
    finish() {
      finished = true;
      if (waiting.size === 0) end();
    },
    next() {
      const [first] = waiting;
      if (first) {
        waiting.delete(first[0]);
        return Promise.resolve({ done: false, value: first[1] });
      }
      if (finished) end();
      if (ended) return Promise.resolve({ done: true, value: undefined });
      return new Promise((resolve) => askers.push(resolve));
    },
    return() {
      end();
      return Promise.resolve({ done: true, value: undefined });
    },
    throw(error) {
      end();
      return Promise.reject(error as Error);
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
