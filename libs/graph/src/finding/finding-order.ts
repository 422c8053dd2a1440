import type { LiveFinding } from '@tidemark/live';

/** By the time the state was entered, newest first; then by id, so that the order is total. */
export function newestFirst(a: LiveFinding, b: LiveFinding): number {
  return b.finding.at - a.finding.at || (a.finding.id < b.finding.id ? 1 : a.finding.id > b.finding.id ? -1 : 0);
}

/** What somebody should look at: growing or worse, or about to run out. */
export function isOpen({ finding: { state, imminent } }: LiveFinding): boolean {
  return state === 'GROWING' || state === 'SUSPECTED' || state === 'CONFIRMED' || (imminent && state !== 'CLEARED');
}
