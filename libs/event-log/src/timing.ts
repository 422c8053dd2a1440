/** Resolves after `ms`, or as soon as the signal aborts. Leaves no timer and no listener behind. */
export function sleep(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
  });
}

/**
 * Waits for the work until `deadline` (as `performance.now()` counts): true when it settled in time. A failure of the
 * work in time is thrown; a later one is nobody's any more.
 */
export async function settledBy(work: Promise<unknown>, deadline: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), Math.max(0, deadline - performance.now()));
  });
  try {
    return await Promise.race([work.then(() => true), late]);
  } finally {
    clearTimeout(timer);
    work.catch(() => {});
  }
}

export interface BackoffOptions {
  initialMs: number;
  maxMs: number;
}

/** Doubling delays with up to a quarter of jitter, so that many waiting parts do not come back at once. */
export function backoffDelay(attempt: number, { initialMs, maxMs }: BackoffOptions): number {
  const delay = Math.min(maxMs, initialMs * 2 ** Math.min(attempt - 1, 30));
  return delay * (1 - Math.random() / 4);
}

/** Wakes everyone who waits for something to have changed. */
export class Pulse {
  #waiting = new Set<() => void>();

  fire(): void {
    const woken = this.#waiting;
    if (woken.size === 0) return;
    this.#waiting = new Set();
    for (const wake of woken) wake();
  }

  /** Resolves at the next `fire`, or when the signal aborts. */
  next(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#waiting.delete(wake);
        signal.removeEventListener('abort', wake);
        resolve();
      };
      this.#waiting.add(wake);
      signal.addEventListener('abort', wake, { once: true });
    });
  }
}
