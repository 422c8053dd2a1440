/**
 * Even numbers of [0, 1), the same for the same seed (xorshift32; Marsaglia, Xorshift RNGs, 2003).
 *
 * @param {number} seed any whole number
 */
export function createRandom(seed) {
  // Zero is the one state that xorshift never leaves, and near seeds must not begin alike.
  let state = Math.imul(seed ^ (seed >>> 16), 0x45d9f3b) | 0;
  state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) | 0 || 0x9e3779b9;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 4_294_967_296;
  };
}

/** A whole number from `low` to `high`, both included. */
export function between(random, low, high) {
  return low + Math.floor(random() * (high - low + 1));
}
