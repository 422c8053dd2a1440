import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compress, decompress, MAX_RECORD_BYTES, parseRecordJson, preferredEncoding } from './encoding.js';
import { ContractError } from './errors.js';

/** The error of a call that must fail; its message is one line of bounded length. */
function errorOf(call: () => unknown): ContractError {
  try {
    call();
  } catch (error) {
    expect(error).toBeInstanceOf(ContractError);
    const failure = error as ContractError;
    expect(failure.message).not.toMatch(/[\n\r\u2028\u2029]/);
    expect(failure.message.length).toBeLessThan(600);
    expect(failure.retriable).toBe(false);
    return failure;
  }
  throw new Error('it did not fail');
}

describe('compression', () => {
  test('gives back what went in, in every encoding that this Node can write', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 2_000 }),
      fc.string({ maxLength: 20 }).map((text) => Buffer.from(text.repeat(200))),
    );
    fc.assert(
      fc.property(
        bytes,
        fc.constantFrom('identity' as const, 'gzip' as const, preferredEncoding()),
        (plain, wanted) => {
          const { value, encoding } = compress(plain, wanted);
          expect(Buffer.compare(decompress(value, encoding), plain)).toBe(0);
        },
      ),
    );
  });

  test('leaves small records as they are and makes large ones smaller', () => {
    expect(compress(Buffer.from('small')).encoding).toBe('identity');
    const large = Buffer.from('{"rss":[1048576,1048576]}'.repeat(1_000));
    expect(compress(large).value.byteLength).toBeLessThan(large.byteLength / 10);
  });

  test('of a kind that nobody knows is refused by name', () => {
    const failure = errorOf(() => decompress(Buffer.from('x'), 'brotli'));
    expect([failure.code, failure.message]).toEqual(['CONTRACT_ENCODING', 'record encoding "brotli" is unknown']);
    errorOf(() => decompress(Buffer.from('x'), 'b\n'.repeat(1_000_000)));
  });

  test('that is cut off anywhere is refused', () => {
    const whole = gzipSync(JSON.stringify({ some: 'record', of: Array.from({ length: 300 }, (_, index) => index) }));
    for (let length = 0; length < whole.length; length += 7) {
      expect(errorOf(() => decompress(whole.subarray(0, length), 'gzip')).code).toBe('CONTRACT_ENCODING');
    }
  });

  test('with a damaged byte is refused, or decodes to what is refused next, and never throws anything else', () => {
    const whole = gzipSync(JSON.stringify({ some: 'record', of: Array.from({ length: 300 }, (_, index) => index) }));
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const damaged = Buffer.from(whole);
        damaged[at]! ^= change;
        try {
          decompress(damaged, 'gzip');
        } catch (error) {
          expect(error).toBeInstanceOf(ContractError);
        }
      }),
    );
  });

  test('that swells to gigabytes is refused before it does', () => {
    const bomb = gzipSync(Buffer.alloc(400 * 1024 * 1024));
    expect(bomb.byteLength).toBeLessThan(1024 * 1024);
    const before = process.memoryUsage().rss;
    const failure = errorOf(() => decompress(bomb, 'gzip'));
    expect(failure.code).toBe('CONTRACT_TOO_LARGE');
    expect(failure.message).toContain(String(MAX_RECORD_BYTES));
    expect(process.memoryUsage().rss - before).toBeLessThan(200 * 1024 * 1024);
  });

  test('that lies about its length is unpacked all the same', () => {
    const plain = Buffer.from(JSON.stringify(Array.from({ length: 20_000 }, (_, index) => index * 7)));
    for (const told of [0, 1, plain.byteLength - 1, plain.byteLength + 1, 2 ** 31, 2 ** 32 - 1]) {
      const members = Buffer.concat([gzipSync(plain), gzipSync(Buffer.alloc(0))]);
      expect(Buffer.from(decompress(members, 'gzip')).equals(plain)).toBe(true);
      const liar = gzipSync(plain);
      liar.writeUInt32LE(told, liar.byteLength - 4);
      expect(errorOf(() => decompress(liar, 'gzip')).code).toBe('CONTRACT_ENCODING');
    }
  });

  test('a record that is too large without compression is refused too', () => {
    expect(errorOf(() => decompress(Buffer.alloc(MAX_RECORD_BYTES + 1))).code).toBe('CONTRACT_TOO_LARGE');
    expect(decompress(Buffer.alloc(MAX_RECORD_BYTES)).byteLength).toBe(MAX_RECORD_BYTES);
  });

  test('zstd is read where Node can, and refused with what to do where it cannot', () => {
    if (preferredEncoding() === 'zstd') {
      const { value, encoding } = compress(Buffer.alloc(2_000, 1), 'zstd');
      expect(decompress(value, encoding).byteLength).toBe(2_000);
    } else {
      expect(errorOf(() => decompress(Buffer.alloc(1_000), 'zstd')).message).toMatch(/use Node 22\.15 or newer/);
    }
  });
});

describe('the JSON of a record', () => {
  test('of any shape of ours is what JSON.parse makes of it', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 6 }), (json) => {
        expect(parseRecordJson(Buffer.from(json))).toEqual(JSON.parse(json));
      }),
    );
  });

  test.each([
    ['nothing', ''],
    ['text', 'hello\nworld'],
    ['half of it', '{"v":1,"node":"n'],
    ['noise', '\u0000\u0001\u0002\ufffd'],
    ['a byte order mark', '\ufeff{}'],
  ])('that is %s is refused with its beginning', (_, text) => {
    const failure = errorOf(() => parseRecordJson(Buffer.from(text)));
    expect(failure.code).toBe('CONTRACT_NOT_JSON');
    expect(failure.message).toContain(`record of ${Buffer.byteLength(text)} bytes is not JSON`);
  });

  const million = 5_000_000;
  test.each([
    ['arrays', '['.repeat(million) + ']'.repeat(million)],
    ['arrays that are never closed', '['.repeat(2 * million)],
    ['objects', `${'{"a":'.repeat(million / 3)}1${'}'.repeat(million / 3)}`],
    [
      'arrays behind a string of brackets and escapes',
      `{"a":"]]}}\\"]]\\\\","b":${'['.repeat(10_000)}${']'.repeat(10_000)}}`,
    ],
  ])('of megabytes of nested %s is refused without being parsed', (_, text) => {
    const failure = errorOf(() => parseRecordJson(Buffer.from(text)));
    expect(failure.code).toBe('CONTRACT_SHAPE');
    expect(failure.message).toMatch(/nests deeper than 32 levels/);
  });

  test('with many brackets in strings and many shallow objects is not taken for nested', () => {
    const flat = { names: Array(500).fill('[[[[{{{{"\\'), cpus: Array.from({ length: 300 }, (_, cpu) => ({ cpu })) };
    expect(parseRecordJson(Buffer.from(JSON.stringify(flat)))).toEqual(flat);
    const deepest = `${'['.repeat(32)}${']'.repeat(32)}`;
    expect(parseRecordJson(Buffer.from(deepest))).toEqual(JSON.parse(deepest));
    fc.assert(
      fc.property(fc.array(fc.string(), { minLength: 40, maxLength: 80 }), (texts) => {
        const nested = texts.map((text) => [{ [text]: text }]);
        expect(parseRecordJson(Buffer.from(JSON.stringify(nested)))).toEqual(nested);
      }),
    );
  });
});
