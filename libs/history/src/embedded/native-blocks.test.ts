import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addBlockInfo } from './native-blocks.js';

const text = (value: string) => [value.length, ...Buffer.from(value)];
const uint64 = (value: number) => [value, 0, 0, 0, 0, 0, 0, 0];
const info = [1, 0, 2, 0xff, 0xff, 0xff, 0xff, 0];

/** Parts of a block as the engine writes it; "flag" is where the protocol has a byte more. */
const block = (columns: number, rows: number, ...parts: (number[] | 'flag')[]) => [[columns, rows], ...parts];
const asWritten = (parts: (number[] | 'flag')[]) => Buffer.from(parts.filter((part) => part !== 'flag').flat());
const asSpoken = (parts: (number[] | 'flag')[], fields = info, flag = [0]) =>
  Buffer.from([...fields, ...parts.map((part) => (part === 'flag' ? flag : part)).flat()]);

const column = (name: string, type: string, ...data: number[][]): (number[] | 'flag')[] => [
  text(name),
  text(type),
  'flag',
  ...data,
];

const plain = block(2, 2, ...column('a', 'UInt16', [1, 0, 2, 0]), ...column('s', 'String', text('xy'), text('')));
const nested = block(
  5,
  2,
  ...column('n', 'Nullable(Int32)', [0, 1], [1, 0, 0, 0, 0, 0, 0, 0]),
  ...column('l', 'Array(Array(UInt8))', uint64(1), uint64(3), uint64(2), uint64(2), uint64(3), [7, 8, 9]),
  ...column('m', 'Map(String, Tuple(x UInt8, `y z` FixedString(2)))', uint64(0), uint64(1), text('k'), [5], [65, 66]),
  ...column('e', "Enum8('a, (' = 1, 'b\\'' = 2)", [1, 2]),
  ...column('d', "DateTime64(3, 'Europe/Berlin')", uint64(1), uint64(2)),
);
const dictionary = block(
  2,
  3,
  ...column(
    'c',
    'LowCardinality(Nullable(String))',
    uint64(1),
    [0, 6, 0, 0, 0, 0, 0, 0],
    uint64(2),
    text(''),
    text('q'),
    uint64(3),
    [1, 0, 1],
  ),
  ...column('p', 'Decimal(18, 4)', uint64(1), uint64(2), uint64(3)),
);
const empty = block(1, 0, ...column('a', 'Array(LowCardinality(String))'));

const translate = (data: Buffer, protocolVersion: number, pieceSize = data.length || 1) => {
  const translation = addBlockInfo(protocolVersion);
  const out: Buffer[] = [];
  for (let at = 0; at < data.length; at += pieceSize) out.push(translation.push(data.subarray(at, at + pieceSize)));
  return Buffer.concat(out).toString('hex');
};

describe('Native for clients with a protocol version', () => {
  it.each([
    ['plain columns', plain],
    ['nested columns', nested],
    ['dictionaries', dictionary],
    ['no rows', empty],
  ])('has the fields of the block and a flag for each column: %s', (_, parts) => {
    expect(translate(asWritten(parts), 54460)).toBe(asSpoken(parts).toString('hex'));
  });

  it('has no flags for clients before them and one field more for those since', () => {
    expect(translate(asWritten(plain), 54400)).toBe(asSpoken(plain, info, []).toString('hex'));
    expect(translate(asWritten(plain), 54480)).toBe(asSpoken(plain, [...info.slice(0, -1), 3, 0, 0]).toString('hex'));
  });

  it('does not depend on how the bytes come', () => {
    const blocks = [plain, nested, empty, dictionary, plain];
    const written = Buffer.concat(blocks.map(asWritten));
    const spoken = Buffer.concat(blocks.map((parts) => asSpoken(parts))).toString('hex');
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 200 }), (size) => {
        expect(translate(written, 54460, size)).toBe(spoken);
      }),
    );
  });

  it('says so when it does not know how long a type is', () => {
    expect(() =>
      translate(asWritten(block(1, 1, ...column('a', 'AggregateFunction(sum, UInt8)', [1]))), 54460),
    ).toThrow(/AggregateFunction\(sum, UInt8\) cannot be sent/);
  });
});
