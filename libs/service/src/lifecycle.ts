import type { Logger } from './logger.js';

/** Something that was started and must be stopped. */
export interface Part {
  name: string;
  /** Stops within the deadline, milliseconds; what is not done by then is given up and said. */
  stop(deadlineMs: number): Promise<void>;
}

/** Parts in the order they were started; stopping runs the other way round. */
export interface Lifecycle {
  add(part: Part): void;
  /** Stops every part, last started first, sharing one deadline; calling it again waits for the same stop. */
  stop(deadlineMs: number): Promise<{ failed: string[] }>;
}

export function createLifecycle(logger: Logger, now: () => number = () => performance.now()): Lifecycle {
  const parts: Part[] = [];
  let stopping: Promise<{ failed: string[] }> | undefined;

  async function stopAll(deadlineMs: number): Promise<{ failed: string[] }> {
    const end = now() + deadlineMs;
    const failed: string[] = [];
    for (let part = parts.pop(); part; part = parts.pop()) {
      // The last part still gets a moment when an earlier one used up the deadline: it may hold a lock file.
      const left = Math.max(250, end - now());
      try {
        await within(part.stop(left), left + 250, part.name);
        logger.debug({ part: part.name }, 'stopped');
      } catch (error) {
        failed.push(part.name);
        logger.warn({ part: part.name, error: (error as Error).message }, 'did not stop cleanly');
      }
    }
    return { failed };
  }

  return {
    add: (part) => void parts.push(part),
    stop: (deadlineMs) => (stopping ??= stopAll(deadlineMs)),
  };
}

async function within<T>(work: Promise<T>, ms: number, name: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${name} was still busy after ${Math.round(ms)} ms`)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
