import { span, type Line, type Style } from './style.js';

const BLOCKS = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'] as const;

/**
 * The last `width` values as blocks between their own least and greatest; a gap (null) is a space. A flat line stands
 * at the lowest block, and so does a change below `floor`, so that noise does not look like growth. Always `width` columns.
 */
export function sparkLine(values: readonly (number | null)[], width: number, floor = 0): string {
  if (width <= 0) return '';
  const shown = values.slice(-width);
  const known = shown.filter((value): value is number => value !== null && Number.isFinite(value));
  const least = known.reduce((a, b) => Math.min(a, b), Infinity);
  const greatest = known.reduce((a, b) => Math.max(a, b), -Infinity);
  const range = Math.max(greatest - least, floor);
  const line = shown.map((value) => {
    if (value === null || !Number.isFinite(value)) return ' ';
    const level = range > 0 ? Math.round(((value - least) / range) * (BLOCKS.length - 1)) : 0;
    return BLOCKS[Math.min(BLOCKS.length - 1, level)] ?? ' ';
  });
  return line.join('').padStart(width, ' ');
}

export interface BarPart {
  value: number;
  style: Style;
  /** One column wide; a full block when left out. Parts need different ones to be told apart without colours. */
  glyph?: string;
}

const FULL = '█';
const EMPTY = '·';

/** A bar of exactly `width` columns: the parts one after the other, in proportion to `whole`, the rest dotted. */
export function bar(parts: readonly BarPart[], whole: number, width: number): Line {
  const spans = [];
  let upTo = 0;
  let drawn = 0;
  for (const part of parts) {
    upTo += Math.max(0, part.value);
    const end = whole > 0 ? Math.min(width, Math.round((upTo / whole) * width)) : 0;
    if (end > drawn) spans.push(span((part.glyph ?? FULL).repeat(end - drawn), part.style));
    drawn = Math.max(drawn, end);
  }
  if (drawn < width) spans.push(span(EMPTY.repeat(width - drawn), 'dim'));
  return spans;
}
