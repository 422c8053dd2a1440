import { z } from 'zod';

const whole = (min: number, max: number) => {
  const range = `must be a whole number from ${min} to ${max}`;
  return z.number(range).int(range).min(min, range).max(max, range);
};

/** Settings of the tracer that a user may set, each with its default. */
export const traceSettings = z.object({
  /** Processes whose allocations are traced at once, at most. */
  maxTraces: whole(1, 256).default(16),
  /** Milliseconds between two looks at a traced process. */
  interval: whole(100, 60_000).default(1_000),
});
