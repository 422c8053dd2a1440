/**
 * Maps what an iterator gives when it is pulled, so that a slow subscriber gets the state of then; the iteration ends
 * when `map` gives undefined. `return()` reaches the source at once.
 */
export function mapIterator<From, To>(
  source: AsyncIterableIterator<From>,
  map: (value: From) => To | undefined,
): AsyncIterableIterator<To> {
  const end = async (): Promise<IteratorResult<To>> => {
    await source.return?.();
    return { done: true, value: undefined };
  };
  return {
    async next() {
      const result = await source.next();
      if (result.done) return { done: true, value: undefined };
      const value = map(result.value);
      return value === undefined ? end() : { done: false, value };
    },
    return: end,
    async throw(error) {
      await end();
      throw error;
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
