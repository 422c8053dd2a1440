export interface LingerOptions {
  /** What has been read waits at most so long for later rounds, milliseconds. */
  lingerMs: number;
  /** Between two rounds, milliseconds. */
  intervalMs: number;
  /** Rounds that the first request waits for. Default 0: the first round of all goes at once. */
  waitsFor?: number;
}

/** Says which rounds go to the log in one request. */
export interface Linger {
  /** Takes a round of so many bytes. True when it is to wait for the next; false when it goes now, with all that waited. */
  waits(bytes: number): boolean;
}

/** What waits goes at once when it has this much: a request that carries so much is worth its price. */
const ENOUGH_BYTES = 16 * 1024;

/**
 * A request costs a broker the same whether it brings one round or two, and a small host's round is small: as many go
 * together as are read within `lingerMs`.
 */
export function createLinger({ lingerMs, intervalMs, waitsFor = 0 }: LingerOptions): Linger {
  const together = 1 + Math.floor(lingerMs / intervalMs);
  let missing = waitsFor % together;
  let waiting = 0;
  return {
    waits(bytes) {
      waiting += bytes;
      if (missing > 0 && waiting < ENOUGH_BYTES) {
        missing--;
        return true;
      }
      missing = together - 1;
      waiting = 0;
      return false;
    },
  };
}
