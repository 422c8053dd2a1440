import { displayWidth, printable, truncate } from './printable.js';

/** What a piece of text means; how that looks is decided in one place. */
export type Style =
  'plain' | 'strong' | 'dim' | 'good' | 'warning' | 'danger' | 'alarm' | 'accent' | 'heading' | 'selected';

export interface Span {
  text: string;
  style: Style;
}

/** One line of output. Only {@link paint} makes terminal text of it, so nothing in a span can carry an escape code. */
export type Line = readonly Span[];

/** A piece of text made printable. */
export function span(text: string, style: Style = 'plain'): Span {
  return { text: printable(text), style };
}

export function lineWidth(line: Line): number {
  let width = 0;
  for (const piece of line) width += displayWidth(piece.text);
  return width;
}

/** The line cut to at most `width` columns. */
export function cutLine(line: Line, width: number): Line {
  const cut: Span[] = [];
  let left = width;
  for (const piece of line) {
    if (left <= 0) break;
    const taken = displayWidth(piece.text);
    if (taken <= left) cut.push(piece);
    else cut.push({ text: truncate(piece.text, left), style: piece.style });
    left -= taken;
  }
  return cut;
}

/** `left` … `right`, pushed to both ends of `width` columns; the left part is cut when there is no room for both. */
export function spread(left: Line, right: Line, width: number): Line {
  const kept = cutLine(left, Math.max(0, width - lineWidth(right) - 1));
  const gap = Math.max(0, width - lineWidth(kept) - lineWidth(right));
  return cutLine([...kept, span(' '.repeat(gap)), ...right], width);
}

const CODES: Record<Style, string> = {
  plain: '',
  strong: '1',
  dim: '2',
  good: '32',
  warning: '33',
  danger: '31',
  alarm: '1;97;41',
  accent: '36',
  heading: '1;36',
  selected: '7',
};

/** Terminal text of a line; without `colours` it holds no escape code at all. */
export function paint(line: Line, colours: boolean): string {
  let painted = '';
  for (const piece of line) {
    const code = CODES[piece.style];
    // Made printable once more, whoever built the span: this is the only door to the terminal.
    const text = printable(piece.text);
    painted += colours && code !== '' && text !== '' ? `\x1b[${code}m${text}\x1b[0m` : text;
  }
  return colours ? painted : painted.trimEnd();
}
