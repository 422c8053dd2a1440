/**
 * What was made of a record's bytes, so that several consumers in one process make it once: kept on the bytes themselves,
 * under a name that nobody else has, for as long as they are. A WeakMap would do the same, and each collection of garbage
 * would walk its table: with a second of a thousand hosts in it that took a sixth of the decoding.
 */
export interface DecodedBytes<T> {
  get(value: Uint8Array): T | undefined;
  set(value: Uint8Array, decoded: T): void;
}

export function createDecodedBytes<T>(): DecodedBytes<T> {
  const name = Symbol('decoded');
  type Kept = Uint8Array & { [name]?: T };
  return {
    get: (value) => (value as Kept)[name],
    set(value, decoded) {
      (value as Kept)[name] = decoded;
    },
  };
}
