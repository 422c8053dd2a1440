import type { Health, Logger } from '@tidemark/service';

export interface PatientHistoryOptions {
  /** What shows that history is there: migrating it, or reading of it. */
  attempt(): Promise<unknown>;
  /** Asked now and then once it was there, for `health`. */
  ping(): Promise<void>;
  logger: Logger;
  stopping: AbortSignal;
  retry?: { initialMs: number; maxMs: number };
}

export interface PatientHistory {
  /** Resolves when history was there once; rejects when it will never be: a wrong password, another version. */
  readonly opened: Promise<void>;
  /** Not ready until it was there once. Later only the detail tells that it is away: each user of it waits by itself. */
  health(): Health;
}

const PING_EVERY_MS = 10_000;
const SAY_AGAIN_MS = 60_000;
const RETRY = { initialMs: 250, maxMs: 5_000 };
/** Tables that are missing will be made by a writer. */
const PASSING = 'HISTORY_SCHEMA';

/** Waits for a history that may be away when an app starts. */
export function awaitHistory({
  attempt,
  ping,
  logger,
  stopping,
  retry = RETRY,
}: PatientHistoryOptions): PatientHistory {
  let failure: string | null = 'not asked yet';
  let isOpen = false;
  let pingedAt = 0;
  let sayAgainAt = 0;

  function pingSometimes(): void {
    if (performance.now() - pingedAt < PING_EVERY_MS) return;
    pingedAt = performance.now();
    ping().then(
      () => (failure = null),
      (error: Error) => (failure = error.message),
    );
  }

  async function keepAsking(): Promise<void> {
    for (let pause = retry.initialMs; ; pause = Math.min(pause * 2, retry.maxMs)) {
      try {
        await attempt();
        failure = null;
        isOpen = true;
        pingedAt = performance.now();
        return;
      } catch (error) {
        const { message, retriable, code } = error as Error & { retriable?: boolean; code?: string };
        if (retriable !== true && code !== PASSING) throw error;
        if (performance.now() >= sayAgainAt) {
          logger.warn({ reason: message }, 'history is not there yet; trying again until it is');
          sayAgainAt = performance.now() + SAY_AGAIN_MS;
        }
        failure = message;
      }
      await new Promise<void>((resolve, reject) => {
        const stop = () => {
          clearTimeout(timer);
          reject(new Error('stopped while waiting for history'));
        };
        const timer = setTimeout(() => {
          stopping.removeEventListener('abort', stop);
          resolve();
        }, pause);
        stopping.addEventListener('abort', stop, { once: true });
        if (stopping.aborted) stop();
      });
    }
  }

  const opened = keepAsking();
  opened.catch((error: Error) => (failure = error.message));
  return {
    opened,
    health() {
      if (isOpen && !stopping.aborted) pingSometimes();
      return { live: true, ready: isOpen, detail: failure ?? 'answers' };
    },
  };
}
