const MAX_INT = 0x7fff_ffff;

/** What fits GraphQL's Int, which has 32 bits; null for what does not, as what no kernel says is not known. */
export function toInt(value: number | null | undefined): number | null {
  return Number.isInteger(value) && Math.abs(value as number) <= MAX_INT ? (value as number) : null;
}

/** The nearest that fits, for fields that cannot be null. */
export function nearestInt(value: number): number {
  return Math.min(MAX_INT, Math.max(-MAX_INT, Math.trunc(value)));
}
