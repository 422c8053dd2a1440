import { REFUSAL } from './format.js';
import type { RingState } from './header.js';
import type { LaneTotals } from './lanes.js';

/** What is not as asked for, for a person. */
export function ringWarnings(state: RingState, totals: LaneTotals): string[] {
  const warnings: string[] = [];
  const refusal = refusalOf(state);
  if (refusal !== null) warnings.push(refusal);
  if (totals.dropped > 0) {
    warnings.push(
      `${totals.dropped} allocations found no room in the table of live blocks: the live figures miss them.`,
    );
  }
  if (state.droppedSites > 0) {
    warnings.push(
      `${state.droppedSites} calls came from new sites when the table of sites was full: they share one site.`,
    );
  }
  return warnings;
}

/** Why the library does not do what the last request asked for; null when it does. */
export function refusalOf({ refusal, control, populatedBytes }: RingState): string | null {
  switch (refusal) {
    case REFUSAL.NONE:
      return null;
    case REFUSAL.SPACE:
      return control.maxBytes > 0 && populatedBytes >= control.maxBytes
        ? `The ring file reached its bound of ${control.maxBytes} bytes.`
        : `The file system of the ring file has no room left (it holds ${populatedBytes} bytes): make /dev/shm larger.`;
    case REFUSAL.ADDRESS:
      return 'The process has no address space left to map the ring file: raise its RLIMIT_AS (ulimit -v).';
    case REFUSAL.MODE:
      return `The library does not know mode ${control.mode} or a parameter of it: use library and reader of one release.`;
    default:
      return `The library refused for a reason (${refusal}) that this reader does not know.`;
  }
}
