import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ContractError } from './errors.js';
import { packColumn, packedColumnBound, PackedReader } from './packed-columns.js';

const pages = fc.nat(2 ** 41 - 1).map((count) => count * 4096);
const value = fc.oneof(fc.nat(200), fc.maxSafeNat(), pages, fc.constantFrom(0, 127, 128, 2 ** 51, 2 ** 51 + 1));
const cells = fc.oneof(fc.array(value), fc.array(fc.option(value)), fc.array(pages), fc.array(fc.constant(null)));

function pack(column: readonly (number | null)[], steps: boolean): Uint8Array {
  const out = new Uint8Array(packedColumnBound(column.length) + 3);
  const end = packColumn(column, steps, out, 3)!;
  expect(end).toBeLessThanOrEqual(out.length);
  return out.subarray(0, end);
}

describe('a packed column', () => {
  it('is read as it was written, by both ways to write it', () => {
    fc.assert(
      fc.property(cells, fc.boolean(), (column, steps) => {
        const reader = new PackedReader(pack(column, steps).subarray(3));
        expect(reader.column('rss', column.length, true)).toEqual(column);
        expect(reader.done).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  it.each([
    ['ids that ascend by less than 64', [100_000, 100_001, 100_063], true, 1 + 3 + 2],
    ['sizes in pages', [4096, 8192, 4096 * 127], false, 1 + 3],
    ['nothing but nulls', Array<null>(16).fill(null), false, 1 + 2],
    ['small counts', [0, 1, 127], false, 1 + 3],
  ])('of %s is short', (_, column, steps, bytes) => {
    expect(pack(column, steps).length - 3).toBe(bytes);
  });

  it.each([[-1], [0.5], [NaN], [Infinity], [2 ** 53], ['7' as unknown as number]])('is not made of %s', (cell) => {
    expect(packColumn([1, cell, 2], false, new Uint8Array(100), 0)).toBeUndefined();
  });

  it('gives whole numbers within its bounds, or an error, whatever its bytes are', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 80 }),
        fc.nat(40),
        fc.boolean(),
        fc.maxSafeNat(),
        (bytes, rows, nullable, max) => {
          const reader = new PackedReader(bytes);
          try {
            const column = reader.column('rss', rows, nullable, max);
            expect(column).toHaveLength(rows);
            for (const cell of column) {
              if (cell === null) expect(nullable).toBe(true);
              else expect(Number.isSafeInteger(cell) && cell >= 0 && cell <= max).toBe(true);
            }
          } catch (error) {
            expect(error).toBeInstanceOf(ContractError);
          }
        },
      ),
      { numRuns: 5_000 },
    );
  });

  it('that is cut off anywhere is an error', () => {
    const whole = pack([5, null, 300, 4096, null, 2 ** 40, 7, 8, 9], false);
    for (let end = 3; end < whole.length; end++) {
      expect(() => new PackedReader(whole.subarray(3, end)).column('rss', 9, true)).toThrow(ContractError);
    }
  });
});
