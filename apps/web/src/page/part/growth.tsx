import type { Growth } from '../api/types.js';
import { absolute, duration, rate } from '../format.js';
import { serverNow } from '../api/session.js';

/** Growth in one cell, the interval in its title. */
export function GrowthRate({ growth }: { growth: Growth | null }) {
  if (!growth) return <span class="quiet">–</span>;
  return <span title={intervalOf(growth)}>{rate(growth.bytesPerHour)}</span>;
}

export function intervalOf({ low, high, window, source }: Growth): string {
  const how = source === 'DETECTOR' ? 'robust slope' : 'straight line, while the detector still learns';
  return `95 %: ${rate(low)} to ${rate(high)}, over ${duration(window)} (${how})`;
}

/** How long the memory lasts, with the day in the title. */
export function Exhaustion({ seconds }: { seconds: number | null | undefined }) {
  if (seconds === null || seconds === undefined) return <span class="quiet">not foreseen</span>;
  return <span title={absolute(serverNow() + seconds * 1000)}>in {duration(seconds)}</span>;
}
