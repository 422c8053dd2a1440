import { setTimeout as sleep } from 'node:timers/promises';
import type { ApiAddress } from '../api/client.js';
import { unreachable } from '../api/client.js';
import { follow } from '../api/subscription.js';
import { FINDINGS_SUBSCRIPTION, type FindingEvent, type FindingFields } from './finding-queries.js';

export interface FollowOptions {
  address: ApiAddress;
  filter: Record<string, unknown>;
  signal: AbortSignal;
  show(finding: FindingFields): void;
  /** Takes a remark about the connection. */
  note(message: string): void;
  /** Milliseconds before try number `tries` (from 1). */
  backoff?: (tries: number) => number;
}

/** Half a second, then twice as long each time, 30 s at most, with a quarter of chance so that clients spread. */
function doublingBackoff(tries: number): number {
  return Math.min(30_000, 500 * 2 ** Math.min(tries - 1, 10)) * (0.75 + Math.random() / 2);
}

/** Findings remembered as shown; far more than are ever open, and bounded. */
const MAX_SHOWN = 100_000;

/**
 * Shows what is open and then each finding as it is made, until `signal` aborts. A lost connection is said, tried again
 * with backoff, and followed by what came meanwhile; nothing is shown twice. Throws CliError when the first connection
 * fails, or the API denies or refuses.
 */
export async function followFindings(options: FollowOptions): Promise<void> {
  const { address, signal, backoff = doublingBackoff } = options;
  const shown = new Set<string>();
  let connectedOnce = false;
  let tries = 0;
  while (!signal.aborted) {
    const why = await follow<FindingEvent>(
      address,
      FINDINGS_SUBSCRIPTION,
      { filter: options.filter },
      {
        connected() {
          options.note(connectedOnce ? 'connected again' : `following ${address.url}`);
          connectedOnce = true;
          tries = 0;
        },
        next: ({ leakSuspected: finding }) => showOnce(shown, finding, options.show),
      },
      signal,
    );
    if (signal.aborted) return;
    if (!connectedOnce) throw unreachable(address.url, why);
    tries++;
    const pause = backoff(tries);
    options.note(`lost the API (${why}); trying again in ${(pause / 1000).toFixed(1)} s`);
    await sleep(pause, undefined, { signal }).catch(() => undefined);
  }
}

function showOnce(shown: Set<string>, finding: FindingFields, show: (finding: FindingFields) => void): void {
  const mark = [finding.id, finding.state, finding.imminent, finding.at].join('\n');
  if (shown.has(mark)) return;
  // The oldest mark goes first: a set keeps the order of insertion.
  if (shown.size >= MAX_SHOWN) shown.delete(shown.values().next().value ?? '');
  shown.add(mark);
  show(finding);
}
