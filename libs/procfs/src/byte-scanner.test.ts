import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteScanner } from './byte-scanner.js';

const scan = (text: string): ByteScanner => new ByteScanner(Buffer.from(text, 'latin1'));
const uint64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });

describe('ByteScanner', () => {
  it('reads any 64-bit number as Number() does', () => {
    fc.assert(fc.property(uint64, (value) => scan(`${value} `).number() === Number(value)));
  });

  it('never makes a growing counter go back, also where doubles have gaps', () => {
    const near = fc.bigInt({ min: 2n ** 53n - 20n, max: 2n ** 64n - 20n });
    fc.assert(
      fc.property(
        near,
        fc.nat(19),
        (value, step) => scan(`${value + BigInt(step)}`).number() >= scan(`${value}`).number(),
      ),
    );
    expect(scan('9007199254740993').number()).toBe(9007199254740992);
    expect(scan('18446744073709551615').number()).toBe(2 ** 64);
  });

  it('says NaN, not 0, where there is no number, and of one longer than 64 bits can be', () => {
    for (const text of ['', ' ', 'x1', '-', '- 1', '\n5', '123456789012345678901']) {
      expect(scan(text).signed()).toBeNaN();
    }
  });

  it('reads signed numbers', () => {
    fc.assert(fc.property(fc.integer(), (value) => scan(`\t ${value}`).signed() === (value === 0 ? 0 : value)));
  });

  it('reads decimals as Number() does', () => {
    const hundredths = fc.nat(10 ** 9);
    fc.assert(
      fc.property(hundredths, (value) => {
        const text = (value / 100).toFixed(2);
        return scan(text).decimal() === Number(text);
      }),
    );
    expect(scan('3').decimal()).toBe(3);
    expect(scan('3.').decimal()).toBeNaN();
    expect(scan('.5').decimal()).toBeNaN();
  });

  it('walks every line once and stays within the length it was given', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('a', ' ', '\n', '7', ':') }), fc.nat(40), (text, length) => {
        const scanner = new ByteScanner(Buffer.from(text), length);
        let lines = scanner.done ? 0 : 1;
        while (scanner.nextLine()) lines++;
        const seen = text.slice(0, length);
        expect(scanner.at).toBe(scanner.end);
        expect(lines).toBe(seen.split('\n').length - (seen === '' || seen.endsWith('\n') ? 1 : 0));
      }),
    );
  });

  it('passes words, labels and literals only when they are there', () => {
    const scanner = scan('cpu0 12  ab:cd\nno label here\n');
    expect(scanner.take('cpux')).toBe(false);
    expect(scanner.take('cpu')).toBe(true);
    expect(scanner.number()).toBe(0);
    scanner.skipWord();
    scanner.skipBlanks();
    expect(scanner.label()).toBe('ab');
    expect(scanner.word()).toBe('cd');
    scanner.nextLine();
    expect(scanner.label()).toBeUndefined();
    expect(scanner.word()).toBe('no');
  });
});
