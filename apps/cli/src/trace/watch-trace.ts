import { setTimeout as sleep } from 'node:timers/promises';
import type { TraceObservation, TraceSource } from '@tidemark/alloc-trace';
import { createSiteLedger, type SiteLedger } from '@tidemark/leak';
import { watchAnonymousMemory } from './anonymous-memory.js';

/** How often a traced process is looked at, milliseconds. */
const LOOK_MS = 500;

/** One traced process from its first look to its last. */
export interface TraceWatch {
  readonly source: TraceSource;
  readonly ledger: SiteLedger;
  readonly startedAt: number;
  /** The last look. */
  readonly observation: TraceObservation;
  readonly anonymousBytes: number | null;
}

/**
 * Looks at a process until it is gone or `stop` aborts, then once more. `onLook` sees every look but the last, for a
 * person who waits.
 */
export async function watchTrace(
  source: TraceSource,
  stop: AbortSignal,
  onLook: (watch: TraceWatch) => void = () => {},
): Promise<TraceWatch> {
  const ledger = createSiteLedger();
  const anonymous = watchAnonymousMemory(source.pid);
  const startedAt = Date.now();
  for (;;) {
    const stopping = stop.aborted;
    const anonymousBytes = anonymous();
    const observation = await source.observe();
    ledger.observe(observation);
    const watch = { source, ledger, startedAt, observation, anonymousBytes };
    if (observation.ended || stopping) return watch;
    onLook(watch);
    await sleep(LOOK_MS, undefined, { signal: stop, ref: true }).catch(() => {});
  }
}
