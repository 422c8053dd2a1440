import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fixture, KERNELS } from './fixtures.oracle.js';
import { parseNetDev } from './net-dev.js';
import { splitNetDev } from './split.oracle.js';

const HEADER = fixture('6.18', 'net/dev').toString().split('\n').slice(0, 2).join('\n');
const parse = (lines: string) => parseNetDev(Buffer.from(`${HEADER}\n${lines}`));

describe('parseNetDev', () => {
  it.each(KERNELS)('agrees with a split of the block of %s', (kernel) => {
    const bytes = fixture(kernel, 'net/dev');
    const interfaces = parseNetDev(bytes);
    expect(interfaces.length).toBeGreaterThan(1);
    expect(interfaces.map(({ name, ...figures }) => ({ name, figures: Object.values(figures) }))).toEqual(
      splitNetDev(bytes.toString()),
    );
  });

  it('names each of the sixteen columns of a 2.4 line whose figures touch the colon', () => {
    expect(parseNetDev(fixture('2.4', 'net/dev'))[1]).toEqual({
      name: 'eth0',
      rxBytes: 1215316483,
      rxPackets: 2284317,
      rxErrors: 1,
      rxDropped: 2,
      rxFifo: 3,
      rxFrame: 4,
      rxCompressed: 5,
      rxMulticast: 6,
      txBytes: 4294967295,
      txPackets: 1782404,
      txErrors: 7,
      txDropped: 8,
      txFifo: 9,
      txCollisions: 10,
      txCarrier: 11,
      txCompressed: 12,
    });
  });

  it('gives back any interfaces, names with colons and counters of 64 bits included', () => {
    const name = fc.string({ unit: fc.constantFrom('e', '0', '.', '-', ':', 'é'), minLength: 1 }).filter((text) => {
      return !/^:|:$/.test(text);
    });
    const figure = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
    const row = fc.record({ name, figures: fc.array(figure, { minLength: 16, maxLength: 16 }) });
    fc.assert(
      fc.property(fc.array(row), fc.constantFrom('', ' '), (rows, gap) => {
        const lines = rows.map((each) => `${each.name.padStart(6)}:${gap}${each.figures.join(' ')}\n`).join('');
        expect(parse(lines).map(({ name: found, ...figures }) => [found, ...Object.values(figures)])).toEqual(
          rows.map((each) => [each.name, ...each.figures.map(Number)]),
        );
      }),
    );
  });

  it('sees an interface come and go, from 0', () => {
    const lo = 'lo: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n';
    const plugged = 'usb0: 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n';
    const names = (lines: string): string[] => parse(lines).map(({ name }) => name);
    expect([names(lo), names(lo + plugged), names(lo)]).toEqual([['lo'], ['lo', 'usb0'], ['lo']]);
  });

  it('leaves out an interface without figures, and throws a coded error on what is no net/dev', () => {
    expect(parse(' dummy: No statistics available.\n eth0: 1 2 3\n')).toEqual([]);
    expect(() => parseNetDev(Buffer.from('lo: 1'))).toThrow(expect.objectContaining({ code: 'PROCFS_FORMAT' }));
  });
});
