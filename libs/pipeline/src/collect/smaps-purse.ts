/** CPU time in hand, milliseconds, for readings of one kind; below 0 after one that cost more than expected. */
export interface Purse {
  inHand: number;
}

export interface Purses {
  /** For readings that are done at once, and for those that are done in another thread. */
  small: Purse;
  large: Purse;
  /** Shares out what has come in until `now` (monotonic milliseconds). */
  fill(now: number): void;
}

/**
 * Half of the budget each, so that neither the many small processes nor the few large ones wait for the others for
 * ever; what does not fit into one purse goes into the other. A purse holds what the dearest reading may cost.
 */
export function createPurses(share: number, limitMs: number, now: number): Purses {
  const small = { inHand: limitMs };
  const large = { inHand: limitMs };
  let filledAt = now;
  return {
    small,
    large,
    fill(until) {
      const income = (until - filledAt) * share;
      filledAt = until;
      const over = put(small, income / 2, limitMs) + put(large, income / 2, limitMs);
      put(small, put(large, over, limitMs), limitMs);
    },
  };
}

/** Gives back what does not fit. */
function put(purse: Purse, amount: number, room: number): number {
  const fits = Math.min(amount, room - purse.inHand);
  purse.inHand += fits;
  return amount - fits;
}
