import { InvalidArgumentError } from 'commander';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readEnvironment } from './config.js';
import { CliError } from './exit-codes.js';
import { listNames, nearest, oneOf, parseBytes, resolveAddress, someOf, wholeNumber } from './options.js';

describe('parseBytes', () => {
  it.each([
    ['0', 0],
    ['123', 123],
    ['64K', 65_536],
    ['64k', 65_536],
    ['1.5G', 1.5 * 1024 ** 3],
    ['200MiB', 200 * 1024 ** 2],
    ['200 MB', 200 * 1024 ** 2],
    ['12B', 12],
    ['2T', 2 * 1024 ** 4],
  ])('reads %s as %d', (text, bytes) => {
    expect(parseBytes(text)).toBe(bytes);
  });

  it.each(['', '-1', '1e9', 'M', '1X', '1.5.5', '0x10', '9P', 'NaN', '١'])('refuses %j', (text) => {
    expect(() => parseBytes(text)).toThrow(InvalidArgumentError);
  });

  it('gives a whole number of bytes or refuses, whatever comes in', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          expect(Number.isSafeInteger(parseBytes(text))).toBe(true);
        } catch (error) {
          expect(error).toBeInstanceOf(InvalidArgumentError);
        }
      }),
    );
  });
});

describe('wholeNumber, oneOf and someOf', () => {
  it('name the range', () => {
    expect(wholeNumber(1, 100)('100')).toBe(100);
    for (const text of ['0', '101', '1.5', '-1', 'x', '']) {
      expect(() => wholeNumber(1, 100)(text)).toThrow('from 1 to 100');
    }
  });

  it('take a name in either case, and suggest one when it is misspelt', () => {
    expect(oneOf(['PSS', 'RSS'])('pss')).toBe('PSS');
    expect(() => oneOf(['growth', 'rss'])('grwoth')).toThrow('Did you mean growth?');
    expect(() => oneOf(['PSS', 'RSS'])('colour')).toThrow('It must be one of PSS, RSS.');
  });

  it('add up what is given by commas and again', () => {
    const parse = someOf(['A', 'B', 'C']);
    expect(parse('c', parse('a,b', undefined))).toEqual(['A', 'B', 'C']);
  });
});

describe('nearest', () => {
  it('finds what was meant, and nothing when nothing is alike', () => {
    const names = ['chrome', 'firefox', 'node', 'web-1', 'web-2'];
    expect(nearest('chrom', names)).toBe('chrome');
    expect(nearest('Chrome', names)).toBe('chrome');
    expect(nearest('web1', names)).toBe('web-1');
    expect(nearest('postgres', names)).toBeUndefined();
    expect(nearest('', names)).toBeUndefined();
  });
});

describe('listNames', () => {
  it('counts what it leaves out', () => {
    expect(listNames(['a', 'b'])).toBe('a, b');
    expect(listNames(['a', 'b', 'c'], 2)).toBe('a, b and 1 more');
  });
});

describe('resolveAddress', () => {
  const environment = readEnvironment({ TIDEMARK_URL: 'http://env:4000/graphql', TIDEMARK_TOKEN: 'from-env' });
  const empty = readEnvironment({});

  it('prefers the option to the environment, and that to this host', () => {
    expect(resolveAddress({ url: 'https://opt/graphql', token: 't' }, environment)).toEqual({
      url: 'https://opt/graphql',
      token: 't',
    });
    expect(resolveAddress({}, environment)).toEqual({ url: 'http://env:4000/graphql', token: 'from-env' });
    expect(resolveAddress({}, empty)).toEqual({ url: 'http://127.0.0.1:4000/graphql', token: undefined });
  });

  it('adds the usual path to a bare host', () => {
    expect(resolveAddress({ url: 'http://10.0.0.1:4000' }, empty).url).toBe('http://10.0.0.1:4000/graphql');
  });

  it.each(['localhost:4000', 'ftp://host/', 'no address', '', 'http://user:secret@host/'])('refuses %j', (url) => {
    expect(() => resolveAddress({ url }, empty)).toThrow(CliError);
  });

  it('does not repeat a password that an address held', () => {
    expect(() => resolveAddress({ url: 'http://user:secret@host/' }, empty)).toThrow(/^(?!.*secret)/);
  });

  it('refuses a token that would break the header', () => {
    expect(() => resolveAddress({ token: 'a\r\nX-Evil: 1' }, empty)).toThrow('printable');
  });
});

describe('readEnvironment', () => {
  it('takes NO_COLOR and a dumb terminal as a wish for plain text, an empty NO_COLOR not', () => {
    expect(readEnvironment({ NO_COLOR: '1' }).plain).toBe(true);
    expect(readEnvironment({ TERM: 'dumb' }).plain).toBe(true);
    expect(readEnvironment({ NO_COLOR: '' }).plain).toBe(false);
  });

  it('knows where the standalone keeps its data', () => {
    expect(readEnvironment({ TIDEMARK_DATA_DIRECTORY: '/data' }).dataDirectory).toBe('/data');
    expect(readEnvironment({ XDG_STATE_HOME: '/state' }).dataDirectory).toBe('/state/tidemark');
  });
});
