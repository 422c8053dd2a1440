import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { difference } from './screen.js';

/** What a terminal of so many rows shows after `text`: only knows what `difference` is allowed to send. */
function play(rows: readonly string[], text: string): string[] {
  const shown = [...rows];
  const body = text.replace(/^\x1b\[\?2026h|\x1b\[\?2026l$/g, '');
  for (const [, row = '', line = ''] of body.matchAll(/\x1b\[(\d+);1H([^\x1b]*)\x1b\[0m\x1b\[K/g)) {
    shown[Number(row) - 1] = line;
  }
  return shown;
}

describe('difference', () => {
  it('turns any picture into any other', () => {
    const picture = fc.array(fc.string({ unit: fc.constantFrom('a', 'b', ' '), maxLength: 5 }), { maxLength: 6 });
    fc.assert(
      fc.property(picture, picture, (before, after) => {
        const rows = Math.max(before.length, after.length);
        const full = (lines: string[]): string[] => Array.from({ length: rows }, (_, row) => lines[row] ?? '');
        expect(play(full(before), difference(before, after))).toEqual(full(after));
      }),
    );
  });

  it('sends nothing when nothing changed, and only the line that did', () => {
    expect(difference(['a', 'b'], ['a', 'b'])).toBe('');
    expect(difference(['a', 'b', 'c'], ['a', 'x', 'c'])).toContain('\x1b[2;1Hx');
    expect(difference(['a', 'b', 'c'], ['a', 'x', 'c'])).not.toContain('\x1b[1;1H');
  });
});
