import type { Clock } from './clock.js';

/** The event loop is given a turn when work has gone on for this long, milliseconds. */
const SLICE_MS = 5;

/** Cuts long work into slices, so that whatever shares the process goes on, and adds up what it costs. */
export interface Slices {
  /** True when it is time for `rest`. */
  over(): boolean;
  /** Gives the event loop a turn. */
  rest(): Promise<void>;
  /** CPU time of this process since the start, turns of others left out; milliseconds. Call once, at the end. */
  end(): number;
}

export function startSlices(clock: Clock): Slices {
  let started = clock.monotonic();
  let cpu = process.cpuUsage();
  let spentMs = 0;
  const close = (): void => {
    const { user, system } = process.cpuUsage(cpu);
    spentMs += (user + system) / 1000;
  };
  return {
    over: () => clock.monotonic() - started >= SLICE_MS,
    async rest() {
      close();
      await new Promise((resolve) => setImmediate(resolve));
      started = clock.monotonic();
      cpu = process.cpuUsage();
    },
    end() {
      close();
      return spentMs;
    },
  };
}
