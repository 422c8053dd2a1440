// Small rounds of a host go together, as those of a collector do.
import { createLinger } from '@tidemark/pipeline';

/**
 * @param {{ lingerMs: number, interval: number }} plan
 * @param {number} index hosts take turns: those of an even number do not all send in the same round
 */
export function createGathering({ lingerMs, interval }, index) {
  const linger = createLinger({ lingerMs, intervalMs: interval, waitsFor: index });
  let held = [];
  const end = () => {
    const all = held;
    held = [];
    return all;
  };
  return {
    /** What is to be sent now that the host has made these records of a round. */
    gather(records) {
      const round = records.filter(({ entry }) => entry.kind === 'samples');
      const others = records.filter(({ entry }) => entry.kind !== 'samples');
      held.push(...round);
      const waits = linger.waits(round.reduce((sum, { value }) => sum + value.byteLength, 0));
      return waits ? others : [...end(), ...others];
    },
    end,
  };
}
