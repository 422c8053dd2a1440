import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { displayWidth, fit, printable, printableJson, truncate } from './printable.js';

/** Text as hostile as it gets: every code unit, escape sequences, wide, combining and joined characters. */
const hostile = fc
  .array(
    fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)),
      fc.constantFrom('\x1b[31m', '\x1b]0;title\x07', '\x9b2J', '\u202e', '한글', '漢字', 'é̂̃', '👩‍👩‍👧', '\u2028', '❤️'),
    ),
    { maxLength: 12 },
  )
  .map((parts) => parts.join(''));

/** What a terminal could take for a command; written down apart from the code under test. */
function dangerousCodes(text: string): number[] {
  return [...text]
    .map((character) => character.codePointAt(0) ?? 0)
    .filter(
      (code) =>
        code < 0x20 ||
        (code >= 0x7f && code <= 0x9f) ||
        (code >= 0x200b && code <= 0x200f) ||
        (code >= 0x2028 && code <= 0x202e) ||
        (code >= 0x2066 && code <= 0x2069) ||
        (code >= 0xd800 && code <= 0xdfff),
    );
}

describe('printable', () => {
  it('leaves nothing that a terminal obeys, whatever comes in', () => {
    fc.assert(
      fc.property(hostile, (text) => {
        expect(dangerousCodes(printable(text))).toEqual([]);
      }),
    );
  });

  it('changes nothing the second time', () => {
    fc.assert(
      fc.property(hostile, (text) => {
        expect(printable(printable(text))).toBe(printable(text));
      }),
    );
  });

  it('keeps ordinary text of any script as it is', () => {
    for (const text of ['plain', 'Ünïcödé', '日本語 プロセス', 'עברית', '/usr/bin/[kworker]', '🦀 crab']) {
      expect(printable(text)).toBe(text);
    }
  });

  it('shows control characters as their pictures', () => {
    expect(printable('a\x1b[2Jb\nc\td\x7f\x9b')).toBe('a␛[2Jb␊c␉d␡\ufffd');
  });

  it('cuts runs of combining marks that would climb over other lines', () => {
    expect(printable(`a${'\u0301'.repeat(50)}b`)).toBe('a\u0301\u0301b');
  });
});

describe('printableJson', () => {
  it('gives JSON of the same value, without anything that a terminal obeys', () => {
    fc.assert(
      fc.property(fc.dictionary(hostile, hostile), (value) => {
        const text = printableJson(value);
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
        expect(dangerousCodes(text)).toEqual([]);
      }),
    );
  });

  it('indents over several lines for a person', () => {
    expect(printableJson({ a: '\x9b' }, 2)).toBe('{\n  "a": "\\u009b"\n}');
  });
});

describe('displayWidth', () => {
  it.each([
    ['', 0],
    ['abc', 3],
    ['漢字', 4],
    ['한글', 4],
    ['ｆｕｌｌ', 8],
    ['e\u0301', 1],
    ['🦀', 2],
    ['▁▂▃█', 4],
    ['–…·●', 4],
  ])('of %j is %i', (text, width) => {
    expect(displayWidth(text)).toBe(width);
  });
});

describe('fit and truncate', () => {
  it('give exactly, or at most, the width, whatever comes in', () => {
    fc.assert(
      fc.property(hostile, fc.integer({ min: 0, max: 40 }), fc.constantFrom('left', 'right'), (text, width, align) => {
        const safe = printable(text);
        expect(displayWidth(fit(safe, width, align as 'left' | 'right'))).toBe(width);
        expect(displayWidth(truncate(safe, width))).toBeLessThanOrEqual(width);
      }),
    );
  });

  it('say with an ellipsis that something was cut, and only then', () => {
    expect(truncate('abcdef', 6)).toBe('abcdef');
    expect(truncate('abcdef', 5)).toBe('abcd…');
    expect(truncate('漢字漢字', 8)).toBe('漢字漢字');
    expect(truncate('漢字漢字', 7)).toBe('漢字漢…');
    expect(truncate('漢字漢字', 6)).toBe('漢字…');
    expect(truncate('漢', 1)).toBe('…');
  });

  it('never splits a surrogate pair', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 10 }), (width) => {
        expect(truncate('🦀🦀🦀🦀🦀🦀', width)).not.toMatch(/\p{Cs}/u);
      }),
    );
  });
});
