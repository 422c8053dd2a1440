import { sparkLine } from '../terminal/bars.js';

/** Columns of the spark line in the table. */
export const SPARK_WIDTH = 12;

/** Less than this is the noise of an allocator, bytes. */
const NOISE = 64 * 1024;

/** Recent memory of a process; a range below a fiftieth of it is drawn flat. */
export function spark(values: readonly (number | null)[] | undefined, width = SPARK_WIDTH): string {
  const known = (values ?? []).filter((value): value is number => value !== null);
  return sparkLine(values ?? [], width, Math.max(NOISE, Math.max(0, ...known) / 50));
}
