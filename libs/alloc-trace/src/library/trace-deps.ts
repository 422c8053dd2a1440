import { uptime } from 'node:os';

/** What tracing takes from outside, so that tests can put another in its place. */
export interface TraceDeps {
  procRoot: string;
  /** Epoch milliseconds. */
  now: () => number;
  /** Monotonic milliseconds. */
  clock: () => number;
  /** CLOCK_BOOTTIME, milliseconds; steps of 10 ms are good enough. */
  bootTime: () => number;
  sleep: (milliseconds: number) => Promise<void>;
  /** Gives the event loop a turn. */
  pause: () => Promise<void>;
  /** The library goes dormant by itself when nobody looked for so long, milliseconds: past a restart, not past a day. */
  leaseMs: number;
}

/** Two minutes: a reader that was killed has time to come back and go on. */
export const DEFAULT_LEASE_MS = 120_000;

export function createTraceDeps(overrides: Partial<TraceDeps> = {}): TraceDeps {
  return {
    procRoot: '/proc',
    now: () => Date.now(),
    clock: () => performance.now(),
    bootTime: () => uptime() * 1000,
    sleep: (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds)),
    pause: () => new Promise((resolve) => setImmediate(resolve)),
    leaseMs: DEFAULT_LEASE_MS,
    ...overrides,
  };
}
