/**
 * Milliseconds until `bytes` reaches `limit` at `slope` (bytes per ms): 0 when it is there, null when nothing bounds it
 * or it does not grow.
 */
export function timeToExhaustion(bytes: number, limit: number, slope: number): number | null {
  if (Number.isNaN(limit) || !(slope > 0)) return null;
  return Math.max(0, limit - bytes) / slope;
}
