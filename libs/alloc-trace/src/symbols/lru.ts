export interface Lru<T> {
  readonly size: number;
  get(key: string): T | undefined;
  set(key: string, value: T): void;
  delete(key: string): void;
  clear(): void;
}

/** A map of at most `capacity` entries: the one that was asked for longest ago makes room. `onEvict` gets what left. */
export function createLru<T>(capacity: number, onEvict: (value: T, key: string) => void = () => undefined): Lru<T> {
  const entries = new Map<string, T>();
  const drop = (key: string): void => {
    const value = entries.get(key);
    if (value !== undefined && entries.delete(key)) onEvict(value, key);
  };
  return {
    get size() {
      return entries.size;
    },
    get: (key) => {
      const value = entries.get(key);
      if (value === undefined) return undefined;
      entries.delete(key);
      entries.set(key, value);
      return value;
    },
    set: (key, value) => {
      if (entries.get(key) !== value) drop(key);
      entries.delete(key);
      entries.set(key, value);
      for (const oldest of entries.keys()) {
        if (entries.size <= capacity) break;
        drop(oldest);
      }
    },
    delete: drop,
    clear: () => [...entries.keys()].forEach(drop),
  };
}
