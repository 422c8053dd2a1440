import { GraphError } from '../graph-error.js';

/** Cells of a cursor: where in its order a list goes on. Opaque to the asker. */
export type CursorCell = string | number | null;

const MAX_CHARS = 8_192;

export function encodeCursor(list: string, cells: readonly CursorCell[]): string {
  return Buffer.from(JSON.stringify([list, ...cells])).toString('base64url');
}

/**
 * The cells of a cursor of this list. Throws GraphError BAD_CURSOR for any other text: a cursor of another list, of
 * another order, cut short, or made up.
 */
export function decodeCursor(list: string, cursor: string, count: number): CursorCell[] {
  if (cursor.length <= MAX_CHARS) {
    try {
      const cells: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
      if (Array.isArray(cells) && cells[0] === list && cells.length === count + 1 && cells.every(isCell)) {
        return cells.slice(1);
      }
    } catch {
      // Told below, as any other text that is no cursor.
    }
  }
  throw new GraphError(
    'BAD_CURSOR',
    `after: ${JSON.stringify(cursor.slice(0, 40))} is no cursor of this list in this order; ` +
      'take endCursor of the page before, or leave it out to begin anew',
  );
}

function isCell(value: unknown): value is CursorCell {
  return value === null || typeof value === 'string' || (typeof value === 'number' && Number.isFinite(value));
}
