import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fixtureRoot } from './fixtures.oracle.js';
import { parseAuxv, readKernelUnits, type WordFormat } from './kernel-units.js';

function auxv(pairs: readonly (readonly [number, number])[], words: WordFormat): Buffer {
  const bytes = Buffer.alloc(pairs.length * 2 * words.bytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  pairs.flat().forEach((value, index) => {
    if (words.bytes === 8) view.setBigUint64(index * 8, BigInt(value), words.endian === 'LE');
    else view.setUint32(index * 4, value, words.endian === 'LE');
  });
  return bytes;
}

describe('parseAuxv', () => {
  it('finds page size and tick rate among any other entries, in every word format', () => {
    const format = fc.record({ bytes: fc.constantFrom(4, 8), endian: fc.constantFrom('LE', 'BE') });
    const other = fc.tuple(fc.integer({ min: 20, max: 60 }), fc.nat(2 ** 31 - 1));
    fc.assert(
      fc.property(format as fc.Arbitrary<WordFormat>, fc.array(other), fc.array(other), (words, before, after) => {
        const bytes = auxv([...before, [6, 65536], ...after, [17, 1024], [0, 0], [6, 512]], words);
        expect(parseAuxv(bytes, words)).toEqual({ pageSize: 65536, clockTicks: 1024, source: 'auxv' });
      }),
    );
  });

  it('does not believe what cannot be', () => {
    const words: WordFormat = { bytes: 8, endian: 'LE' };
    expect(parseAuxv(auxv([[6, 0], [17, 100]], words), words)).toBeUndefined(); // prettier-ignore
    expect(parseAuxv(auxv([[6, 4096]], words), words)).toBeUndefined();
    expect(parseAuxv(Buffer.from('short'), words)).toBeUndefined();
  });
});

describe('readKernelUnits', () => {
  it('says what getconf says', () => {
    const getconf = (name: string): number => Number(execFileSync('getconf', [name], { encoding: 'utf8' }));
    expect(readKernelUnits()).toEqual({
      pageSize: getconf('PAGESIZE'),
      clockTicks: getconf('CLK_TCK'),
      source: 'auxv',
    });
  });

  it('asks smaps where it may not open its own auxiliary vector', () => {
    const root = process.geteuid?.() === 0;
    try {
      // As after the start of a program with file capabilities, the files of this process are root's then.
      if (root) process.seteuid?.(65_534);
      const { pageSize, clockTicks, source } = readKernelUnits();
      expect(source).toBe(root ? 'smaps' : 'auxv');
      expect(pageSize).toBe(Number(execFileSync('getconf', ['PAGESIZE'], { encoding: 'utf8' })));
      expect(clockTicks).toBe(100);
    } finally {
      if (root) process.seteuid?.(0);
    }
  });

  it('reads a captured tree, and falls back on this kernel where there is none', () => {
    expect(readKernelUnits(fixtureRoot('6.18'))).toEqual({ pageSize: 4096, clockTicks: 100, source: 'auxv' });
    expect(readKernelUnits('/nowhere')).toEqual(readKernelUnits('/proc'));
  });
});
