/** Time as the collector needs it: one clock that never jumps for scheduling, one that tells the time of day. */
export interface Clock {
  /** Milliseconds from an arbitrary origin; never goes back, whatever is done to the time of day. */
  monotonic(): number;
  /** Epoch milliseconds; may jump either way. */
  wall(): number;
  /** Resolves after `ms`, or at once when the signal aborts. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  monotonic: () => performance.now(),
  wall: () => Date.now(),
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      if (signal.aborted) {
        resolve();
        return;
      }
      const finish = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', finish);
        resolve();
      };
      const timer = setTimeout(finish, ms);
      signal.addEventListener('abort', finish);
    }),
};

/** Wall and monotonic time drift apart by less than this between two rounds, unless somebody sets the clock. */
const JUMP_MS = 250;

export interface JumpDetector {
  /** How far the time of day jumped since the last call, milliseconds; 0 when it did not. Also after a suspend. */
  observe(wall: number, monotonic: number): number;
  readonly jumps: number;
}

export function createJumpDetector(): JumpDetector {
  let offset: number | undefined;
  let jumps = 0;
  return {
    observe(wall, monotonic) {
      const before = offset ?? wall - monotonic;
      offset = wall - monotonic;
      const drift = Math.round(offset - before);
      if (Math.abs(drift) < JUMP_MS) return 0;
      jumps++;
      return drift;
    },
    get jumps() {
      return jumps;
    },
  };
}
