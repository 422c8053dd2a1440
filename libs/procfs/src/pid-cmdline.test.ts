import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fixture } from './fixtures.oracle.js';
import { parseCmdline } from './pid-cmdline.js';

describe('parseCmdline', () => {
  it('gives back any arguments, but for empty ones at the end', () => {
    const argument = fc.string({ unit: 'grapheme' }).map((text) => text.replaceAll('\0', ''));
    fc.assert(
      fc.property(fc.array(argument, { minLength: 1 }), (list) => {
        const parsed = parseCmdline(Buffer.from(list.map((text) => `${text}\0`).join('')));
        const end = list.findLastIndex((text) => text !== '');
        expect(parsed?.arguments ?? []).toEqual(list.slice(0, end + 1));
      }),
    );
  });

  it('joins by blanks', () => {
    expect(parseCmdline(fixture('5.10', '812/cmdline'))).toEqual({
      arguments: ['/usr/bin/web', '--port', '8080'],
      text: '/usr/bin/web --port 8080',
    });
  });

  it('takes a title that was written over the arguments, padding and all', () => {
    expect(parseCmdline(fixture('2.4', '1/cmdline'))?.text).toBe('init [5]');
    expect(parseCmdline(Buffer.from('nginx: worker process'))?.arguments).toEqual(['nginx: worker process']);
  });

  it('is null for a kernel thread and for a wiped one', () => {
    expect(parseCmdline(fixture('6.18', '2/cmdline'))).toBeNull();
    expect(parseCmdline(Buffer.alloc(32))).toBeNull();
  });

  it('shows what is not UTF-8 as replacement characters', () => {
    expect(parseCmdline(Buffer.from([0x61, 0xff, 0x62, 0]))?.text).toBe('a\ufffdb');
  });
});
