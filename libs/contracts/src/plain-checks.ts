// Checks that are worth making by hand: of what comes once or more for every chunk.

export type Fields = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function isText(value: unknown, most: number, least = 0): value is string {
  return typeof value === 'string' && value.length >= least && value.length <= most;
}

/** A whole number that a float holds exactly. */
export function isCount(value: unknown, most = Number.MAX_SAFE_INTEGER): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= most;
}

/** Any number from 0 on; JSON has an infinite one, 1e999. */
export function isFigure(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value < Infinity;
}
