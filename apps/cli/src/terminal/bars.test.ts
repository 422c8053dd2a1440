import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bar, sparkLine } from './bars.js';
import { displayWidth } from './printable.js';
import { lineWidth, paint } from './style.js';

const value = fc.option(fc.double({ noNaN: false }), { nil: null });

describe('sparkLine', () => {
  it('climbs from the lowest to the highest block', () => {
    expect(sparkLine([0, 1, 2, 3, 4, 5, 6, 7], 8)).toBe('▁▂▃▄▅▆▇█');
  });

  it('draws what does not change as a low line, and gaps as gaps', () => {
    expect(sparkLine([5, 5, null, 5], 6)).toBe('  ▁▁ ▁');
  });

  it('shows the newest values, at the right', () => {
    expect(sparkLine([9, 0, 7], 2)).toBe('▁█');
    expect(sparkLine([0, 7], 4)).toBe('  ▁█');
  });

  it('keeps a change below the floor low', () => {
    expect(sparkLine([1000, 1001], 2, 100)).toBe('▁▁');
    expect(sparkLine([1000, 1100], 2, 100)).toBe('▁█');
  });

  it('always has its width, whatever the values', () => {
    fc.assert(
      fc.property(fc.array(value, { maxLength: 100 }), fc.integer({ min: 0, max: 60 }), (values, width) => {
        expect(displayWidth(sparkLine(values, width))).toBe(width);
      }),
    );
  });

  it('never falls where values rise', () => {
    const rising = fc.array(fc.integer({ min: 0, max: 2 ** 40 }), { minLength: 2, maxLength: 40 });
    fc.assert(
      fc.property(rising, (values) => {
        const sorted = values.toSorted((a, b) => a - b);
        const blocks = [...sparkLine(sorted, sorted.length)];
        expect(blocks).toEqual(blocks.toSorted());
      }),
    );
  });
});

describe('bar', () => {
  it('divides its width by the parts', () => {
    expect(
      paint(
        bar(
          [
            { value: 25, style: 'good' },
            { value: 25, style: 'dim' },
          ],
          100,
          8,
        ),
        false,
      ),
    ).toBe('████····');
    expect(
      bar(
        [
          { value: 25, style: 'good' },
          { value: 25, style: 'dim' },
        ],
        100,
        8,
      )[0]?.text,
    ).toBe('██');
  });

  it('always has its width, whatever the parts', () => {
    const part = fc.record({ value: fc.double({ noNaN: true }), style: fc.constant('good' as const) });
    fc.assert(
      fc.property(
        fc.array(part, { maxLength: 4 }),
        fc.double({ noNaN: true }),
        fc.integer({ min: 0, max: 80 }),
        (parts, whole, width) => {
          expect(lineWidth(bar(parts, whole, width))).toBe(width);
        },
      ),
    );
  });
});
