import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fit } from '../terminal/printable.js';
import { span } from '../terminal/style.js';
import { difference, paintRow } from './screen.js';

const COLUMNS = 5;

/** What a terminal of COLUMNS columns without wrapping shows after `text`; it knows only what may be sent. */
function play(rows: readonly string[], text: string): string[] {
  const shown = [...rows];
  let row = 0;
  let column = 0;
  const tokens = text.matchAll(/\x1b\[\?2026[hl]|\x1b\[(\d+);1H|(\x1b\[0m)|(\x1b\[K)|([^\x1b])/g);
  for (const [, place, , erase, character] of tokens) {
    if (place !== undefined) [row, column] = [Number(place) - 1, 0];
    else if (erase !== undefined) shown[row] = fit((shown[row] ?? '').slice(0, column), COLUMNS);
    else if (character !== undefined) {
      const before = fit(shown[row] ?? '', COLUMNS);
      shown[row] = before.slice(0, column) + character + before.slice(column + 1);
      // At the edge the cursor stays where it is.
      column = Math.min(COLUMNS - 1, column + 1);
    }
  }
  return shown;
}

const paintAll = (lines: readonly string[], colours = true): string[] =>
  lines.map((line) => paintRow([span(line)], COLUMNS, colours));

describe('difference', () => {
  it('turns any picture into any other, the last column included', () => {
    const line = fc.string({ unit: fc.constantFrom('a', 'b', ' '), maxLength: COLUMNS });
    const picture = fc.array(line, { maxLength: 6 });
    fc.assert(
      fc.property(picture, picture, fc.boolean(), (before, after, colours) => {
        const rows = Math.max(before.length, after.length);
        const full = (lines: string[]): string[] =>
          Array.from({ length: rows }, (_, row) => fit(lines[row] ?? '', COLUMNS));
        expect(play(full(before), difference(paintAll(before, colours), paintAll(after, colours)))).toEqual(
          full(after),
        );
      }),
    );
  });

  it('sends nothing when nothing changed, and only the line that did', () => {
    expect(difference(['a', 'b'], ['a', 'b'])).toBe('');
    expect(difference(['a', 'b', 'c'], ['a', 'x', 'c'])).toContain('\x1b[2;1Hx');
    expect(difference(['a', 'b', 'c'], ['a', 'x', 'c'])).not.toContain('\x1b[1;1H');
  });
});
