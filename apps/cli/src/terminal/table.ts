import { displayWidth, fit, printable } from './printable.js';
import { span, type Line, type Style } from './style.js';

export interface Cell {
  text: string;
  style?: Style;
}

export interface Column<Row> {
  title: string;
  align?: 'left' | 'right';
  /** What the row shows here; plain text stands for a plain cell. */
  cell(row: Row): Cell | string;
  /** The column is never narrower, so that a live table does not jump. */
  minWidth?: number;
  /** Longer text is cut with `…` when the width is bounded. */
  maxWidth?: number;
  /** When the table is too wide, columns with the lowest number go first; left out: it stays. */
  priority?: number;
  /** Takes the room that is left over, or gives its own up first, down to minWidth. At most one column. */
  flexible?: boolean;
}

export interface TableOptions {
  /** Columns of the terminal; Infinity where nothing may be cut (not a terminal). */
  width: number;
  /** Style of a whole row, over the styles of its cells. */
  rowStyle?: (index: number) => Style | undefined;
  gap?: number;
}

interface Placed<Row> {
  column: Column<Row>;
  cells: { text: string; style: Style }[];
  width: number;
}

/** Lines of a table, its heading first; every line is at most `width` columns. */
export function renderTable<Row>(columns: readonly Column<Row>[], rows: readonly Row[], options: TableOptions): Line[] {
  const gap = options.gap ?? 2;
  const placed = fitColumns(
    columns.map((column) => measure(column, rows, options.width)),
    options.width,
    gap,
  );
  const heading = placed.map(({ column, width }) => ({
    text: fit(column.title, width, column.align),
    style: 'heading' as const,
  }));
  const lines: Line[] = [join(heading, gap, undefined, options.width)];
  for (let row = 0; row < rows.length; row++) {
    const style = options.rowStyle?.(row);
    const spans = placed.map(({ column, cells, width }) => ({
      text: fit(cells[row]?.text ?? '', width, column.align),
      style: style ?? cells[row]?.style ?? 'plain',
    }));
    lines.push(join(spans, gap, style, options.width));
  }
  return lines;
}

/** The columns that a table of this width shows, by title. */
export function shownColumns<Row>(columns: readonly Column<Row>[], rows: readonly Row[], width: number): string[] {
  return fitColumns(
    columns.map((column) => measure(column, rows, width)),
    width,
    2,
  ).map(({ column }) => column.title);
}

function measure<Row>(column: Column<Row>, rows: readonly Row[], bound: number): Placed<Row> {
  const cells = rows.map((row) => {
    const cell = column.cell(row);
    return typeof cell === 'string'
      ? { text: printable(cell), style: 'plain' as const }
      : { text: printable(cell.text), style: cell.style ?? 'plain' };
  });
  let width = Math.max(displayWidth(column.title), column.minWidth ?? 0);
  for (const cell of cells) width = Math.max(width, displayWidth(cell.text));
  if (Number.isFinite(bound) && column.maxWidth !== undefined) width = Math.min(width, column.maxWidth);
  return { column, cells, width };
}

function fitColumns<Row>(placed: Placed<Row>[], bound: number, gap: number): Placed<Row>[] {
  if (!Number.isFinite(bound)) return placed;
  let kept = placed;
  for (;;) {
    const flexible = kept.find(({ column }) => column.flexible);
    const least = flexible ? Math.min(flexible.width, flexible.column.minWidth ?? 8) : 0;
    const fixed = kept.reduce((sum, { width }) => sum + width + gap, -gap) - (flexible?.width ?? 0);
    const first = lowest(kept);
    if (fixed + least <= bound || first === undefined) {
      if (!flexible) return kept;
      const room = Math.max(0, bound - fixed);
      return kept.map((place) => (place === flexible ? { ...place, width: room } : place));
    }
    kept = kept.filter((place) => place !== first);
  }
}

function lowest<Row>(placed: readonly Placed<Row>[]): Placed<Row> | undefined {
  let found: Placed<Row> | undefined;
  for (const place of placed) {
    const priority = place.column.priority;
    if (priority === undefined) continue;
    if (found === undefined || priority < (found.column.priority ?? Infinity)) found = place;
  }
  return found;
}

function join(
  pieces: readonly { text: string; style: Style }[],
  gap: number,
  rowStyle: Style | undefined,
  bound: number,
): Line {
  const between = span(' '.repeat(gap), rowStyle ?? 'plain');
  const line = pieces.flatMap((piece, index) => (index === 0 ? [piece] : [between, piece]));
  let left = bound;
  // Without droppable columns a table can still be too wide: it is cut at the edge.
  return line.flatMap((piece) => {
    const width = displayWidth(piece.text);
    const cut = left <= 0 ? [] : width <= left ? [piece] : [{ text: fit(piece.text, left), style: piece.style }];
    left -= width;
    return cut;
  });
}
