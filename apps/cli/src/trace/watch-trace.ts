import { setTimeout as sleep } from 'node:timers/promises';
import type { TraceObservation, TraceSource } from '@tidemark/alloc-trace';
import { createSiteLedger, type SiteLedger } from '@tidemark/leak';
import { watchAnonymousMemory } from './anonymous-memory.js';

/** How often a traced process is looked at, milliseconds. */
const LOOK_MS = 500;
const SOON_MS = 10;

/** One traced process from its first look to its last. */
export interface TraceWatch {
  readonly source: TraceSource;
  readonly ledger: SiteLedger;
  readonly startedAt: number;
  /** The last look. */
  readonly observation: TraceObservation;
  /** Of the last look at which the process lived: its memory, and what of the heap was alive then. */
  readonly memory: MemorySeen | null;
}

/** Bytes at one time. */
export interface MemorySeen {
  anonymous: number;
  live: number;
}

export interface WatchOptions {
  /** Ends the watching, after one more look. */
  stop?: AbortSignal;
  /** Sees every look but the last, for a person who waits. */
  onLook?: (watch: TraceWatch) => void;
  /** Settles when the process has ended, so that nobody waits for the next look. */
  ended?: Promise<unknown>;
}

/** Looks at a process until it is gone or `stop` aborts, then once more. */
export async function watchTrace(source: TraceSource, options: WatchOptions = {}): Promise<TraceWatch> {
  const { stop, onLook = () => {} } = options;
  const wake = new AbortController();
  const waken = (): void => wake.abort();
  stop?.addEventListener('abort', waken, { once: true });
  void options.ended?.then(waken);
  const ledger = createSiteLedger();
  const anonymous = watchAnonymousMemory(source.pid);
  const startedAt = Date.now();
  let memory: MemorySeen | null = null;
  for (;;) {
    const stopping = stop?.aborted ?? false;
    const observation = await source.observe();
    const bytes = observation.ended ? null : anonymous();
    if (bytes !== null) memory = { anonymous: bytes, live: observation.totals.liveBytes };
    // Nothing comes after the last look: the verdict may not wait for more then.
    ledger.observe({ ...observation, ended: observation.ended || stopping });
    const watch: TraceWatch = { source, ledger, startedAt, observation, memory };
    if (observation.ended || stopping) {
      stop?.removeEventListener('abort', waken);
      return watch;
    }
    onLook(watch);
    // Once woken, it looks again soon: a process that is ending may not be gone yet.
    await (wake.signal.aborted ? sleep(SOON_MS) : sleep(LOOK_MS, undefined, { signal: wake.signal }).catch(() => {}));
  }
}
